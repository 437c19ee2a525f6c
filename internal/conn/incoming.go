package conn

import (
	"slices"
	"sync"

	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/internal/wire"
)

// Incoming is one request or notification from the peer. The handler that takes
// it calls Drop when its parameters and segments are no longer needed.
type Incoming struct {
	ID       uint64
	Call     bool // a response is awaited
	Method   string
	Params   []byte
	Meta     wire.Meta
	Segments []*segment.Segment // retained for us, in the order of Meta.Segments
	Err      error              // ErrLost, or a malformed part: the call cannot be served

	From any     // set by the handler: the connection it came by
	By   *Waiter // the leader on whose goroutine it is delivered; nil: it is another goroutine

	few       [2]*segment.Segment // of few Segments
	body      int
	blob      func()  // releases the memory that Params lie in, if it is not ours
	mem       *memory // where Params lie, if it will be used again
	Cancelled bool
}

// Skip has the message passed over when its turn comes.
func (m *Incoming) Skip() { m.Cancelled = true }

func (m *Incoming) Size() int { return m.body }

// Take gives the message to a handler of Control that keeps it: the caller
// drops the result, not m.
func (m *Incoming) Take() *Incoming {
	taken := *m
	taken.Segments = slices.Clone(m.Segments)
	m.Segments, m.blob, m.mem = nil, nil, nil
	return &taken
}

// Drop releases the segments that came with the message.
func (m *Incoming) Drop() {
	for _, s := range m.Segments {
		s.Release()
	}
	m.Segments = nil
	if m.blob != nil {
		m.blob()
		m.blob = nil
	}
	m.mem.free()
	m.mem = nil
}

var incomings = sync.Pool{New: func() any { return new(Incoming) }}

// Recycle is Drop for a message to which no other reference is left: it gives the message
// back to the pool.
func (m *Incoming) Recycle() {
	m.Drop()
	meta := wire.Meta{Chain: m.Meta.Chain[:0], Segments: m.Meta.Segments[:0]}
	*m = Incoming{Meta: meta}
	incomings.Put(m)
}

// Reply is the peer's answer to a request. Drop it when it is decoded.
type Reply struct {
	Err      []byte // raw; nil when there is none
	Result   []byte // raw
	Segments []*segment.Segment
	Fault    error // the answer arrived and cannot be used: ErrLost, or the connection ended

	blob func()
	mem  *memory
}

// Drop releases the segments that came with the reply.
func (r *Reply) Drop() {
	for _, s := range r.Segments {
		s.Release()
	}
	r.Segments = nil
	if r.blob != nil {
		r.blob()
		r.blob = nil
	}
	r.mem.free()
	r.mem = nil
}
