package codec

import (
	"errors"
	"reflect"
	"sync/atomic"
	"unsafe"
)

// Codec encodes and decodes the values of one type, as [Encode], [Decode] and
// theirs for argument lists do. It knows its type: so it finds out about it
// once, and the values of the simple types that have a shape of their own need
// no memory besides what they consist of. The zero value is ready; it may be
// used by many goroutines, and must not be copied after its first use.
type Codec[T any] struct {
	plan atomic.Pointer[plan]
}

func (c *Codec[T]) know() *plan {
	if p := c.plan.Load(); p != nil {
		return p
	}
	p := planOf(reflect.TypeFor[T]())
	p.once.Do(func() {
		p.shape = shapeOf(reflect.TypeFor[T](), p)
		p.direct = callsItself(reflect.TypeFor[T](), p)
	})
	c.plan.Store(p)
	return p
}

// Plain tells whether a T is no more than its bytes: nothing in it encodes
// itself or refers to anything.
func (c *Codec[T]) Plain() bool {
	s := c.know().shape
	return s != nil && !s.refers
}

// Encode appends *v to buf: see [Encode].
func (c *Codec[T]) Encode(buf *Buffer, v *T, structsAsArrays bool) error {
	return c.encode(buf, v, structsAsArrays, false)
}

// EncodeArgs appends *v to buf as an argument list: see [EncodeArgs].
func (c *Codec[T]) EncodeArgs(buf *Buffer, v *T, structsAsArrays bool) error {
	return c.encode(buf, v, structsAsArrays, true)
}

// Decode decodes src into *v: see [Decode].
func (c *Codec[T]) Decode(src *Source, v *T) error { return c.decode(src, v, false) }

// DecodeArgs decodes an argument list into *v: see [DecodeArgs].
func (c *Codec[T]) DecodeArgs(src *Source, v *T) error { return c.decode(src, v, true) }

func (c *Codec[T]) encode(buf *Buffer, v *T, arrays, args bool) error {
	p := c.know()
	if p.shape != nil {
		sent := len(buf.sent)
		if p.shape.encode(buf, unsafe.Pointer(v), arrays, args) {
			return nil
		}
		buf.retract(sent)
	}
	if p.pointer {
		return encode(buf, *v, arrays, args)
	}
	copied := *v // the library's escapes
	addressable(&copied)
	if err := encode(buf, &copied, arrays, args); err != nil {
		if e := (*EncodeError)(nil); errors.As(err, &e) {
			e.Type = reflect.TypeFor[T]()
		}
		return err
	}
	return nil
}

func (c *Codec[T]) decode(src *Source, v *T, args bool) error {
	p := c.know()
	if p.shape != nil && src.pos == 0 && p.shape.decode(src, unsafe.Pointer(v), args) {
		src.pos = len(src.B)
		return nil
	}
	decoded := *v // the library's escapes
	err := decodeAs(src, &decoded, p, args)
	*v = decoded
	return err
}

// addressable gives a value in an interface an address if only its pointer can
// encode it.
func addressable[T any](v *T) {
	i := reflect.ValueOf(v).Elem()
	if i.Kind() != reflect.Interface || i.IsNil() || !planOf(i.Elem().Type()).addressable {
		return
	}
	p := reflect.New(i.Elem().Type())
	p.Elem().Set(i.Elem())
	if p.Type().AssignableTo(i.Type()) {
		i.Set(p)
	}
}
