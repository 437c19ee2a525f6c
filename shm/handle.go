package shm

import (
	"sync/atomic"
	"unsafe"
)

// A handle is one holder of a segment: what all copies and views of an array share.
type handle struct {
	seg  *Segment
	data atomic.Pointer[byte] // start of the segment for this handle; nil before the first use and after Release
	kept atomic.Bool
	site *[]uintptr // where it was made, in strict mode

	// Guarded by seg.mu.
	released bool
	own      unsafe.Pointer // in strict mode: the mapping that is this handle's alone

	dims [2]int // memory for the shape of a received array
}

// newHandle makes a handle on a segment that the caller holds. What is mapped already need not be looked for later.
func newHandle(s *Segment) *handle {
	h := &handle{seg: s, site: callSite()}
	s.holds.Add(oneHandle + oneHold)
	if h.site != nil {
		ledger.site(h)
	} else if p := s.view.Load(); p != nil {
		h.data.Store(p)
	}
	return h
}

// makerHandle makes the first handle on a fresh segment: it takes over the caller's hold and the writable mapping.
func makerHandle(s *Segment) *handle {
	h := &handle{seg: s, site: callSite()}
	s.mu.Lock()
	if s.heap != nil {
		h.data.Store((*byte)(s.heap))
	} else {
		h.data.Store(s.view.Load())
		if strict.Load() {
			h.own = unsafe.Pointer(s.view.Swap(nil))
		}
	}
	s.mu.Unlock()
	s.holds.Add(oneHandle)
	if h.site != nil {
		ledger.site(h)
	}
	return h
}

// base returns the address of the segment's memory, which stays mapped until Release.
func (h *handle) base() (unsafe.Pointer, error) {
	if p := h.data.Load(); p != nil {
		return unsafe.Pointer(p), nil
	}
	s := h.seg
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.baseLocked()
}

func (h *handle) baseLocked() (unsafe.Pointer, error) {
	if h.released {
		return nil, ErrReleased
	}
	if p := h.data.Load(); p != nil {
		return unsafe.Pointer(p), nil
	}
	s := h.seg
	p := unsafe.Pointer(s.view.Load())
	if s.heap != nil {
		p = s.heap
	} else if p == nil || strict.Load() {
		var err error
		if p, err = mapMemory(s.file, s.size, s.writable()); err != nil {
			return nil, err
		}
		ledger.mapped.Add(pageRound(s.size))
		if strict.Load() {
			h.own = p
		} else {
			s.view.Store((*byte)(p))
		}
	}
	h.data.Store((*byte)(p))
	return p, nil
}

// freeze freezes the segment through this handle's mapping. While a segment is unfrozen its maker's handle is the
// only one, so that the mapping is the writable one.
func (h *handle) freeze() error {
	s := h.seg
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.freezeLocked()
}

func (h *handle) freezeLocked() error {
	if h.released {
		return ErrReleased
	}
	if h.seg.frozen.Load() {
		return nil
	}
	p, err := h.baseLocked()
	if err != nil {
		return err
	}
	return h.seg.freeze(p)
}

// send makes the segment ready to leave and returns it with a hold for the caller.
func (h *handle) send() (*Segment, error) {
	s := h.seg
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.released {
		return nil, ErrReleased
	}
	if s.mode == Frozen {
		if err := h.freezeLocked(); err != nil {
			return nil, err
		}
	}
	s.Retain()
	return s, nil
}

// Release ends the handle. In strict mode the memory goes at once; otherwise it stays while others hold the segment.
func (h *handle) Release() {
	s := h.seg
	s.mu.Lock()
	if h.released {
		s.mu.Unlock()
		return
	}
	h.released = true
	h.data.Store(nil)
	if h.own != nil {
		retire(h.own, s.size)
		h.own = nil
	}
	s.mu.Unlock()
	if h.site != nil {
		ledger.unsite(h)
	}
	s.release(oneHandle + oneHold)
}

// AutoRelease implements [Received].
func (h *handle) AutoRelease() {
	if !h.kept.Load() {
		h.Release()
	}
}
