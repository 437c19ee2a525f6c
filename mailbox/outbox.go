package mailbox

import (
	"sync"

	"github.com/understudy-go/understudy/internal/segment"
)

// Message is one encoded user message in its sender's hands.
type Message struct {
	ID       uint32 // request id; meaningless in a cast
	Call     bool
	Method   string
	Body     []byte             // the whole envelope; does not depend on the connection
	Meta     int                // how many bytes at the end of Body are metadata
	Segments []*segment.Segment // attached arrays, retained until the message is begun
	Pin      string             // the only incarnation that may begin it; "" is any

	Position uint64 // on the current connection, if it was sent; the outbox sets it

	small     [96]byte            // of a small Body
	few       [2]*segment.Segment // of few Segments
	sent      bool
	cancelled bool
}

var messages = sync.Pool{New: func() any { return new(Message) }}

// GetMessage takes an empty message from a pool. Body and Segments have room in
// the message itself for what is appended to them.
func GetMessage() *Message {
	m := messages.Get().(*Message)
	m.Body, m.Segments = m.small[:0], m.few[:0]
	return m
}

// recycle is Drop for a message that is known nowhere else: it gives the message
// back to the pool. A transport has let go of a body when Send returns.
func (m *Message) recycle() {
	m.Drop()
	*m = Message{}
	messages.Put(m)
}

// size is what the message counts against the byte capacity.
func (m *Message) size() int { return len(m.Body) }

// Drop releases what the message holds on to.
func (m *Message) Drop() {
	for _, s := range m.Segments {
		s.Release()
	}
	m.Segments = nil
}

// Outbox holds a sender's messages to one actor until the actor has begun
// them, so that what a crash left unread goes to the replacement, in order.
// It is a plain data structure: the caller locks it and does the sending.
//
// Position n on a connection is the n-th message sent over it, from 1. The receiver
// publishes the last position that it has begun (see [Progress]).
type Outbox struct {
	Capacity      int // messages
	CapacityBytes int
	Casts         int // how many of the messages that are not begun are casts; the outbox counts

	queue []*Message // begun < first; sent ones first
	head  int        // queue[:head] is free
	sent  int        // how many of the queue are sent on the current connection
	begun uint64     // position on the current connection of the last begun message
	bytes int
}

// Len is the number of messages that are not begun.
func (o *Outbox) Len() int { return len(o.queue) - o.head }

// Sent is the position of the last message sent on the current connection.
func (o *Outbox) Sent() uint64 { return o.begun + uint64(o.sent) }

// Room reports whether a message of the given size fits. One message always
// fits into an empty outbox, whatever its size: the limit of a single message
// is the connection's.
func (o *Outbox) Room(size int) bool {
	n := o.Len()
	return n == 0 || n < o.Capacity && o.bytes+size <= o.CapacityBytes
}

// granted reports whether the receiver has room for m, the first unsent
// message: what is sent and not begun counts there. It is false only when more
// is waiting here than the receiver's capacity, which may have changed since.
func (o *Outbox) granted(m *Message) bool {
	if o.sent == 0 || o.Len() <= o.Capacity && o.bytes <= o.CapacityBytes {
		return true
	}
	bytes := m.size()
	for _, s := range o.queue[o.head : o.head+o.sent] {
		bytes += s.size()
	}
	return o.sent < o.Capacity && bytes <= o.CapacityBytes
}

// count counts m in with 1, out with -1.
func (o *Outbox) count(m *Message, sign int) {
	o.bytes += sign * m.size()
	if !m.Call {
		o.Casts += sign
	}
}

// Push appends m, unsent.
func (o *Outbox) Push(m *Message) {
	if o.head > 64 && o.head > len(o.queue)/2 {
		n := copy(o.queue, o.queue[o.head:])
		clear(o.queue[n:])
		o.queue, o.head = o.queue[:n], 0
	}
	o.queue = append(o.queue, m)
	o.count(m, 1)
}

// NextUnsent returns the first message that is not sent on the current connection
// and counts it as sent; nil when there is none.
func (o *Outbox) NextUnsent() *Message {
	if o.sent == o.Len() {
		return nil
	}
	m := o.queue[o.head+o.sent]
	m.sent = true
	o.sent++
	m.Position = o.Sent()
	return m
}

// PeekUnsent returns what NextUnsent would, and changes nothing. granted says
// whether the receiver has room for it.
func (o *Outbox) PeekUnsent() (m *Message, granted bool) {
	if o.sent == o.Len() {
		return nil, false
	}
	m = o.queue[o.head+o.sent]
	return m, o.granted(m)
}

// Begun takes the receiver's position and hands every message up to it to f, in
// order. A position beyond what was sent is the peer's fault: the rest of it is
// ignored and Begun returns false. f must not keep m, which is used again.
func (o *Outbox) Begun(position uint64, f func(position uint64, m *Message)) bool {
	if position <= o.begun {
		return true
	}
	ok := true
	if position > o.Sent() {
		position, ok = o.Sent(), false
	}
	for o.begun < position {
		m := o.queue[o.head]
		o.queue[o.head] = nil
		o.head++
		o.sent--
		o.begun++
		o.count(m, -1)
		f(o.begun, m)
		m.recycle()
	}
	if o.head == len(o.queue) {
		o.queue, o.head = o.queue[:0], 0
	}
	return ok
}

// Cancel withdraws m. It is true when m was not sent yet and is gone from the
// outbox; a sent message stays until it is begun, and is not sent again.
func (o *Outbox) Cancel(m *Message) bool {
	if m.sent {
		m.cancelled = true
		return false
	}
	return o.remove(m)
}

func (o *Outbox) remove(m *Message) bool {
	for i := o.head; i < len(o.queue); i++ {
		if o.queue[i] == m {
			o.queue = append(o.queue[:i], o.queue[i+1:]...)
			o.count(m, -1)
			return true
		}
	}
	return false
}

// Reset says that the connection is gone: what is left waits, unsent, for the next
// one. Each message is handed to drop, in order, with word whether its sender gave
// it up after it was sent; those for which drop is true are removed.
func (o *Outbox) Reset(drop func(m *Message, cancelled bool) bool) {
	kept := o.queue[:0]
	for _, m := range o.queue[o.head:] {
		if drop(m, m.cancelled) {
			o.count(m, -1)
			continue
		}
		m.sent = false
		kept = append(kept, m)
	}
	clear(o.queue[len(kept):])
	o.queue, o.head, o.sent, o.begun = kept, 0, 0, 0
}
