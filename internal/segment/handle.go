package segment

import (
	"sync/atomic"
	"unsafe"
)

// A Handle is one reference to a segment, with a mapping: what all copies and views of an array share. It is safe for
// concurrent use.
type Handle struct {
	seg  *Segment
	data atomic.Pointer[byte] // start of the segment for this handle; nil before the first use and after Release
	kept atomic.Bool
	site *[]uintptr // where it was made, in strict mode

	// Guarded by seg.mu.
	released bool
	own      unsafe.Pointer // in strict mode: the mapping that is this handle's alone

	dims [2]int // memory for the shape of a received array
}

// New allocates a segment of size > 0 zero bytes and returns the first handle to it, which can be written through
// until the segment is frozen. Every page is allocated now.
//
// The error wraps ErrBudget, ErrNoMemory or the system's error. Where it names a limit, left says how many bytes that
// limit would still allow; otherwise left is -1.
func New(size int64, mode Mode) (h *Handle, left int64, err error) {
	s, left, err := newSegment(size, mode)
	if err != nil {
		return nil, left, err
	}
	h = &Handle{seg: s, site: callSite()} // it takes over the reference and the writable mapping
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
	s.refs.Add(oneHandle)
	if h.site != nil {
		table.list(h)
	}
	return h, -1, nil
}

// newHandle makes a handle on a segment to which the caller has a reference. If the segment is mapped already the
// handle has its address at once.
func newHandle(s *Segment) *Handle {
	h := &Handle{seg: s, site: callSite()}
	s.refs.Add(oneHandle + oneRef)
	if h.site != nil {
		table.list(h)
	} else if p := s.view.Load(); p != nil {
		h.data.Store(p)
	}
	return h
}

// Segment returns the segment. It stays the handle's: a caller that needs it longer retains it.
func (h *Handle) Segment() *Segment { return h.seg }

// Base returns the address of the segment's memory, which stays mapped until Release. The first call maps it. The
// error is ErrReleased or the system's refusal to map.
func (h *Handle) Base() (unsafe.Pointer, error) {
	if p := h.data.Load(); p != nil {
		return unsafe.Pointer(p), nil
	}
	s := h.seg
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.baseLocked()
}

func (h *Handle) baseLocked() (unsafe.Pointer, error) {
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
		table.mapped.Add(pageRound(s.size))
		if strict.Load() {
			h.own = p
		} else {
			s.view.Store((*byte)(p))
		}
	}
	h.data.Store((*byte)(p))
	return p, nil
}

// Freeze makes the segment read-only for good. While a segment is unfrozen its maker's handle is the only one, so that
// this handle's mapping is the writable one. The error is ErrReleased, ErrShared or the kernel's refusal; then the
// segment is as it was.
func (h *Handle) Freeze() error {
	s := h.seg
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.freezeLocked()
}

func (h *Handle) freezeLocked() error {
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

// send makes the segment ready to leave and returns it with a reference for the caller.
func (h *Handle) send() (*Segment, error) {
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

// Release ends the handle; to end it again does nothing. In strict mode the memory is unmapped at once; otherwise when
// the last reference to the segment goes.
func (h *Handle) Release() {
	s := h.seg
	s.mu.Lock()
	if h.released {
		s.mu.Unlock()
		return
	}
	h.released = true
	h.data.Store(nil)
	if h.own != nil {
		endMapping(h.own, s.size)
		h.own = nil
	}
	s.mu.Unlock()
	if h.site != nil {
		table.unlist(h)
	}
	s.release(oneHandle + oneRef)
}

// Keep exempts the handle from AutoRelease.
func (h *Handle) Keep() { h.kept.Store(true) }

// AutoRelease implements [Received].
func (h *Handle) AutoRelease() {
	if !h.kept.Load() {
		h.Release()
	}
}
