package segment

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Mode says who may write to a segment. Its numbers are part of the wire.
type Mode uint8

const (
	// Frozen segments are written once, by their maker, and never after that: the kernel enforces it.
	Frozen Mode = 1
	// Shared segments are written by every process that has them; messages hand the turn over.
	Shared Mode = 2
)

func (m Mode) String() string {
	switch m {
	case Frozen:
		return "frozen"
	case Shared:
		return "shared"
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

// A Segment is this process's only object for one piece of memory, however often and over however many connections
// it came. Its references are counted: each Handle has one and each Retain adds one. When the count gets to 0 the
// memory is unmapped and the descriptor closed. A Segment is safe for concurrent use.
type Segment struct {
	id    uint64
	size  int64
	mode  Mode
	file  *os.File       // nil: on the heap
	key   inode          // of file
	heap  unsafe.Pointer // the memory, where there is no file
	owned int64          // bytes that count against the budget; 0 for what a peer made

	// refs is the reference count and, in its upper half, how many of these references are handles'. It gets to 0 only
	// under table.mu, so that every segment in the table has a reference.
	refs atomic.Uint64

	// Guarded by table.mu.
	handles map[*Handle]struct{} // strict mode only
	ends    map[int]func()       // see OnEnd
	lastEnd int

	frozen atomic.Bool // readable without mu; set under it

	// mu guards the mappings of this segment: the one below and each handle's own. It is locked while they are made and
	// unmade, and before table.mu.
	mu   sync.Mutex
	view atomic.Pointer[byte] // the mapping all handles use outside strict mode, nil before the first use; set under mu
}

// The units of Segment.refs.
const (
	oneRef    = 1
	oneHandle = 1 << 32 // beside the handle's oneRef
)

// ID returns a number that no other segment of this process has or had.
func (s *Segment) ID() uint64 { return s.id }

// Size returns the size in bytes.
func (s *Segment) Size() int64 { return s.size }

// Mode returns the mode. A new segment is Frozen by mode before it is frozen in fact.
func (s *Segment) Mode() Mode { return s.mode }

// Frozen reports whether the memory is frozen in fact.
func (s *Segment) Frozen() bool { return s.frozen.Load() }

// File returns the memfd. The segment owns it: it is valid while the caller retains the segment, and the caller must
// not close it. It is nil where arrays live on the heap.
func (s *Segment) File() *os.File { return s.file }

// Retain adds one to the reference count, until Release. The caller must be sure that the segment has a reference.
func (s *Segment) Retain() {
	for {
		have := s.refs.Load()
		if uint32(have) == 0 {
			panic(fmt.Sprintf("shm: Retain of segment %d after its last Release", s.id))
		}
		if s.refs.CompareAndSwap(have, have+oneRef) {
			return
		}
	}
}

// Release takes one from the reference count. The last Release unmaps the memory and closes the descriptor.
func (s *Segment) Release() { s.release(oneRef) }

func (s *Segment) release(n uint64) {
	if !table.drop(s, n) {
		return
	}
	s.ended()
	s.mu.Lock()
	if p := s.view.Swap(nil); p != nil {
		endMapping(unsafe.Pointer(p), s.size)
	}
	s.mu.Unlock()
	if s.file != nil {
		// No data waits for the close of a memfd, so its error says nothing that a caller could act on.
		_ = s.file.Close()
	}
}

// OpenSegment makes the segment for a descriptor that came from a peer, with the size and mode that the peer
// announced, and returns it with one reference for the caller. It takes ownership of f, also if it fails.
//
// OpenSegment believes nothing of what the peer says: the kind, the size, the seals and that all memory is allocated
// come from the kernel. It maps nothing; the first look at the data does. If this process has the segment already,
// OpenSegment closes f and returns that segment, with one more reference. The error is a *SegmentError.
func OpenSegment(f *os.File, size int64, mode Mode) (*Segment, error) {
	if f == nil {
		return nil, &SegmentError{Mode: mode, Size: size, Reason: "no descriptor came with it"}
	}
	key, err := inspect(f, size, mode)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	s, err := table.open(f, key, size, mode)
	if err != nil || s.file != f {
		_ = f.Close()
	}
	return s, err
}

// newSegment allocates a segment of size > 0 bytes. It comes mapped for writing, with one reference. Where the error
// names a limit, left says how many bytes that limit would still allow; otherwise left is -1.
func newSegment(size int64, mode Mode) (s *Segment, left int64, err error) {
	owned := pageRound(size)
	if left, err := table.charge(owned); err != nil {
		return nil, left, err
	}
	s = &Segment{size: size, mode: mode, owned: owned}
	if left, err := s.allocate(); err != nil {
		table.refund(owned)
		return nil, left, err
	}
	table.add(s)
	return s, -1, nil
}

func (s *Segment) allocate() (left int64, err error) {
	if onHeap() {
		s.heap = heapAlloc(s.size)
		return -1, nil
	}
	f, key, err := createMemory(s.size, s.mode)
	if err != nil {
		return shortage(err)
	}
	view, err := mapMemory(f, s.size, true)
	if err != nil {
		_ = f.Close()
		return -1, err
	}
	s.file, s.key = f, key
	s.view.Store((*byte)(view))
	table.mapped.Add(s.owned)
	return -1, nil
}

// freeze makes a one-shot segment read-only for good, in every process. The caller has locked s.mu and has the
// writable mapping at addr, which stays where it is. If freeze fails the mapping is writable again.
func (s *Segment) freeze(addr unsafe.Pointer) error {
	if s.mode != Frozen {
		return ErrShared
	}
	if s.frozen.Load() {
		return nil
	}
	if s.file != nil {
		if err := freezeMemory(s.file, addr, s.size); err != nil {
			return fmt.Errorf("shm: freeze segment of %s: %w", FormatBytes(s.size), err)
		}
	}
	s.frozen.Store(true)
	return nil
}

// writable reports whether new mappings of the segment may be written to.
func (s *Segment) writable() bool { return s.mode == Shared }
