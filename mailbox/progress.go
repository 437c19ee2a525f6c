package mailbox

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/understudy-go/understudy/internal/wire"
)

// ProgressSize is the size of a progress page in bytes.
const ProgressSize = 4096

// MaxSlots is how many handlers of one actor can run at once: each has a word
// in every progress page of the actor.
const MaxSlots = 256

// Progress is the page by which the receiver of a connection tells the sender how far
// it has come. Only the receiver writes. Word 0 is the position of the last
// message begun; word 1 is how many handler slots there are, or 0 for all that
// there can be; word 8+i is the position that handler slot i is busy with, or 0. A store costs nothing where a message would cost 1.65 times a call, and
// it survives the receiver's death: that is what it is for.
type Progress struct {
	words []uint64
	free  func()
}

const slotWords = 8 // the slots start on their own cache line

// NewProgress returns a progress page on the heap, for two sides in one process.
func NewProgress() *Progress { return &Progress{words: make([]uint64, ProgressSize/8)} }

// OpenProgress returns the progress page in mapped memory. free, if not nil, is called by
// [Progress.Close].
func OpenProgress(mem []byte, free func()) (*Progress, error) {
	if len(mem) < ProgressSize || uintptr(unsafe.Pointer(&mem[0]))%8 != 0 {
		return nil, fmt.Errorf("progress page of %d bytes: %w", len(mem), wire.ErrProtocol)
	}
	return &Progress{words: unsafe.Slice((*uint64)(unsafe.Pointer(&mem[0])), ProgressSize/8), free: free}, nil
}

// Begin publishes that position is begun by slot. The slot comes first: a
// sender that sees the position begun must find out by whom.
func (p *Progress) Begin(slot int, position uint64) {
	atomic.StoreUint64(&p.words[slotWords+slot], position)
	atomic.StoreUint64(&p.words[0], position)
}

// SetSlots publishes how many slots there are, so that the sender need not look
// at more.
func (p *Progress) SetSlots(n int) { atomic.StoreUint64(&p.words[1], uint64(n)) }

func (p *Progress) slots() int {
	if n := atomic.LoadUint64(&p.words[1]); 0 < n && n < MaxSlots {
		return int(n)
	}
	return MaxSlots
}

// End publishes that slot has finished.
func (p *Progress) End(slot int) { atomic.StoreUint64(&p.words[slotWords+slot], 0) }

// SetBegun publishes a position that no slot is busy with: a message skipped,
// or one that a peer without a page reported.
func (p *Progress) SetBegun(position uint64) {
	if position > atomic.LoadUint64(&p.words[0]) {
		atomic.StoreUint64(&p.words[0], position)
	}
}

// Begun is the position of the last message begun.
func (p *Progress) Begun() uint64 { return atomic.LoadUint64(&p.words[0]) }

// Busy reports whether some slot is busy with position.
func (p *Progress) Busy(position uint64) bool {
	for i := range p.slots() {
		if atomic.LoadUint64(&p.words[slotWords+i]) == position {
			return true
		}
	}
	return false
}

// InHand returns the positions that some slot is busy with.
func (p *Progress) InHand() map[uint64]bool {
	busy := make(map[uint64]bool)
	for i := range p.slots() {
		if p := atomic.LoadUint64(&p.words[slotWords+i]); p != 0 {
			busy[p] = true
		}
	}
	return busy
}

// Close gives the memory back. No other method may follow.
func (p *Progress) Close() {
	if p.free != nil {
		p.free()
		p.free = nil
	}
}
