package mailbox

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/understudy-go/understudy/internal/wire"
)

// MarksSize is the size of a mark page in bytes.
const ProgressSize = 4096

// MaxSlots is how many handlers of one actor can run at once: each has a word
// in every mark page of the actor.
const MaxSlots = 256

// Marks is the page by which the receiver of a link tells the sender how far
// it has come. Only the receiver writes. Word 0 is the position of the last
// message begun; word 1 is how many handler slots there are, or 0 for all that
// there can be; word 8+i is the position that handler slot i is busy with, or 0. A store costs nothing where a message would cost 1.65 times a call, and
// it survives the receiver's death: that is what it is for.
type Progress struct {
	words []uint64
	free  func()
}

const slotWords = 8 // the slots start on their own cache line

// NewMarks returns marks on the heap, for two sides in one process.
func NewProgress() *Progress { return &Progress{words: make([]uint64, ProgressSize/8)} }

// MarksOver returns marks over mapped memory. free, if not nil, is called by
// [Marks.Close].
func OpenProgress(mem []byte, free func()) (*Progress, error) {
	if len(mem) < ProgressSize || uintptr(unsafe.Pointer(&mem[0]))%8 != 0 {
		return nil, fmt.Errorf("mark page of %d bytes: %w", len(mem), wire.ErrProtocol)
	}
	return &Progress{words: unsafe.Slice((*uint64)(unsafe.Pointer(&mem[0])), ProgressSize/8), free: free}, nil
}

// Begin publishes that position is begun by slot. The slot comes first: a
// sender that sees the position begun must find out by whom.
func (m *Progress) Begin(slot int, position uint64) {
	atomic.StoreUint64(&m.words[slotWords+slot], position)
	atomic.StoreUint64(&m.words[0], position)
}

// SetSlots publishes how many slots there are, so that the sender need not look
// at more.
func (m *Progress) SetSlots(n int) { atomic.StoreUint64(&m.words[1], uint64(n)) }

func (m *Progress) slots() int {
	if n := atomic.LoadUint64(&m.words[1]); 0 < n && n < MaxSlots {
		return int(n)
	}
	return MaxSlots
}

// End publishes that slot has finished.
func (m *Progress) End(slot int) { atomic.StoreUint64(&m.words[slotWords+slot], 0) }

// SetBegun publishes a position that no slot is busy with: a message skipped,
// or one that a peer without a page reported.
func (m *Progress) SetBegun(position uint64) {
	if position > atomic.LoadUint64(&m.words[0]) {
		atomic.StoreUint64(&m.words[0], position)
	}
}

// Begun is the position of the last message begun.
func (m *Progress) Begun() uint64 { return atomic.LoadUint64(&m.words[0]) }

// Busy reports whether some slot is busy with position.
func (m *Progress) Busy(position uint64) bool {
	for i := range m.slots() {
		if atomic.LoadUint64(&m.words[slotWords+i]) == position {
			return true
		}
	}
	return false
}

// InHand returns the positions that some slot is busy with.
func (m *Progress) InHand() map[uint64]bool {
	busy := make(map[uint64]bool)
	for i := range m.slots() {
		if p := atomic.LoadUint64(&m.words[slotWords+i]); p != 0 {
			busy[p] = true
		}
	}
	return busy
}

// Close gives the memory back. No other method may follow.
func (m *Progress) Close() {
	if m.free != nil {
		m.free()
		m.free = nil
	}
}
