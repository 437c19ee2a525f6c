package mailbox

import (
	"sync"

	"github.com/understudy-go/understudy/internal/codec"
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

	small     [96]byte            // of a small Body
	few       [2]*segment.Segment // of few Segments
	sent      bool
	cancelled bool
	position  uint64 // on the current connection, if sent
}

// Position is that of a message that was sent on the current connection.
func (m *Message) Position() uint64 { return m.position }

var messages = sync.Pool{New: func() any { return new(Message) }}

// GetMessage takes an empty message from a pool.
func GetMessage() *Message { return messages.Get().(*Message) }

// Recycle is Drop for a message that nobody else knows: it gives the message
// back to the pool. The transport has let go of a body when Send returns.
func (m *Message) Recycle() {
	m.Drop()
	*m = Message{}
	messages.Put(m)
}

// Clone returns a message with the same content, which shares a large body and
// holds the segments for itself.
func (m *Message) Clone() *Message {
	c := GetMessage()
	c.ID, c.Call, c.Method, c.Meta, c.Pin = m.ID, m.Call, m.Method, m.Meta, m.Pin
	if len(m.Body) <= len(c.small) {
		c.SetBody(m.Body)
	} else {
		c.Body = m.Body
	}
	c.Segments = c.few[:0]
	for _, s := range m.Segments {
		s.Retain()
		c.Segments = append(c.Segments, s)
	}
	return c
}

// SetBody copies body; a small one lies in the message itself.
func (m *Message) SetBody(body []byte) { m.Body = append(m.small[:0], body...) }

// TakeSegments takes over what buf carries.
func (m *Message) TakeSegments(buf *codec.Buffer) { m.Segments = buf.TakeSegments(m.few[:0]) }

// Size is what the message counts against the byte capacity.
func (m *Message) Size() int { return len(m.Body) }

// Plain is Body without its metadata, which a strict MessagePack-RPC peer
// takes for the end of sense. A message may have been encoded before it was
// known who would get it.
func (m *Message) Plain() []byte {
	if m.Meta == 0 {
		return m.Body
	}
	b := append([]byte(nil), m.Body[:len(m.Body)-m.Meta]...)
	b[0]-- // one element less
	return b
}

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

	queue []*Message // begun < first; sent ones first
	head  int        // queue[:head] is free
	sent  int        // how many of the queue are sent on the current connection
	begun uint64     // position on the current connection of the last begun message
	bytes int
}

// Len is the number of messages that are not begun.
func (o *Outbox) Len() int { return len(o.queue) - o.head }

// Bytes is the size of the messages that are not begun.
func (o *Outbox) Bytes() int { return o.bytes }

// Sent is the position of the last message sent on the current connection.
func (o *Outbox) Sent() uint64 { return o.begun + uint64(o.sent) }

// Room reports whether a message of the given size fits. One message always
// fits into an empty outbox, whatever its size: the limit of a single message
// is the connection's.
func (o *Outbox) Room(size int) bool {
	n := o.Len()
	return n == 0 || n < o.Capacity && o.bytes+size <= o.CapacityBytes
}

// Granted reports whether the receiver has room for m, the first unsent
// message: what is sent and not begun counts there. It is false only when more
// is waiting here than the receiver's capacity, which may have changed since.
func (o *Outbox) Granted(m *Message) bool {
	if o.sent == 0 || o.Len() <= o.Capacity && o.bytes <= o.CapacityBytes {
		return true
	}
	bytes := m.Size()
	for _, s := range o.queue[o.head : o.head+o.sent] {
		bytes += s.Size()
	}
	return o.sent < o.Capacity && bytes <= o.CapacityBytes
}

// Push appends m, unsent.
func (o *Outbox) Push(m *Message) {
	if o.head > 64 && o.head > len(o.queue)/2 {
		n := copy(o.queue, o.queue[o.head:])
		clear(o.queue[n:])
		o.queue, o.head = o.queue[:n], 0
	}
	o.queue = append(o.queue, m)
	o.bytes += m.Size()
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
	m.position = o.Sent()
	return m
}

// PeekUnsent returns what NextUnsent would, and changes nothing.
func (o *Outbox) PeekUnsent() *Message {
	if o.sent == o.Len() {
		return nil
	}
	return o.queue[o.head+o.sent]
}

// Begun takes the receiver's position and hands every message up to it to f, in
// order. A position beyond what was sent is the peer's fault: the rest of it is
// ignored and Begun returns false.
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
		o.bytes -= m.Size()
		f(o.begun, m)
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
			o.bytes -= m.Size()
			return true
		}
	}
	return false
}

// Reset says that the connection is gone: what is left waits, unsent, for the next
// one. Cancelled messages, and those that drop claims, are handed to it and
// removed.
func (o *Outbox) Reset(drop func(m *Message) bool) {
	kept := o.queue[:0]
	for _, m := range o.queue[o.head:] {
		if drop(m) {
			o.bytes -= m.Size()
			continue
		}
		m.sent = false
		kept = append(kept, m)
	}
	clear(o.queue[len(kept):])
	o.queue, o.head, o.sent, o.begun = kept, 0, 0, 0
}

// Cancelled reports whether the sender gave m up after it was sent.
func (m *Message) Cancelled() bool { return m.cancelled }

// Each calls f for every message that is not begun, in order.
func (o *Outbox) Each(f func(m *Message)) {
	for _, m := range o.queue[o.head:] {
		f(m)
	}
}
