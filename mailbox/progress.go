package mailbox

import (
	"fmt"
	"iter"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/understudy-go/understudy/internal/memfd"
	"github.com/understudy-go/understudy/internal/wire"
)

// progressSize is the size of a progress page in bytes.
const progressSize = 4096

// Progress is the page by which the receiver of a connection tells the sender how far
// it has come. Only the receiver writes. Word 0 is the position of the last
// message begun; word 1 is how many handler slots there are, or 0 for all that
// there can be; word 8+i is the position that handler slot i is busy with, or 0.
// A store costs nothing where a message would cost 1.65 times a call, and it
// survives the receiver's death: that is what it is for.
type Progress struct {
	words []uint64
	free  func()
}

const slotWords = 8 // the slots start on their own cache line

// NewProgress returns a page on the heap, for two sides in one process.
func NewProgress() *Progress { return &Progress{words: make([]uint64, progressSize/8)} }

// CreateProgress makes a receiver's page: memory that this process alone can
// write. The file, which the caller closes, is for the sender.
func CreateProgress() (*Progress, *os.File, error) {
	mem, f, err := memfd.NewPage("understudy-progress", progressSize)
	if err != nil {
		return nil, nil, fmt.Errorf("progress page: %w", err)
	}
	return progressOver(mem), f, nil
}

// OpenProgress maps a receiver's page for reading. It takes f over.
func OpenProgress(f *os.File) (*Progress, error) {
	defer f.Close()
	mem, err := memfd.OpenPage(f, progressSize)
	if err != nil {
		return nil, fmt.Errorf("progress page: %w: %w", err, wire.ErrProtocol)
	}
	return progressOver(mem), nil
}

// progressOver is the page in mem, a mapping, which Close unmaps.
func progressOver(mem []byte) *Progress {
	words := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(mem))), progressSize/8)
	return &Progress{words: words, free: func() { _ = memfd.Unmap(mem) }}
}

// begin publishes that position is begun by slot. The slot comes first: a
// sender that sees the position begun must find out by whom.
func (p *Progress) begin(slot int, position uint64) {
	atomic.StoreUint64(&p.words[slotWords+slot], position)
	atomic.StoreUint64(&p.words[0], position)
}

// setSlots publishes how many slots there are, so that the sender need not look
// at more.
func (p *Progress) setSlots(n int) { atomic.StoreUint64(&p.words[1], uint64(n)) }

func (p *Progress) slots() int {
	if n := atomic.LoadUint64(&p.words[1]); 0 < n && n < wire.MaxSlots {
		return int(n)
	}
	return wire.MaxSlots
}

// end publishes that slot has finished.
func (p *Progress) end(slot int) { atomic.StoreUint64(&p.words[slotWords+slot], 0) }

// SetBegun publishes a position that no slot is busy with: a message skipped,
// or one that a peer without a page reported.
func (p *Progress) SetBegun(position uint64) {
	if position > atomic.LoadUint64(&p.words[0]) {
		atomic.StoreUint64(&p.words[0], position)
	}
}

// Begun is the position of the last message begun.
func (p *Progress) Begun() uint64 { return atomic.LoadUint64(&p.words[0]) }

// InHand yields the positions that some slot is busy with.
func (p *Progress) InHand() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for i := range p.slots() {
			if position := atomic.LoadUint64(&p.words[slotWords+i]); position != 0 && !yield(position) {
				return
			}
		}
	}
}

// Close gives the memory back. No other method may follow.
func (p *Progress) Close() {
	if p.free != nil {
		p.free()
		p.free = nil
	}
}
