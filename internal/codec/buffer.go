package codec

import (
	"fmt"
	"io"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/internal/wire"
)

// MaxSegments is how many different segments one message can carry.
const MaxSegments = 64

// Buffer takes what is encoded, and the segments of the arrays in it. The
// encoder's Writer method returns it to a type's own EncodeMsgpack method.
//
// While [Encode] writes, it watches the limits: a value that contains itself,
// or is too large for any receiver, ends in an error here and not in an
// exhausted stack or a connection that the receiver breaks off.
//
// The zero value is ready; a Buffer serves one goroutine.
type Buffer struct {
	B        []byte             // the message so far
	Segments []*segment.Segment // carried by it; each is retained once
	Limits   wire.Limits        // of a value; see Encode
	Context  any                // for the EncodeMsgpack methods of the runtime's own types

	start   int // where the value under way begins
	check   int // how long B may grow before it is looked at again; 0: no value is under way
	scanner wire.Scanner
	sent    []segment.Received
	enc     *msgpack.Encoder // one that never failed; nil until it is needed
}

var (
	_ io.Writer            = (*Buffer)(nil)
	_ io.ByteWriter        = (*Buffer)(nil)
	_ segment.Carrier      = (*Buffer)(nil)
	_ segment.SentNotifier = (*Buffer)(nil)
)

// stride is how many bytes are written between two looks at the limits. It also
// bounds how deep an encoder can recurse unseen, at a byte a level.
const stride = 4 << 10

// keep is the largest memory that pools hold on to.
const Keep = 64 << 10

var buffers = sync.Pool{New: func() any { return new(Buffer) }}

// GetBuffer takes an empty buffer from a pool.
func GetBuffer() *Buffer { return buffers.Get().(*Buffer) }

// PutBuffer gives b back, and lets go of what it holds as Reset does. Nobody
// may use b or b.B any more.
func PutBuffer(b *Buffer) {
	b.Reset()
	if cap(b.B) > Keep {
		b.B = nil
	}
	b.Limits, b.Context = wire.Limits{}, nil
	buffers.Put(b)
}

// Reset empties b and releases the segments it carries.
func (b *Buffer) Reset() {
	for i, s := range b.Segments {
		s.Release()
		b.Segments[i] = nil
	}
	b.Segments = b.Segments[:0]
	clear(b.sent)
	b.B, b.sent = b.B[:0], b.sent[:0]
}

// TakeSegments hands the carried segments over, each with one hold: it appends
// them to to.
func (b *Buffer) TakeSegments(to []*segment.Segment) []*segment.Segment {
	to = append(to, b.Segments...)
	clear(b.Segments)
	b.Segments = b.Segments[:0]
	return to
}

// AutoRelease releases the frozen arrays that were encoded and not kept by
// their owner: after a reply they belong to the caller.
func (b *Buffer) AutoRelease() {
	for i, h := range b.sent {
		h.AutoRelease()
		b.sent[i] = nil
	}
	b.sent = b.sent[:0]
}

// retract takes back what was listed as sent behind the first n.
func (b *Buffer) retract(n int) {
	clear(b.sent[n:])
	b.sent = b.sent[:n]
}

// Write implements io.Writer. The error is a [*ProtocolError].
func (b *Buffer) Write(p []byte) (int, error) {
	b.B = append(b.B, p...)
	if b.check > 0 && len(b.B) >= b.check {
		if err := b.scan(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// WriteByte implements io.ByteWriter. The error is a [*ProtocolError].
func (b *Buffer) WriteByte(c byte) error {
	b.B = append(b.B, c)
	if b.check > 0 && len(b.B) >= b.check {
		return b.scan()
	}
	return nil
}

// begin starts a value behind what b holds, or an argument list.
func (b *Buffer) begin(args bool) {
	b.start = len(b.B)
	b.check = b.start + stride
	lim := b.Limits.OrDefault()
	if args {
		lim = wire.Limits{Bytes: wire.Plus(lim.Bytes, 1), Depth: wire.Plus(lim.Depth, 1), Elements: wire.Plus(lim.Elements, 1)}
	}
	b.scanner.Limits = lim
	b.scanner.Reset()
}

// scan looks at what was written of the value under way.
func (b *Buffer) scan() error {
	n, err := b.scanner.Frame(b.B[b.start:])
	b.check = len(b.B) + stride
	if n > 0 && b.start+n < len(b.B) {
		return wire.Whole(n, len(b.B)-b.start)
	}
	return err
}

// end demands that one whole value was written.
func (b *Buffer) end() error {
	b.check = 0
	n, err := b.scanner.Frame(b.B[b.start:])
	if err != nil {
		return err
	}
	return wire.Whole(n, len(b.B)-b.start)
}

// Carry implements [segment.Carrier].
func (b *Buffer) Carry(s *segment.Segment) (int, error) {
	for i, have := range b.Segments {
		if have == s {
			return i, nil
		}
	}
	if len(b.Segments) == MaxSegments {
		return 0, fmt.Errorf("%w: limit %d; send it in parts, or make the arrays views of fewer segments", wire.ErrTooManySegments, MaxSegments)
	}
	s.Retain()
	b.Segments = append(b.Segments, s)
	return len(b.Segments) - 1, nil
}

// Sent implements [segment.SentNotifier]: it lists the handle for AutoRelease.
func (b *Buffer) Sent(h segment.Received) { b.sent = append(b.sent, h) }
