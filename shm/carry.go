package shm

import "unsafe"

// What follows is for the code that carries messages between processes, beside
// Retain, Release and File.

// SegmentOf returns a frozen segment that holds a copy of data, which is not
// empty, with one hold for the caller.
func SegmentOf(data []byte) (*Segment, error) {
	a, err := New[uint8](len(data))
	if err != nil {
		return nil, err
	}
	defer a.Release()
	copy(a.Data(), data)
	return a.h.send()
}

// Open gives the memory of the segment to read, until release is called.
func (s *Segment) Open() (data []byte, release func(), err error) {
	h := newHandle(s)
	p, err := h.base()
	if err != nil {
		h.Release()
		return nil, nil, err
	}
	return unsafe.Slice((*byte)(p), s.size), h.Release, nil
}

// OnEnd has end called once, on a goroutine of its own choice, when the last
// hold of this process is gone. stop withdraws it. The caller retains the
// segment while it calls OnEnd; end must not use the segment.
func (s *Segment) OnEnd(end func()) (stop func()) {
	ledger.mu.Lock()
	defer ledger.mu.Unlock()
	s.lastEnd++
	n := s.lastEnd
	if s.ends == nil {
		s.ends = map[int]func(){}
	}
	s.ends[n] = end
	return func() {
		ledger.mu.Lock()
		defer ledger.mu.Unlock()
		delete(s.ends, n)
	}
}

// ended runs what waits for the segment's end. The last hold is gone.
func (s *Segment) ended() {
	ledger.mu.Lock()
	ends := s.ends
	s.ends = nil
	ledger.mu.Unlock()
	for _, end := range ends {
		end()
	}
}
