package shm

import (
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
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

// A Source gives the segments that came with the message that is being decoded. It is the reader of the msgpack
// decoder.
type Source interface {
	// Segment returns the segment with the given index, held by the source for as long as decoding takes.
	Segment(index int) (*Segment, error)
	// Received is told of every handle that decoding makes, also if the message turns out bad later.
	Received(h Received)
}

// Received is a handle as the runtime sees it.
type Received interface {
	// AutoRelease releases the handle unless the program said Keep. It may be called more than once.
	AutoRelease()
}

var (
	_ msgpack.CustomEncoder = Array[uint8]{}
	_ msgpack.CustomDecoder = (*Array[uint8])(nil)
)

// EncodeMsgpack writes a reference to the array: [index, offset in bytes, length in elements, type code, shape...].
// The memory itself travels as a segment through the [Carrier]; without one the array cannot be encoded. A one-shot
// array is frozen by it. An array without elements has no segment: its index is nil.
func (a Array[T]) EncodeMsgpack(enc *msgpack.Encoder) error {
	if a.h == nil && a.shape == nil {
		return enc.EncodeNil()
	}
	if a.h == nil {
		return a.encodeReference(enc, -1)
	}
	carrier, ok := enc.Writer().(Carrier)
	if !ok {
		return fmt.Errorf("shm: %v can only be sent in a message between actors: %T carries no segments", a, enc.Writer())
	}
	s, err := a.h.send()
	if err != nil {
		return err
	}
	defer s.Release()
	index, err := carrier.Carry(s)
	if err != nil {
		return fmt.Errorf("shm: send %v: %w", a, err)
	}
	if err := a.encodeReference(enc, index); err != nil {
		return err
	}
	if n, ok := carrier.(SentNotifier); ok && s.mode == Frozen {
		n.Sent(a.h)
	}
	return nil
}

func (a Array[T]) encodeReference(enc *msgpack.Encoder, index int) error {
	if err := enc.EncodeArrayLen(fixedFields + len(a.shape)); err != nil {
		return err
	}
	if index < 0 {
		if err := enc.EncodeNil(); err != nil {
			return err
		}
	} else if err := enc.EncodeInt(int64(index)); err != nil {
		return err
	}
	for _, n := range [...]int64{a.off, int64(a.n), int64(codeOf[T]())} {
		if err := enc.EncodeInt(n); err != nil {
			return err
		}
	}
	for _, n := range a.shape {
		if err := enc.EncodeInt(int64(n)); err != nil {
			return err
		}
	}
	return nil
}

// DecodeMsgpack reads a reference and makes a new handle on its segment, which it reports to the [Source]. The
// reference is checked in full (type, shape, overflow, alignment, bounds); nothing is mapped. The error is a
// *ReferenceError. The handle that a held before, if any, is not released.
func (a *Array[T]) DecodeMsgpack(dec *msgpack.Decoder) error {
	ref, err := decodeReference(dec)
	if err != nil {
		return err
	}
	if ref == nil {
		*a = Array[T]{}
		return nil
	}
	if err := ref.check(codeOf[T]()); err != nil {
		return err
	}
	if ref.empty {
		a.array = array{shape: ref.shape}
		return nil
	}
	src, ok := dec.Buffered().(Source)
	if !ok {
		return &ReferenceError{Reason: fmt.Sprintf("no segments can come with a message read from %T", dec.Buffered())}
	}
	s, err := src.Segment(ref.index)
	if err != nil {
		return &ReferenceError{Reason: fmt.Sprintf("segment %d", ref.index), Err: err}
	}
	if err := ref.checkBounds(s.Size()); err != nil {
		return err
	}
	h := newHandle(s)
	src.Received(h)
	a.array = array{h: h, off: ref.offset, n: int(ref.length), shape: ref.shape}
	return nil
}
