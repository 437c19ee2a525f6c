package segment

import (
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// A View is an array without the type of its elements, on which its layout does not depend: the part of a segment
// that an array shows. A shm.Array[T] is a View and nothing else. The zero View is the zero array.
type View struct {
	Handle *Handle // nil where there are no elements
	Offset int64   // bytes into the segment
	Len    int     // elements
	Shape  []int   // not changed after it is set, and never given away; nil for the zero array
}

// Describe returns the text that Array.String returns for a view of elements of kind k.
func (v View) Describe(k Kind) string {
	var state string
	switch {
	case v.Handle == nil:
		state = "empty"
	case v.Handle.seg.mode == Shared:
		state = "shared"
	case v.Handle.seg.Frozen():
		state = "frozen"
	default:
		state = "unfrozen"
	}
	return fmt.Sprintf("%s array %v of %s", state, v.Shape, k)
}

// Encode writes a reference to a view of elements of kind k: [index, offset in bytes, length in elements, kind,
// shape...]. The segment itself travels through the [Carrier] that enc writes to. A one-shot array is frozen first.
// A view without elements has no segment: its index is nil.
func (v View) Encode(enc *msgpack.Encoder, k Kind) error {
	if v.Handle == nil && v.Shape == nil {
		return enc.EncodeNil()
	}
	if v.Handle == nil {
		return v.encodeReference(enc, k, -1)
	}
	carrier, ok := enc.Writer().(Carrier)
	if !ok {
		return fmt.Errorf("shm: %s can only be sent in a message between actors: %T carries no segments", v.Describe(k), enc.Writer())
	}
	s, err := v.Handle.send()
	if err != nil {
		return err
	}
	defer s.Release()
	index, err := carrier.Carry(s)
	if err != nil {
		return fmt.Errorf("shm: send %s: %w", v.Describe(k), err)
	}
	if err := v.encodeReference(enc, k, index); err != nil {
		return err
	}
	if n, ok := carrier.(SentNotifier); ok && s.mode == Frozen {
		n.Sent(v.Handle)
	}
	return nil
}

func (v View) encodeReference(enc *msgpack.Encoder, k Kind, index int) error {
	if err := enc.EncodeArrayLen(fixedFields + len(v.Shape)); err != nil {
		return err
	}
	if index < 0 {
		if err := enc.EncodeNil(); err != nil {
			return err
		}
	} else if err := enc.EncodeInt(int64(index)); err != nil {
		return err
	}
	for _, n := range [...]int64{v.Offset, int64(v.Len), int64(k)} {
		if err := enc.EncodeInt(n); err != nil {
			return err
		}
	}
	for _, n := range v.Shape {
		if err := enc.EncodeInt(int64(n)); err != nil {
			return err
		}
	}
	return nil
}

// Decode reads a reference to elements of kind k and makes a new handle on its segment, which it reports to the
// [Source] that dec reads from. It checks the whole reference (type, shape, overflow, alignment, bounds) and maps
// nothing. The error is a *ReferenceError or the decoder's. Decode does not release the handle that v had before.
func (v *View) Decode(dec *msgpack.Decoder, k Kind) error {
	ref, err := decodeReference(dec)
	if err != nil {
		return err
	}
	if ref == nil {
		*v = View{}
		return nil
	}
	if err := ref.check(k); err != nil {
		return err
	}
	if ref.empty {
		*v = View{Shape: ref.shape}
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
	*v = View{Handle: h, Offset: ref.offset, Len: int(ref.length), Shape: ref.shape}
	return nil
}
