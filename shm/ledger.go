package shm

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// inode names a memfd within the machine. It cannot be reused while a descriptor is open, and segments keep theirs.
type inode [2]uint64 // device, number

// ledger knows every segment that this process holds.
var ledger = book{byID: map[uint64]*Segment{}, byInode: map[inode]*Segment{}}

type book struct {
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
func (b *book) charge(n int64) (left int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.budget > 0 && n > b.budget-b.charged {
		return max(0, b.budget-b.charged), ErrBudget
	}
	b.charged += n
	return 0, nil
}

func (b *book) refund(n int64) {
	b.mu.Lock()
	b.charged -= n
	b.mu.Unlock()
}

// enter adds a segment that this process made, with one hold.
func (b *book) enter(s *Segment) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.enterLocked(s)
}

func (b *book) enterLocked(s *Segment) {
	b.lastID++
	s.id = b.lastID
	s.holds.Store(oneHold)
	b.byID[s.id] = s
	if s.file != nil {
		b.byInode[s.key] = s
	}
	b.bytes += s.size
}

// open returns the segment of an inode that has been inspected, with one more hold. A new one keeps f.
func (b *book) open(f *os.File, key inode, size int64, mode Mode) (*Segment, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.byInode[key]; s != nil {
		if s.mode != mode || s.size != size {
			return nil, &SegmentError{Mode: mode, Size: size,
				Reason: fmt.Sprintf("this process knows it as %v segment of %d bytes", s.mode, s.size)}
		}
		s.holds.Add(oneHold)
		return s, nil
	}
	s := &Segment{size: size, mode: mode, file: f, key: key}
	s.frozen.Store(mode == Frozen)
	b.enterLocked(s)
	return s, nil
}

// drop gives back one hold, n, and reports whether it was the last: then nobody can find the segment any more. While
// there are others it is all that needs to be known, and the lock of everything is left alone.
func (b *book) drop(s *Segment, n uint64) (last bool) {
	for have := s.holds.Load(); uint32(have) > 1; have = s.holds.Load() {
		if s.holds.CompareAndSwap(have, have-n) {
			return false
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if uint32(s.holds.Load()) == 0 {
		panic(fmt.Sprintf("shm: Release of segment %d more often than it was retained", s.id))
	}
	if left := s.holds.Add(-n); uint32(left) > 0 {
		return false // one more came in the meantime
	}
	delete(b.byID, s.id)
	if s.file != nil {
		delete(b.byInode, s.key)
	}
	b.bytes -= s.size
	b.charged -= s.owned
	return true
}

// site lists a handle of strict mode, and unsite strikes it off.
func (b *book) site(h *handle) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.seg.holders == nil {
		h.seg.holders = map[*handle]struct{}{}
	}
	h.seg.holders[h] = struct{}{}
}

func (b *book) unsite(h *handle) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(h.seg.holders, h)
}
