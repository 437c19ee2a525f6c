package codec

import (
	"errors"
	"fmt"
	"reflect"
)

// NoArgs is the request type of a method without arguments: its argument list
// is empty.
type NoArgs struct{}

// Args, embedded in a struct, makes the struct an argument list: each exported
// field is one argument, in order.
//
//	type Open struct {
//		mailbox.Args
//		Path string
//		Line int
//	}
//
// stands for the parameters (path, line) of a method, where any other type
// stands for one parameter.
type Args struct{}

var (
	noArgsType = reflect.TypeFor[NoArgs]()
	argsType   = reflect.TypeFor[Args]()
)

// ErrArguments is why an argument list is refused that is longer or shorter
// than the method's.
var ErrArguments = errors.New("wrong number of arguments")

// EncodeArgs appends v, which may be a pointer to it, to buf as an argument
// list: [] for [NoArgs], an element per exported field for a struct that
// embeds [Args], and [v] for anything else. See Encode.
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
	if t == noArgsType {
		return nil, true
	}
	if t.Kind() != reflect.Struct {
		return nil, false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case f.Anonymous && f.Type == argsType:
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
