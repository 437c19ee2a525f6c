package shm

import (
	"fmt"
	"reflect"
	"slices"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/segment"
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
type Array[T Number] struct {
	_    [0]T // an Array cannot be converted to one of another type; internal/segment finds T here
	view segment.View
}

// New makes an array of zeros with the given shape. Its maker writes to it until it is frozen, which [Array.Freeze]
// does, or sending it for the first time; after that no process can.
//
// All memory is allocated now: shortage is an *AllocError here and not a crash later. A shape with a negative
// dimension, too many dimensions, or none, is a *ShapeError; a dimension of 0 is fine and needs no memory.
// The array takes one file descriptor and must be released once in every process that has it.
func New[T Number](shape ...int) (Array[T], error) { return create[T](shape, segment.Frozen) }

// NewShared makes an array of zeros that every process it is sent to can write to. There is no locking in it: let
// messages say whose turn it is. Otherwise it is like [New].
func NewShared[T Number](shape ...int) (Array[T], error) { return create[T](shape, segment.Shared) }

func create[T Number](shape []int, mode segment.Mode) (Array[T], error) {
	n, size, err := segment.Measure(shape, kindOf[T]())
	if err != nil {
		return Array[T]{}, &ShapeError{Shape: slices.Clone(shape), Reason: err.Error()}
	}
	a := Array[T]{view: segment.View{Len: n, Shape: slices.Clone(shape)}}
	if n == 0 {
		return a, nil
	}
	h, left, err := segment.New(size, mode)
	if err != nil {
		return Array[T]{}, &AllocError{Bytes: size, Limit: left, Err: err}
	}
	a.view.Handle = h
	return a, nil
}

// kindOf returns the name of T on the wire.
func kindOf[T Number]() segment.Kind { return segment.KindOfElement(reflect.TypeFor[T]()) }

// Slice returns the elements. The slice is valid until the handle is released; using it after that is a use of freed
// memory, which [SetStrict] turns into a fault. Writing to a frozen array is a fault, too: a crash, or a panic where
// [runtime/debug.SetPanicOnFault] is on, as it is in handlers.
//
// The memory is mapped by the first call. The error is ErrReleased or the system's refusal to map.
func (a Array[T]) Slice() ([]T, error) {
	if a.view.Handle == nil {
		return nil, nil
	}
	base, err := a.view.Handle.Base()
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*T)(unsafe.Add(base, a.view.Offset)), a.view.Len), nil
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
func (a Array[T]) Len() int { return a.view.Len }

// Shape returns a copy of the dimensions. It is nil for the zero value.
func (a Array[T]) Shape() []int { return slices.Clone(a.view.Shape) }

// View returns the part [lo, hi) along the first axis. It is another look through the same handle: it costs nothing
// and needs no release of its own. Bounds outside the array panic, as those of a slice do.
func (a Array[T]) View(lo, hi int) Array[T] {
	var rows int
	if len(a.view.Shape) > 0 {
		rows = a.view.Shape[0]
	}
	if lo < 0 || hi < lo || hi > rows {
		panic(fmt.Sprintf("shm: View(%d, %d) of an array with %d rows", lo, hi, rows))
	}
	if len(a.view.Shape) == 0 {
		return a
	}
	v := segment.View{Shape: slices.Clone(a.view.Shape)}
	v.Shape[0] = hi - lo
	if a.view.Len > 0 && hi > lo {
		row := a.view.Len / rows
		v.Handle = a.view.Handle
		v.Offset = a.view.Offset + int64(lo)*int64(row)*int64(unsafe.Sizeof(*new(T)))
		v.Len = (hi - lo) * row
	}
	return Array[T]{view: v}
}

// Freeze makes an array made by [New] read-only for good. Slices taken before stay valid, at the same address.
// No goroutine may write to it at the time. To freeze again is no error. A shared array answers ErrShared; and where a
// writable mapping of the memory lives elsewhere in the process, the kernel refuses and the array stays as it was.
func (a Array[T]) Freeze() error {
	if a.view.Handle == nil {
		return nil
	}
	return a.view.Handle.Freeze()
}

// Frozen reports whether no process can write to the array any more, which is true of one without elements.
func (a Array[T]) Frozen() bool { return a.view.Handle == nil || a.view.Handle.Segment().Frozen() }

// IsShared reports whether the array was made by [NewShared].
func (a Array[T]) IsShared() bool {
	return a.view.Handle != nil && a.view.Handle.Segment().Mode() == segment.Shared
}

// Release ends the handle, with every copy, view and slice of it. It may be called any number of times. It does not
// touch what has been sent: a message has its own reference to the memory.
func (a Array[T]) Release() {
	if a.view.Handle != nil {
		a.view.Handle.Release()
	}
}

// Keep makes the array the program's own and returns it. An array that came in a message is otherwise released when
// the handler returns; a frozen array that a handler returns is otherwise moved, that is, released by its sender.
// What is kept must be released by hand.
func (a Array[T]) Keep() Array[T] {
	if a.view.Handle != nil {
		a.view.Handle.Keep()
	}
	return a
}

// String describes the array, not its elements.
func (a Array[T]) String() string { return a.view.Describe(kindOf[T]()) }

var (
	_ msgpack.CustomEncoder = Array[uint8]{}
	_ msgpack.CustomDecoder = (*Array[uint8])(nil)
)

// EncodeMsgpack writes a reference to the array: [index, offset in bytes, length in elements, element type, shape...].
// The memory itself travels beside the message, so that only a message between actors can have an array in it. A
// one-shot array is frozen by it.
func (a Array[T]) EncodeMsgpack(enc *msgpack.Encoder) error { return a.view.Encode(enc, kindOf[T]()) }

// DecodeMsgpack reads a reference and makes a new handle on its memory. It checks the whole reference and maps nothing.
// It does not release the handle that a had before.
func (a *Array[T]) DecodeMsgpack(dec *msgpack.Decoder) error { return a.view.Decode(dec, kindOf[T]()) }
