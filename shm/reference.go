package shm

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

const (
	// maxDims bounds the shape, of which a peer chooses the length. NumPy allowed 32 until its version 2.
	maxDims = 32
	// fixedFields is the number of elements of a reference before the shape: index, offset, length, type code.
	fixedFields = 4
)

// A typeCode names an element type on the wire.
type typeCode uint8

// The numbers are part of the wire and never change.
const (
	codeInt8 typeCode = iota + 1
	codeInt16
	codeInt32
	codeInt64
	codeUint8
	codeUint16
	codeUint32
	codeUint64
	codeFloat32
	codeFloat64
	codeComplex64
	codeComplex128
)

// types has, by code, the kind and the alignment that a reference must have: that of the element, or of half of it
// for complex numbers. It is the same on every platform, unlike unsafe.Alignof.
var types = [...]struct {
	kind  reflect.Kind
	align int64
}{
	codeInt8:       {reflect.Int8, 1},
	codeInt16:      {reflect.Int16, 2},
	codeInt32:      {reflect.Int32, 4},
	codeInt64:      {reflect.Int64, 8},
	codeUint8:      {reflect.Uint8, 1},
	codeUint16:     {reflect.Uint16, 2},
	codeUint32:     {reflect.Uint32, 4},
	codeUint64:     {reflect.Uint64, 8},
	codeFloat32:    {reflect.Float32, 4},
	codeFloat64:    {reflect.Float64, 8},
	codeComplex64:  {reflect.Complex64, 4},
	codeComplex128: {reflect.Complex128, 8},
}

func (c typeCode) size() int64 {
	switch c {
	case codeComplex64, codeComplex128:
		return 2 * types[c].align
	}
	return types[c].align
}

func (c typeCode) String() string {
	if c == 0 || int(c) >= len(types) {
		return fmt.Sprintf("unknown type %d", uint8(c))
	}
	return types[c].kind.String()
}

// codeOf returns the code of T, named types included.
func codeOf[T Number]() typeCode {
	kind := reflect.TypeFor[T]().Kind()
	for c := range types {
		if types[c].kind == kind {
			return typeCode(c)
		}
	}
	panic("shm: unreachable: Number admits no other kind")
}

func sizeOf[T Number]() int64 {
	var zero T
	return int64(unsafe.Sizeof(zero))
}

// measure returns the number of elements and bytes of a shape.
func measure(shape []int, elem int64) (n int, size int64, err error) {
	bad := func(reason string) (int, int64, error) {
		return 0, 0, &ShapeError{Shape: append([]int(nil), shape...), Reason: reason}
	}
	if len(shape) == 0 {
		return bad("an array has at least one dimension")
	}
	if len(shape) > maxDims {
		return bad(fmt.Sprintf("%d dimensions, %d is the most", len(shape), maxDims))
	}
	empty := false
	for _, d := range shape {
		if d < 0 {
			return bad("negative dimension")
		}
		empty = empty || d == 0
	}
	if empty { // also where the other dimensions would overflow
		return 0, 0, nil
	}
	n = 1
	for _, d := range shape {
		if n > math.MaxInt/d {
			return bad("the number of elements overflows")
		}
		n *= d
	}
	// Room for rounding up to a page must be left.
	if int64(n) > (math.MaxInt-1<<30)/elem {
		return bad("the number of bytes overflows")
	}
	return n, int64(n) * elem, nil
}

// A reference is what travels in a message instead of an array's elements.
type reference struct {
	empty          bool // no elements, hence no segment
	index          int
	offset, length int64
	code           int64
	shape          []int
}

// decodeReference reads a reference without judging it; nil is the zero array. It allocates no more than maxDims
// integers, whatever the message claims.
func decodeReference(dec *msgpack.Decoder) (*reference, error) {
	n, err := dec.DecodeArrayLen()
	if err != nil {
		return nil, &ReferenceError{Reason: "not an array of integers", Err: err}
	}
	if n == -1 {
		return nil, nil
	}
	if n <= fixedFields || n > fixedFields+maxDims {
		return nil, &ReferenceError{Reason: fmt.Sprintf("%d elements, want %d to %d", n, fixedFields+1, fixedFields+maxDims)}
	}
	var ref reference
	code, err := dec.PeekCode()
	if err != nil {
		return nil, &ReferenceError{Reason: "index", Err: err}
	}
	if ref.empty = code == msgpcode.Nil; ref.empty {
		err = dec.DecodeNil()
	} else {
		var index int64
		if index, err = decodeInt(dec); err == nil && index != int64(int(index)) {
			err = fmt.Errorf("%d is too large", index)
		}
		ref.index = int(index)
	}
	if err != nil {
		return nil, &ReferenceError{Reason: "index", Err: err}
	}
	for _, f := range [...]struct {
		name string
		to   *int64
	}{{"offset", &ref.offset}, {"length", &ref.length}, {"type", &ref.code}} {
		if *f.to, err = decodeInt(dec); err != nil {
			return nil, &ReferenceError{Reason: f.name, Err: err}
		}
	}
	ref.shape = make([]int, n-fixedFields)
	for i := range ref.shape {
		d, err := decodeInt(dec)
		if err == nil && d != int64(int(d)) {
			err = fmt.Errorf("%d is too large", d)
		}
		if err != nil {
			return nil, &ReferenceError{Reason: fmt.Sprintf("dimension %d", i), Err: err}
		}
		ref.shape[i] = int(d)
	}
	return &ref, nil
}

// decodeInt reads an integer and, unlike the library, takes neither nil for 0 nor floats. An unsigned number beyond
// int64 comes out negative, which every check refuses.
func decodeInt(dec *msgpack.Decoder) (int64, error) {
	code, err := dec.PeekCode()
	if err != nil {
		return 0, err
	}
	if msgpcode.IsFixedNum(code) || code >= msgpcode.Uint8 && code <= msgpcode.Int64 {
		return dec.DecodeInt64()
	}
	return 0, fmt.Errorf("not an integer (code %#02x)", code)
}

// check tests what can be tested without the segment.
func (r *reference) check(want typeCode) error {
	bad := func(format string, args ...any) error {
		return &ReferenceError{Reason: fmt.Sprintf(format, args...)}
	}
	if r.code != int64(want) {
		got := fmt.Sprintf("unknown type %d", r.code)
		if r.code > 0 && r.code < int64(len(types)) {
			got = typeCode(r.code).String()
		}
		return bad("elements are %s, want %s", got, want)
	}
	n, _, err := measure(r.shape, want.size())
	if err != nil {
		return &ReferenceError{Reason: "impossible shape", Err: err}
	}
	if int64(n) != r.length {
		return bad("%d elements do not fill the shape %v", r.length, slices.Clone(r.shape)) // which need not escape
	}
	if r.empty != (n == 0) {
		return bad("an array has a segment if and only if it has elements (shape %v)", slices.Clone(r.shape))
	}
	if r.offset < 0 || r.empty && r.offset != 0 {
		return bad("offset %d", r.offset)
	}
	if r.offset%types[want].align != 0 {
		return bad("offset %d is not aligned for %s", r.offset, want)
	}
	if r.index < 0 {
		return bad("segment index %d", r.index)
	}
	return nil
}

// checkBounds tests, after check, that the elements lie within a segment of the given size.
func (r *reference) checkBounds(size int64) error {
	bytes := r.length * typeCode(r.code).size() // check has excluded overflow
	if bytes > size || r.offset > size-bytes {
		return &ReferenceError{Reason: fmt.Sprintf("%d bytes at offset %d leave the segment of %d bytes", bytes, r.offset, size)}
	}
	return nil
}
