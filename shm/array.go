package shm

import (
	"fmt"
	"slices"
	"unsafe"
)

// Number is what an array can hold: types whose size is the same on every machine.
type Number interface {
	~int8 | ~int16 | ~int32 | ~int64 |
		~uint8 | ~uint16 | ~uint32 | ~uint64 |
		~float32 | ~float64 | ~complex64 | ~complex128
}

// An Array is a row-major array of numbers in memory that can be handed to other processes without a copy: put it
// into a message as an ordinary field.
//
// An Array is a small value over one handle; copies and views share the handle, and Release on any of them ends all
// of them and every slice taken from them. The zero value is an array without elements. The methods are safe for
// concurrent use; the elements are ordinary memory and are not.
type Array[T Number] struct{ array }

// array is an Array without the type of its elements, on which its layout does not depend.
type array struct {
	h     *handle
	off   int64 // bytes into the segment
	n     int   // elements
	shape []int // never changed, never given away
}

// New makes an array of zeros with the given shape. Its maker writes to it until it is frozen, which [Array.Freeze]
// does, or sending it for the first time; after that nobody can, here or elsewhere.
//
// All memory is allocated now: shortage is an *AllocError here and not a crash later. A shape with a negative
// dimension, too many dimensions, or none, is a *ShapeError; a dimension of 0 is fine and needs no memory.
// The array takes one file descriptor and must be released, once, by whoever holds it.
func New[T Number](shape ...int) (Array[T], error) { return create[T](shape, Frozen) }

// NewShared makes an array of zeros that every process it is sent to can write to. There is no locking in it: let
// messages say whose turn it is. Otherwise it is like [New].
func NewShared[T Number](shape ...int) (Array[T], error) { return create[T](shape, Shared) }

func create[T Number](shape []int, mode Mode) (Array[T], error) {
	n, size, err := measure(shape, sizeOf[T]())
	if err != nil {
		return Array[T]{}, err
	}
	a := Array[T]{array{n: n, shape: slices.Clone(shape)}}
	if n == 0 {
		return a, nil
	}
	s, err := newSegment(size, mode)
	if err != nil {
		return Array[T]{}, err
	}
	a.h = makerHandle(s)
	return a, nil
}

// Slice returns the elements. The slice is valid until the handle is released; using it after that is a use of freed
// memory, which [SetStrict] turns into a fault. Writing to a frozen array is a fault, too: a crash, or a panic where
// [runtime/debug.SetPanicOnFault] is on, as it is in handlers.
//
// The memory is mapped by the first call. The error is ErrReleased or the system's refusal to map.
func (a Array[T]) Slice() ([]T, error) {
	if a.h == nil {
		return nil, nil
	}
	base, err := a.h.base()
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*T)(unsafe.Add(base, a.off)), a.n), nil
}

// Data is Slice for code that knows that its handle is valid: it panics instead.
func (a Array[T]) Data() []T {
	s, err := a.Slice()
	if err != nil {
		panic(err)
	}
	return s
}

// Len returns the number of elements, which is the product of the shape.
func (a Array[T]) Len() int { return a.n }

// Shape returns a copy of the dimensions. It is nil for the zero value.
func (a Array[T]) Shape() []int { return slices.Clone(a.shape) }

// View returns the part [lo, hi) along the first axis. It is another look through the same handle: it costs nothing
// and needs no release of its own. Bounds outside the array panic, as those of a slice do.
func (a Array[T]) View(lo, hi int) Array[T] {
	var rows int
	if len(a.shape) > 0 {
		rows = a.shape[0]
	}
	if lo < 0 || hi < lo || hi > rows {
		panic(fmt.Sprintf("shm: View(%d, %d) of an array with %d rows", lo, hi, rows))
	}
	if len(a.shape) == 0 {
		return a
	}
	v := Array[T]{array{shape: slices.Clone(a.shape)}}
	v.shape[0] = hi - lo
	if a.n == 0 || hi == lo {
		return v
	}
	row := a.n / rows
	v.h, v.off, v.n = a.h, a.off+int64(lo)*int64(row)*sizeOf[T](), (hi-lo)*row
	return v
}

// Freeze makes an array made by [New] read-only for good. Slices taken before stay valid, at the same address.
// Nobody may be writing to it at the time. To freeze again is no error. A shared array answers ErrShared; and where a
// writable mapping of the memory lives elsewhere in the process, the kernel refuses and the array stays as it was.
func (a Array[T]) Freeze() error {
	if a.h == nil {
		return nil
	}
	return a.h.freeze()
}

// Frozen reports whether nobody can write to the array any more, which is true of one without elements.
func (a Array[T]) Frozen() bool { return a.h == nil || a.h.seg.frozen.Load() }

// IsShared reports whether the array was made by [NewShared].
func (a Array[T]) IsShared() bool { return a.h != nil && a.h.seg.mode == Shared }

// Release ends the handle, with every copy, view and slice of it. It may be called any number of times. What has been
// sent is not touched by it: the message holds the memory itself.
func (a Array[T]) Release() {
	if a.h != nil {
		a.h.Release()
	}
}

// Keep makes the array the program's own and returns it. An array that came in a message is otherwise released when
// the handler returns; a frozen array that a handler returns is otherwise moved, that is, released by its sender.
// What is kept must be released by hand.
func (a Array[T]) Keep() Array[T] {
	if a.h != nil {
		a.h.kept.Store(true)
	}
	return a
}

// String describes the array, not its elements.
func (a Array[T]) String() string {
	var kind string
	switch {
	case a.h == nil:
		kind = "empty"
	case a.h.seg.mode == Shared:
		kind = "shared"
	case a.h.seg.frozen.Load():
		kind = "frozen"
	default:
		kind = "unfrozen"
	}
	return fmt.Sprintf("%s array %v of %s", kind, a.shape, codeOf[T]())
}
