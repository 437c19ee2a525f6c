package segment

import (
	"fmt"
	"unsafe"
)

// A Carrier takes segments along with the message that is being encoded. It is the writer of the msgpack encoder.
type Carrier interface {
	// Carry attaches s to the message, retaining it until the receiver has begun the message, and returns the index by
	// which the message refers to it. The same segment may be carried many times.
	Carry(s *Segment) (index int, err error)
}

// A SentNotifier is a Carrier that wants to know the handles whose arrays went into the message. A runtime uses it to
// move the frozen arrays of a reply: it calls AutoRelease on them when the reply is encoded.
type SentNotifier interface {
	Sent(h Received)
}

// Outgoing is the message that is being encoded.
type Outgoing interface {
	Carrier
	SentNotifier
}

// A Source gives the segments that came with the message that is being decoded. It is the reader of the msgpack
// decoder.
type Source interface {
	// Segment returns the segment with the given index, which the source retains for as long as decoding takes.
	Segment(index int) (*Segment, error)
	// Received is told of every handle that decoding makes, also if the message turns out bad later.
	Received(h Received)
}

// Received is a handle as the runtime sees it.
type Received interface {
	// AutoRelease releases the handle unless the program said Keep. It may be called more than once.
	AutoRelease()
}

// SegmentOf returns a frozen segment with a copy of data, which is not empty, with one reference for the caller.
// The error wraps what that of New does.
func SegmentOf(data []byte) (*Segment, error) {
	h, left, err := New(int64(len(data)), Frozen)
	if err != nil && left >= 0 {
		return nil, fmt.Errorf("shm: allocate segment of %s, %s left: %w", FormatBytes(int64(len(data))), FormatBytes(left), err)
	}
	if err != nil {
		return nil, fmt.Errorf("shm: allocate segment of %s: %w", FormatBytes(int64(len(data))), err)
	}
	defer h.Release()
	p, err := h.Base()
	if err != nil {
		return nil, err
	}
	copy(unsafe.Slice((*byte)(p), len(data)), data)
	return h.send()
}

// Open gives the memory of the segment to read, until release is called.
func (s *Segment) Open() (data []byte, release func(), err error) {
	h := newHandle(s)
	p, err := h.Base()
	if err != nil {
		h.Release()
		return nil, nil, err
	}
	return unsafe.Slice((*byte)(p), s.size), h.Release, nil
}

// OnEnd has end called once, on the goroutine that makes the last Release, when the reference count gets to 0; stop
// withdraws it. The caller retains the segment while it calls OnEnd; end must not use the segment.
func (s *Segment) OnEnd(end func()) (stop func()) {
	table.mu.Lock()
	defer table.mu.Unlock()
	s.lastEnd++
	n := s.lastEnd
	if s.ends == nil {
		s.ends = map[int]func(){}
	}
	s.ends[n] = end
	return func() {
		table.mu.Lock()
		defer table.mu.Unlock()
		delete(s.ends, n)
	}
}

// ended calls the functions given to OnEnd, after the last Release.
func (s *Segment) ended() {
	table.mu.Lock()
	ends := s.ends
	s.ends = nil
	table.mu.Unlock()
	for _, end := range ends {
		end()
	}
}
