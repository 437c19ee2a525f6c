package segment

import (
	"encoding/binary"
	"math"
	"slices"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// This file encodes and decodes references without the msgpack library, whose way to a field that encodes itself costs
// more than a call. AppendReference writes the very bytes that View.Encode writes. Both functions do only the common
// cases and leave the others, and the wording of every error, to View.Encode and View.Decode.

// fewDims is how many dimensions these functions take.
const fewDims = 4

// MaxDirect is how many MessagePack values [AppendReference] writes at most, the list of them included.
const MaxDirect = 1 + fixedFields + fewDims

// AppendReference appends what View.Encode writes for the shm.Array of kind k at p. It returns nil where the caller must
// use View.Encode instead; then a segment that it carried stays carried, and Sent may be called again.
func AppendReference(b []byte, p unsafe.Pointer, k Kind, to Outgoing) []byte {
	v := (*View)(p)
	if v.Handle == nil && v.Shape == nil {
		return append(b, msgpcode.Nil)
	}
	if len(v.Shape) > fewDims {
		return nil
	}
	b = append(b, msgpcode.FixedArrayLow|byte(fixedFields+len(v.Shape)))
	if v.Handle == nil {
		b = append(b, msgpcode.Nil)
	} else {
		s, err := v.Handle.send()
		if err != nil {
			return nil
		}
		index, err := to.Carry(s)
		if err == nil && s.mode == Frozen {
			to.Sent(v.Handle)
		}
		s.Release()
		if err != nil {
			return nil
		}
		b = appendNumber(b, uint64(index))
	}
	b = appendNumber(b, uint64(v.Offset))
	b = appendNumber(b, uint64(v.Len))
	b = append(b, byte(k))
	for _, n := range v.Shape {
		b = appendNumber(b, uint64(n))
	}
	return b
}

func appendNumber(b []byte, v uint64) []byte {
	switch {
	case v <= uint64(msgpcode.PosFixedNumHigh):
		return append(b, byte(v))
	case v <= math.MaxUint8:
		return append(b, msgpcode.Uint8, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, msgpcode.Uint16), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, msgpcode.Uint32), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, msgpcode.Uint64), v)
}

// ReadReference does what View.Decode does, with the shm.Array of kind k at p and the reference that raw begins with,
// and returns the length of that reference. It returns 0 where the caller must use View.Decode instead; then nothing has
// changed.
func ReadReference(raw []byte, p unsafe.Pointer, k Kind, from Source) int {
	v := (*View)(p)
	if len(raw) > 0 && raw[0] == msgpcode.Nil {
		*v = View{}
		return 1
	}
	if len(raw) < 2 {
		return 0
	}
	dims := int(raw[0]) - int(msgpcode.FixedArrayLow) - fixedFields
	if dims < 1 || dims > fewDims {
		return 0
	}
	var ref reference
	var numbers [fixedFields + fewDims]int64
	pos, i := 1, 0
	if ref.empty = raw[1] == msgpcode.Nil; ref.empty {
		pos, i = 2, 1
	}
	for ; i < fixedFields+dims; i++ {
		number, n := readNumber(raw[pos:])
		if n == 0 {
			return 0
		}
		numbers[i] = int64(number)
		pos += n
	}
	var shape [fewDims]int
	for i := range dims {
		shape[i] = int(numbers[fixedFields+i])
	}
	ref.index, ref.offset, ref.length, ref.kind = int(numbers[0]), numbers[1], numbers[2], numbers[3]
	ref.shape = shape[:dims]
	if ref.check(k) != nil {
		return 0
	}
	if ref.empty {
		*v = View{Shape: slices.Clone(ref.shape)}
		return pos
	}
	s, err := from.Segment(ref.index)
	if err != nil || ref.checkBounds(s.Size()) != nil {
		return 0
	}
	h := newHandle(s)
	from.Received(h)
	*v = View{Handle: h, Offset: ref.offset, Len: int(ref.length), Shape: append(h.dims[:0], ref.shape...)}
	return pos
}

// readNumber reads a number that is not negative. It refuses one that does not fit into an int, with size 0.
func readNumber(raw []byte) (v uint64, size int) {
	if len(raw) == 0 {
		return 0, 0
	}
	switch c := raw[0]; {
	case c <= msgpcode.PosFixedNumHigh:
		return uint64(c), 1
	case c == msgpcode.Uint8 && len(raw) >= 2:
		v, size = uint64(raw[1]), 2
	case c == msgpcode.Uint16 && len(raw) >= 3:
		v, size = uint64(binary.BigEndian.Uint16(raw[1:])), 3
	case c == msgpcode.Uint32 && len(raw) >= 5:
		v, size = uint64(binary.BigEndian.Uint32(raw[1:])), 5
	case c == msgpcode.Uint64 && len(raw) >= 9:
		v, size = binary.BigEndian.Uint64(raw[1:]), 9
	}
	if v > math.MaxInt {
		return 0, 0
	}
	return v, size
}

// Forget makes the shm.Array at p the zero value, without releasing it.
func Forget(p unsafe.Pointer) { *(*View)(p) = View{} }
