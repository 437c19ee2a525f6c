package actor

import (
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/codec"
)

// discard does to a handler's result or item that nobody will get what sending
// it would have done: the arrays in it, unless kept, are the handler's no more.
func (inv *invocation) discard(v any) {
	if v == nil || !encodesItself(reflect.TypeOf(v)) {
		return
	}
	buf := codec.GetBuffer()
	defer codec.PutBuffer(buf)
	_ = codec.Encode(buf, v, true) // what cannot be encoded would not have been sent
	buf.AutoRelease()
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
