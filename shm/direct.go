package shm

import (
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// References without the msgpack library, whose way to a field that encodes itself costs more than a call. What is here
// writes the very bytes that the library writes, and does only what it is sure of: the rest, and every error's wording,
// is left to EncodeMsgpack and DecodeMsgpack.

// fewDims is how many dimensions are dealt with here.
const fewDims = 4

// MaxDirect is how many MessagePack values [AppendReference] writes at most, the list of them included.
const MaxDirect = 1 + fixedFields + fewDims

// A Kind stands for a type Array[T]; 0 for none.
type Kind uint8

// KindOf returns the kind of t if it is an Array of anything.
func KindOf(t reflect.Type) Kind {
	if t.Kind() != reflect.Struct {
		return 0
	}
	// A type with an embedded array has its methods, too.
	if a, ok := reflect.Zero(t).Interface().(interface{ kind() (reflect.Type, Kind) }); ok {
		if of, k := a.kind(); of == t {
			return k
		}
	}
	return 0
}

func (a Array[T]) kind() (reflect.Type, Kind) { return reflect.TypeFor[Array[T]](), Kind(codeOf[T]()) }

// Outgoing is the message that is being encoded.
type Outgoing interface {
	Carrier
	SentNotifier
}

// AppendReference appends what EncodeMsgpack writes for the array of kind k at p. It returns nil where that has to
// decide: then what it carried stays carried, and what it has told of is to be told of again.
func AppendReference(b []byte, p unsafe.Pointer, k Kind, to Outgoing) []byte {
	a := (*array)(p)
	if a.h == nil && a.shape == nil {
		return append(b, msgpcode.Nil)
	}
	if len(a.shape) > fewDims {
		return nil
	}
	b = append(b, msgpcode.FixedArrayLow|byte(fixedFields+len(a.shape)))
	if a.h == nil {
		b = append(b, msgpcode.Nil)
	} else {
		s, err := a.h.send()
		if err != nil {
			return nil
		}
		index, err := to.Carry(s)
		if err == nil && s.mode == Frozen {
			to.Sent(a.h)
		}
		s.Release()
		if err != nil {
			return nil
		}
		b = appendNumber(b, uint64(index))
	}
	b = appendNumber(b, uint64(a.off))
	b = appendNumber(b, uint64(a.n))
	b = append(b, byte(k))
	for _, n := range a.shape {
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

// ReadReference does what DecodeMsgpack does, with the array of kind k at p and the reference that raw begins with,
// and returns how long that is. It returns 0 where DecodeMsgpack has to decide; then nothing has happened.
func ReadReference(raw []byte, p unsafe.Pointer, k Kind, from Source) int {
	a := (*array)(p)
	if len(raw) > 0 && raw[0] == msgpcode.Nil {
		*a = array{}
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
		v, n := readNumber(raw[pos:])
		if n == 0 {
			return 0
		}
		numbers[i] = int64(v)
		pos += n
	}
	var shape [fewDims]int
	for i := range dims {
		shape[i] = int(numbers[fixedFields+i])
	}
	ref.index, ref.offset, ref.length, ref.code = int(numbers[0]), numbers[1], numbers[2], numbers[3]
	ref.shape = shape[:dims]
	if ref.check(typeCode(k)) != nil {
		return 0
	}
	if ref.empty {
		*a = array{shape: slices.Clone(ref.shape)}
		return pos
	}
	s, err := from.Segment(ref.index)
	if err != nil || ref.checkBounds(s.Size()) != nil {
		return 0
	}
	h := newHandle(s)
	from.Received(h)
	*a = array{h: h, off: ref.offset, n: int(ref.length), shape: append(h.dims[:0], ref.shape...)}
	return pos
}

// readNumber reads a number that is not negative and fits into an int everywhere or is refused.
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

// Forget makes the array at p the zero value, without releasing it.
func Forget(p unsafe.Pointer) { *(*array)(p) = array{} }
