package segment

import (
	"errors"
	"fmt"
	"math"
	"reflect"
)

// A Kind names the element type of an array on the wire; 0 is none.
type Kind uint8

// The numbers are part of the wire and never change.
const (
	kindInt8 Kind = iota + 1
	kindInt16
	kindInt32
	kindInt64
	kindUint8
	kindUint16
	kindUint32
	kindUint64
	kindFloat32
	kindFloat64
	kindComplex64
	kindComplex128
)

// kinds has, by Kind, Go's kind and the alignment that a reference must have: that of the element, or of half of it
// for complex numbers. It is the same on every platform, unlike unsafe.Alignof.
var kinds = [...]struct {
	kind  reflect.Kind
	align int64
}{
	kindInt8:       {reflect.Int8, 1},
	kindInt16:      {reflect.Int16, 2},
	kindInt32:      {reflect.Int32, 4},
	kindInt64:      {reflect.Int64, 8},
	kindUint8:      {reflect.Uint8, 1},
	kindUint16:     {reflect.Uint16, 2},
	kindUint32:     {reflect.Uint32, 4},
	kindUint64:     {reflect.Uint64, 8},
	kindFloat32:    {reflect.Float32, 4},
	kindFloat64:    {reflect.Float64, 8},
	kindComplex64:  {reflect.Complex64, 4},
	kindComplex128: {reflect.Complex128, 8},
}

// Size returns the size of an element in bytes.
func (k Kind) Size() int64 {
	switch k {
	case kindComplex64, kindComplex128:
		return 2 * kinds[k].align
	}
	return kinds[k].align
}

func (k Kind) String() string {
	if k == 0 || int(k) >= len(kinds) {
		return fmt.Sprintf("unknown type %d", uint8(k))
	}
	return kinds[k].kind.String()
}

// KindOfElement returns the kind of arrays whose elements are of type t, named types included; 0 if there are none.
func KindOfElement(t reflect.Type) Kind {
	for k := range kinds {
		if k > 0 && kinds[k].kind == t.Kind() {
			return Kind(k)
		}
	}
	return 0
}

// KindOf returns the kind of t if t is a shm.Array[T], otherwise 0.
//
// An Array[T] is struct{ _ [0]T; view View }. A type that a program defines as an Array[T] has these fields, too, but
// not the methods: it is told apart by its package, which is not that of the field.
func KindOf(t reflect.Type) Kind {
	if t.Kind() != reflect.Struct || t.NumField() != 2 || t.Field(1).Type != reflect.TypeFor[View]() ||
		t.Field(0).Type.Kind() != reflect.Array || t.PkgPath() != t.Field(1).PkgPath {
		return 0
	}
	return KindOfElement(t.Field(0).Type.Elem())
}

// maxDims bounds the shape, of which a peer chooses the length. NumPy allowed 32 until its version 2.
const maxDims = 32

// Measure returns the number of elements and of bytes of an array. The error says why a shape describes none, without
// naming the shape.
func Measure(shape []int, k Kind) (n int, size int64, err error) {
	if len(shape) == 0 {
		return 0, 0, errors.New("an array has at least one dimension")
	}
	if len(shape) > maxDims {
		return 0, 0, fmt.Errorf("%d dimensions, %d is the most", len(shape), maxDims)
	}
	empty := false
	for _, d := range shape {
		if d < 0 {
			return 0, 0, errors.New("negative dimension")
		}
		empty = empty || d == 0
	}
	if empty { // also where the other dimensions would overflow
		return 0, 0, nil
	}
	n = 1
	for _, d := range shape {
		if n > math.MaxInt/d {
			return 0, 0, errors.New("the number of elements overflows")
		}
		n *= d
	}
	// Room for rounding up to a page must be left.
	if int64(n) > (math.MaxInt-1<<30)/k.Size() {
		return 0, 0, errors.New("the number of bytes overflows")
	}
	return n, int64(n) * k.Size(), nil
}
