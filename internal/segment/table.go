package segment

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// inode names a memfd within the machine. It cannot be reused while a descriptor is open, and segments keep theirs.
type inode [2]uint64 // device, number

// table has every segment of this process.
var table = segmentTable{byID: map[uint64]*Segment{}, byInode: map[inode]*Segment{}}

type segmentTable struct {
	mu      sync.Mutex
	lastID  uint64
	byID    map[uint64]*Segment
	byInode map[inode]*Segment
	bytes   int64 // of all segments
	charged int64 // against the budget
	budget  int64 // 0: none

	mapped   atomic.Int64 // bytes in mappings, each of which counts
	reserved atomic.Int64 // bytes of address space that strict mode keeps from being used again
}

// charge reserves n bytes of the budget, or says how many are left.
func (t *segmentTable) charge(n int64) (left int64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.budget > 0 && n > t.budget-t.charged {
		return max(0, t.budget-t.charged), ErrBudget
	}
	t.charged += n
	return -1, nil
}

func (t *segmentTable) refund(n int64) {
	t.mu.Lock()
	t.charged -= n
	t.mu.Unlock()
}

// add enters a segment that this process made, with one reference.
func (t *segmentTable) add(s *Segment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addLocked(s)
}

func (t *segmentTable) addLocked(s *Segment) {
	t.lastID++
	s.id = t.lastID
	s.refs.Store(oneRef)
	t.byID[s.id] = s
	if s.file != nil {
		t.byInode[s.key] = s
	}
	t.bytes += s.size
}

// open returns the segment of an inode that has been inspected, with one more reference. A new one keeps f.
func (t *segmentTable) open(f *os.File, key inode, size int64, mode Mode) (*Segment, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.byInode[key]; s != nil {
		if s.mode != mode || s.size != size {
			return nil, &SegmentError{Mode: mode, Size: size,
				Reason: fmt.Sprintf("this process knows it as %v segment of %d bytes", s.mode, s.size)}
		}
		s.refs.Add(oneRef)
		return s, nil
	}
	s := &Segment{size: size, mode: mode, file: f, key: key}
	s.frozen.Store(mode == Frozen)
	t.addLocked(s)
	return s, nil
}

// drop takes n, which is one reference, from the count and reports whether it was the last: then the segment is no
// longer in the table. Only the last one takes the lock of the table.
func (t *segmentTable) drop(s *Segment, n uint64) (last bool) {
	for have := s.refs.Load(); uint32(have) > 1; have = s.refs.Load() {
		if s.refs.CompareAndSwap(have, have-n) {
			return false
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if uint32(s.refs.Load()) == 0 {
		panic(fmt.Sprintf("shm: Release of segment %d more often than it was retained", s.id))
	}
	if left := s.refs.Add(-n); uint32(left) > 0 {
		return false // open added one in the meantime
	}
	delete(t.byID, s.id)
	if s.file != nil {
		delete(t.byInode, s.key)
	}
	t.bytes -= s.size
	t.charged -= s.owned
	return true
}

// list adds a handle of strict mode to its segment's list, for Outstanding.
func (t *segmentTable) list(h *Handle) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.seg.handles == nil {
		h.seg.handles = map[*Handle]struct{}{}
	}
	h.seg.handles[h] = struct{}{}
}

func (t *segmentTable) unlist(h *Handle) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(h.seg.handles, h)
}
