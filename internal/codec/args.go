package codec

import (
	"errors"
	"fmt"
	"reflect"
)

// argsType is the marker that makes a struct an argument list: embedded in it, or
// the type of a field named _. Then each exported field is one argument, in order.
//
//	type Open struct {
//		actor.Args
//		Path string
//		Line int
//	}
//
// stands for the parameters (path, line) of a method, where any other type
// stands for one parameter. So does a pointer to such a struct. A struct that has
// an argument of the name Args writes the marker as _ actor.Args.
var argsType reflect.Type

// RegisterArgs says which type is the marker of argument lists. It is called once,
// while the package that declares the marker for users is initialized: before any
// type is looked at.
func RegisterArgs(marker reflect.Type) { argsType = marker }

// isNothing tells whether t is a struct type without fields. Such a value is
// nothing: as arguments the empty list, as a result nil.
func isNothing(t reflect.Type) bool { return t.Kind() == reflect.Struct && t.NumField() == 0 }

// ErrArguments is why an argument list is refused that is longer or shorter
// than the method's.
var ErrArguments = errors.New("wrong number of arguments")

// EncodeArgs appends v, which may be a pointer to it, to buf as an argument
// list: [] for a struct type without fields, an element per exported field for
// a struct with the marker (see [RegisterArgs]), and [v] for anything else. See Encode.
func EncodeArgs(buf *Buffer, v any, structsAsArrays bool) error {
	return encode(buf, v, structsAsArrays, true)
}

// DecodeArgs decodes an argument list into what v points to. The number of
// arguments must be the one that [EncodeArgs] produces. See Decode.
func DecodeArgs(src *Source, v any) error {
	return decode(src, v, true)
}

// argsOf finds the arguments of an argument list type; ok is false for others.
func argsOf(t reflect.Type) (fields []int, ok bool) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if isNothing(t) {
		return nil, true
	}
	if t.Kind() != reflect.Struct {
		return nil, false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case f.Type == argsType && (f.Anonymous || f.Name == "_"):
			ok = true
		case f.IsExported() && f.Tag.Get("msgpack") != "-":
			fields = append(fields, i)
		}
	}
	return fields, ok
}

func checkArguments(got, want int) error {
	if got != want {
		return fmt.Errorf("%w: %d, want %d", ErrArguments, got, want)
	}
	return nil
}
