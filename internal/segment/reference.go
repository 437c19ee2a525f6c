package segment

import (
	"fmt"
	"slices"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// fixedFields is the number of elements of a reference before the shape: index, offset, length, kind.
const fixedFields = 4

// A reference is what travels in a message instead of an array's elements.
type reference struct {
	empty          bool // no elements, hence no segment
	index          int
	offset, length int64
	kind           int64
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
	}{{"offset", &ref.offset}, {"length", &ref.length}, {"type", &ref.kind}} {
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
func (r *reference) check(want Kind) error {
	bad := func(format string, args ...any) error {
		return &ReferenceError{Reason: fmt.Sprintf(format, args...)}
	}
	if r.kind != int64(want) {
		got := fmt.Sprintf("unknown type %d", r.kind)
		if r.kind > 0 && r.kind < int64(len(kinds)) {
			got = Kind(r.kind).String()
		}
		return bad("elements are %s, want %s", got, want)
	}
	n, _, err := Measure(r.shape, want)
	if err != nil {
		return bad("impossible shape %v: %v", slices.Clone(r.shape), err) // a clone, so that the shape need not escape
	}
	if int64(n) != r.length {
		return bad("%d elements do not fill the shape %v", r.length, slices.Clone(r.shape))
	}
	if r.empty != (n == 0) {
		return bad("an array has a segment if and only if it has elements (shape %v)", slices.Clone(r.shape))
	}
	if r.offset < 0 || r.empty && r.offset != 0 {
		return bad("offset %d", r.offset)
	}
	if r.offset%kinds[want].align != 0 {
		return bad("offset %d is not aligned for %s", r.offset, want)
	}
	if r.index < 0 {
		return bad("segment index %d", r.index)
	}
	return nil
}

// checkBounds tests, after check, that the elements lie within a segment of the given size.
func (r *reference) checkBounds(size int64) error {
	bytes := r.length * Kind(r.kind).Size() // check has excluded overflow
	if bytes > size || r.offset > size-bytes {
		return &ReferenceError{Reason: fmt.Sprintf("%d bytes at offset %d leave the segment of %d bytes", bytes, r.offset, size)}
	}
	return nil
}
