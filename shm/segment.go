package shm

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
	// Frozen segments are written once by their maker and by nobody after that: the kernel enforces it.
	Frozen Mode = 1
	// Shared segments are written by every process that holds them; messages hand the turn over.
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

// A Segment is this process's only object for one piece of memory, however often and over however many links it
// came. It is counted: each handle and each Retain holds it, and when the last of them is gone it is unmapped and its
// descriptor closed. It is safe for concurrent use.
//
// Programs use [Array]; segments are for the code that carries arrays between processes.
type Segment struct {
	id    uint64
	size  int64
	mode  Mode
	file  *os.File       // nil: on the heap
	key   inode          // of file
	heap  unsafe.Pointer // the memory, where there is no file
	owned int64          // bytes that count against the budget; 0 for what a peer made

	// holds is how often the segment is held, and in the upper half how many of these holds are handles'. It gets to 0
	// under ledger.mu alone: whoever finds the segment in the ledger finds it held.
	holds atomic.Uint64

	// Guarded by ledger.mu.
	holders map[*handle]struct{} // strict mode only
	ends    map[int]func()       // see OnEnd
	lastEnd int

	frozen atomic.Bool // readable without mu; set under it

	// mu guards the mappings of this segment: the one below and each handle's own. It is held while they are made and
	// unmade, and taken before ledger.mu.
	mu   sync.Mutex
	view atomic.Pointer[byte] // the mapping all handles use outside strict mode, nil before the first use; set under mu
}

// What holds counts in.
const (
	oneHold   = 1
	oneHandle = 1 << 32 // besides its hold
)

// ID returns a number that no other segment of this process has or had.
func (s *Segment) ID() uint64 { return s.id }

// Size returns the size in bytes.
func (s *Segment) Size() int64 { return s.size }

// Mode returns the mode. A segment made by New is Frozen by mode before it is frozen in fact.
func (s *Segment) Mode() Mode { return s.mode }

// File returns the memfd, which the segment keeps: it is valid while the caller retains the segment and must not be
// closed. It is nil where arrays live on the heap.
func (s *Segment) File() *os.File { return s.file }

// Retain adds a hold, to be given back with Release. The caller must be sure that the segment is held by somebody.
func (s *Segment) Retain() {
	for {
		have := s.holds.Load()
		if uint32(have) == 0 {
			panic(fmt.Sprintf("shm: Retain of segment %d, which nobody holds any more", s.id))
		}
		if s.holds.CompareAndSwap(have, have+oneHold) {
			return
		}
	}
}

// Release gives back one hold. The last one unmaps the memory and closes the descriptor.
func (s *Segment) Release() { s.release(oneHold) }

func (s *Segment) release(n uint64) {
	if !ledger.drop(s, n) {
		return
	}
	s.ended()
	s.mu.Lock()
	if p := s.view.Swap(nil); p != nil {
		retire(unsafe.Pointer(p), s.size)
	}
	s.mu.Unlock()
	if s.file != nil {
		// The error of closing a memfd has nobody to go to and nothing to say: no data waits for it.
		_ = s.file.Close()
	}
}

// OpenSegment makes the segment for a descriptor that came from a peer, with the size and mode that the peer
// announced, and returns it with one hold for the caller. It takes f over, also if it fails.
//
// Nothing is believed: the kind, the size, the seals and that all memory is really there come from the kernel.
// Nothing is mapped before somebody looks at the data. A segment that this process holds already is returned again,
// with one more hold, and f is closed. The error is a *SegmentError.
func OpenSegment(f *os.File, size int64, mode Mode) (*Segment, error) {
	if f == nil {
		return nil, &SegmentError{Mode: mode, Size: size, Reason: "no descriptor came with it"}
	}
	key, err := inspect(f, size, mode)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	s, err := ledger.open(f, key, size, mode)
	if err != nil || s.file != f {
		_ = f.Close()
	}
	return s, err
}

// newSegment allocates a segment of size > 0 bytes. It comes mapped for writing, with one hold.
func newSegment(size int64, mode Mode) (*Segment, error) {
	owned := pageRound(size)
	if left, err := ledger.charge(owned); err != nil {
		return nil, &AllocError{Bytes: size, Limit: left, Err: err}
	}
	s := &Segment{size: size, mode: mode, owned: owned}
	if err := s.allocate(); err != nil {
		ledger.refund(owned)
		return nil, err
	}
	ledger.enter(s)
	return s, nil
}

func (s *Segment) allocate() error {
	if onHeap() {
		s.heap = heapAlloc(s.size)
		return nil
	}
	f, key, err := createMemory(s.size, s.mode)
	if err != nil {
		return err
	}
	view, err := mapMemory(f, s.size, true)
	if err != nil {
		_ = f.Close()
		return &AllocError{Bytes: s.size, Limit: -1, Err: err}
	}
	s.file, s.key = f, key
	s.view.Store((*byte)(view))
	ledger.mapped.Add(s.owned)
	return nil
}

// freeze makes a one-shot segment read-only for everybody, for good. The caller holds s.mu and the writable mapping
// at addr, which stays where it is. If it fails the mapping is writable again.
func (s *Segment) freeze(addr unsafe.Pointer) error {
	if s.mode != Frozen {
		return ErrShared
	}
	if s.frozen.Load() {
		return nil
	}
	if s.file != nil {
		if err := freezeMemory(s.file, addr, s.size); err != nil {
			return fmt.Errorf("shm: freeze segment of %s: %w", bytesText(s.size), err)
		}
	}
	s.frozen.Store(true)
	return nil
}

// writable reports whether new mappings of the segment may be written to.
func (s *Segment) writable() bool { return s.mode == Shared }
