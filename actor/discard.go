package actor

import (
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/codec"
)

// discard does to a handler's result or item that has no receiver what sending
// it would have done: the arrays in it, unless kept, are the handler's no more.
// It takes the value apart, for the whole may be what cannot be encoded.
func discard[T any](coding *codec.Codec[T], v *T) {
	if coding.Plain() || !encodesItself(reflect.TypeFor[T]()) {
		return
	}
	r := reflect.ValueOf(v).Elem() // addressable, for types whose pointer encodes
	if r.IsZero() {
		return
	}
	d := discarder{buf: codec.GetBuffer(), seen: make(map[any]bool)}
	defer codec.PutBuffer(d.buf)
	d.value(r)
}

type discarder struct {
	buf  *codec.Buffer
	seen map[any]bool // pointers and maps that were visited: a value may contain itself
}

func (d *discarder) value(v reflect.Value) {
	t := v.Type()
	if !encodesItself(t) {
		return
	}
	if t.Kind() != reflect.Interface && t.Implements(customEncoder) || reflect.PointerTo(t).Implements(customEncoder) {
		if v.CanInterface() {
			d.buf.Reset()
			_ = codec.Encode(d.buf, v.Interface(), false) // what cannot be encoded holds no array
			d.buf.AutoRelease()
		}
		return
	}
	switch t.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			d.value(v.Elem())
		}
	case reflect.Pointer:
		if !v.IsNil() && d.first(v) {
			d.value(v.Elem())
		}
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() || f.Anonymous {
				d.value(v.Field(i))
			}
		}
	case reflect.Slice:
		if v.Len() > 0 && d.first(v) {
			d.elements(v)
		}
	case reflect.Array:
		d.elements(v)
	case reflect.Map:
		if v.Len() > 0 && d.first(v) {
			for iter := v.MapRange(); iter.Next(); {
				d.value(iter.Key())
				d.value(iter.Value())
			}
		}
	}
}

func (d *discarder) elements(v reflect.Value) {
	for i := range v.Len() {
		d.value(v.Index(i))
	}
}

// first is true for what was not visited before.
func (d *discarder) first(v reflect.Value) bool {
	key := [3]any{v.Type(), v.Pointer(), 0}
	if v.Kind() == reflect.Slice {
		key[2] = v.Len()
	}
	if d.seen[key] {
		return false
	}
	d.seen[key] = true
	return true
}

var (
	customEncoder = reflect.TypeFor[msgpack.CustomEncoder]()
	selfEncoding  sync.Map // reflect.Type -> bool
)

// encodesItself reports whether a value of type t may hold one with an encoder
// of its own, as arrays have.
func encodesItself(t reflect.Type) bool {
	if known, ok := selfEncoding.Load(t); ok {
		return known.(bool)
	}
	may := mayEncodeItself(t, make(map[reflect.Type]bool))
	selfEncoding.Store(t, may)
	return may
}

func mayEncodeItself(t reflect.Type, seen map[reflect.Type]bool) bool {
	if t.Implements(customEncoder) || reflect.PointerTo(t).Implements(customEncoder) || t.Kind() == reflect.Interface {
		return true
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return mayEncodeItself(t.Elem(), seen)
	case reflect.Map:
		return mayEncodeItself(t.Key(), seen) || mayEncodeItself(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if mayEncodeItself(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}
