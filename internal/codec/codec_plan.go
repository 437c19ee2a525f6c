package codec

import (
	"encoding"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// plan is what the codec has to know about a type beyond what the msgpack
// library finds out by itself.
type plan struct {
	isArgs      bool  // an argument list by itself, with the
	args        []int // exported fields
	any         bool  // holds interfaces, whose contents are checked before encoding
	settles     bool  // holds interfaces or times, which are put right after decoding
	lists       bool  // its structs may be lists of their fields: the receiver cannot tell
	addressable bool  // holds a type that only its pointer can encode
	interned    bool  // has fields with the tag option "intern"
	pointer     bool  // a pointer: encoded without a copy
	self        bool  // it decodes itself
	err         error // why such values cannot travel

	makes  uintptr     // how much memory one element of a message can make at most; 0: none
	fields *wireFields // of a struct that does not decode itself

	once   sync.Once // for what only a [Codec] has use for, and is made when it first has
	shape  *shape
	direct bool // it encodes and decodes itself, and that is called without the library's ado
}

var plans sync.Map // reflect.Type -> *plan

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{}
	if e := faultOf(t); e != nil {
		p.err = e
	}
	p.args, p.isArgs = argsOf(t)
	p.pointer = t.Kind() == reflect.Pointer
	parts := partsOf(t)
	for part := range parts {
		p.any = p.any || part.Kind() == reflect.Interface && part.NumMethod() == 0
		p.interned = p.interned || hasInterned(part)
	}
	p.self = t == timeType || opaque(t)
	if t.Kind() == reflect.Struct && !p.self {
		p.fields, _ = fieldsOf(t)
	}
	reaches(t, func(part reflect.Type) bool { p.makes += makes(part); return false })
	p.settles = p.any || holdsTimes(t)
	p.lists = !wantsMaps(t)
	p.addressable = wantsAddress(t)
	if p.interned && p.err == nil {
		for part := range parts {
			if part.Kind() == reflect.Map && partsOf(part.Elem())[part] {
				p.err = errInterned
			}
		}
	}
	actual, _ := plans.LoadOrStore(t, p)
	return actual.(*plan)
}

// makes is the size of what decoding makes for one element inside a value of
// type t, what is inside that left aside.
func makes(t reflect.Type) uintptr {
	if t.Kind() == reflect.Pointer {
		return t.Elem().Size()
	}
	if opaque(t) {
		return 0
	}
	switch t.Kind() {
	case reflect.Slice:
		return max(t.Elem().Size(), 1)
	case reflect.Map:
		return 48 + 2*(t.Key().Size()+t.Elem().Size())
	case reflect.Interface:
		return interfaceSize
	case reflect.Struct:
		if fs, _ := fieldsOf(t); fs != nil {
			return fs.embedded
		}
	}
	return 0
}

// errInterned: an index into the interned strings can be taken for the header
// of a map, and in a type of maps within maps there is no end to that.
var errInterned = errors.New(`the tag option "intern" does not go together with a map type that contains itself`)

// partsOf returns t and every type that the msgpack library finds inside it.
func partsOf(t reflect.Type) map[reflect.Type]bool {
	parts := make(map[reflect.Type]bool)
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		if parts[t] || opaque(t) {
			return
		}
		parts[t] = true
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array:
			walk(t.Elem())
		case reflect.Map:
			walk(t.Key())
			walk(t.Elem())
		case reflect.Struct:
			for i := range t.NumField() {
				if f := t.Field(i); travels(f) {
					walk(f.Type)
				}
			}
		}
	}
	walk(t)
	return parts
}

// travels tells whether the msgpack library looks at a field.
func travels(f reflect.StructField) bool {
	return (f.IsExported() || f.Anonymous) && f.Tag.Get("msgpack") != "-"
}

func hasInterned(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		options := strings.Split(f.Tag.Get("msgpack"), ",")
		if travels(f) && slices.Contains(options[1:], "intern") {
			return true
		}
	}
	return false
}

var (
	decoderTypes = []reflect.Type{
		reflect.TypeFor[msgpack.CustomDecoder](), reflect.TypeFor[msgpack.Unmarshaler](),
		reflect.TypeFor[encoding.BinaryUnmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	}
	encoderTypes = []reflect.Type{
		reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.Marshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.TextMarshaler](),
	}
)

// opaque tells whether a type decodes itself.
func opaque(t reflect.Type) bool {
	if t.Kind() == reflect.Interface {
		return false
	}
	p := t
	if t.Kind() != reflect.Pointer {
		p = reflect.PointerTo(t)
	}
	return slices.ContainsFunc(decoderTypes, p.Implements)
}

// wantsAddress tells whether the library needs a t that has an address to
// encode it: it contains, by value, one whose pointer alone has the method, or
// an array of bytes of a named type.
func wantsAddress(t reflect.Type) bool {
	if slices.ContainsFunc(encoderTypes, t.Implements) {
		return false
	}
	if slices.ContainsFunc(encoderTypes, reflect.PointerTo(t).Implements) {
		return true
	}
	switch t.Kind() {
	case reflect.Array:
		e := t.Elem()
		return e.Kind() == reflect.Uint8 && e != reflect.TypeFor[byte]() || wantsAddress(e)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); travels(f) && wantsAddress(f.Type) {
				return true
			}
		}
	}
	return false
}
