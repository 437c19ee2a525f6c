package codec

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/wire"
)

func TestEncodeFails(t *testing.T) {
	type node struct {
		Next *node
		More []any
	}
	circle := &node{}
	circle.Next = circle
	type wide struct {
		Data [5000]byte
		Next *wide
	}
	wideCircle := &wide{}
	wideCircle.Next = wideCircle
	list := []any{nil}
	list[0] = list
	deep := any(1)
	for range 100 {
		deep = []any{deep}
	}
	var nilArgs *none
	type maps map[string]maps
	for _, tc := range []struct {
		name string
		v    any
		want error
		args bool
	}{
		{"its own error", &own{"error"}, io.ErrClosedPipe, false},
		{"nothing written", &own{"nothing"}, wire.ErrMalformed, false},
		{"two values", &own{"two"}, wire.ErrMalformed, false},
		{"half a value", &own{"half"}, wire.ErrMalformed, false},
		{"junk", &own{"junk"}, wire.ErrMalformed, false},
		{"no end", []any{&own{"endless"}}, wire.ErrMalformed, false},
		{"nothing written, in an argument", &own{"nothing"}, wire.ErrMalformed, true},
		{"raw nothing", msgpack.RawMessage{}, wire.ErrMalformed, false},
		{"raw junk", struct{ R msgpack.RawMessage }{raw(t, "92 00")}, wire.ErrMalformed, false},
		{"a circle", circle, wire.ErrTooDeep, false},
		{"a circle of much data", wideCircle, wire.ErrTooDeep, false},
		{"a circle of interfaces", list, wire.ErrTooDeep, false},
		{"deep", deep, wire.ErrTooDeep, false},
		{"large", make([]byte, 5<<20), wire.ErrTooLarge, false},
		{"large in pieces", make([]string, 5<<20), wire.ErrTooManyElements, false},
		{"many", make([]int, 1<<20+1), wire.ErrTooManyElements, false},
		{"a channel", make(chan int), nil, false},
		{"a function inside", struct{ F func() }{func() {}}, nil, false},
		{"a complex number", 1i, nil, false},
		{"an uintptr", uintptr(1), nil, false},
		{"nil for an argument list", nilArgs, nil, true},
		{"interned, in maps within maps", struct {
			S string `msgpack:",intern"`
			M maps
		}{}, errInterned, false},
	} {
		for _, arrays := range []bool{false, true} {
			buf := Buffer{B: []byte("before")}
			err := encode(&buf, tc.v, arrays, tc.args)
			var fault *EncodeError
			if !errors.As(err, &fault) || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
			} else if fault.Type != reflect.TypeOf(tc.v) {
				t.Errorf("%s: type %v", tc.name, fault.Type)
			}
			if errors.Is(err, wire.ErrProtocol) {
				t.Errorf("%s: a fault of ours is called one of protocol", tc.name)
			}
			if string(buf.B) != "before" {
				t.Errorf("%s: the buffer is left with %d bytes", tc.name, len(buf.B))
			}
			if err := Encode(&buf, 7, arrays); err != nil || string(buf.B) != "before\x07" {
				t.Errorf("%s: afterwards %q, %v", tc.name, buf.B, err)
			}
		}
	}
	var buf Buffer
	var panicked *PanicError
	if err := Encode(&buf, []any{&own{"panic"}}, false); !errors.As(err, &panicked) || panicked.Value != "own encoder" || len(panicked.Stack) == 0 {
		t.Errorf("a panic: %v", err)
	}
}

func TestEncodeAppends(t *testing.T) {
	var buf Buffer
	for _, v := range []any{1, "two", []int{3}} {
		if err := Encode(&buf, v, false); err != nil {
			t.Fatal(err)
		}
	}
	if want := raw(t, "01 a3 74776f 91 03"); !bytes.Equal(buf.B, want) {
		t.Errorf("%x, want %x", buf.B, want)
	}
}

// What can be encoded at all must pass the receiver's scanner as a message: it
// would break the connection off.
func TestEncodedFitsAnEnvelope(t *testing.T) {
	deep := nested(wire.DefaultLimits.Depth)
	many := make([]bool, wire.DefaultLimits.Elements)
	large := make([]byte, wire.DefaultLimits.Bytes-5) // its header
	meta := wire.Meta{Deadline: 1, Chain: make([]uint64, 500), Segments: make([]uint64, MaxSegments), Trace: map[string]string{"traceparent": "x"}, Stream: true, Window: 1}
	within := func(name string, message []byte) {
		t.Helper()
		if err := (wire.Limits{}).Message().Check(message); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, v := range []any{deep, many, large} {
		var args, spread, result, item Buffer
		pair := struct {
			_    Args
			V, W any
		}{V: v}
		result.B = wire.AppendResultHead(nil, 1)
		item.B = AppendItemHead(nil, 1)
		for name, err := range map[string]error{
			"argument": EncodeArgs(&args, v, false), "result": Encode(&result, v, false), "item": Encode(&item, v, false),
		} {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		within("argument", wire.AppendRequest(nil, 1, "method", args.B, meta.Append(nil)))
		within("constructor", wire.AppendRequest(nil, 1, "$/start", append([]byte{wire.FixArray | 1, wire.FixMap | 1, wire.FixStr | 1, 'a'}, args.B...), nil))
		within("result", wire.AppendMetaTo(result.B, 0, &meta))
		within("item", wire.AppendMetaTo(item.B, 0, &meta))
		if err := EncodeArgs(&spread, pair, false); err != nil && !errors.Is(err, wire.ErrTooLarge) && !errors.Is(err, wire.ErrTooManyElements) {
			t.Error(err) // the second argument is one more
		}
	}
	for want, v := range map[error]any{
		wire.ErrTooDeep: nested(wire.DefaultLimits.Depth + 1), wire.ErrTooManyElements: make([]bool, wire.DefaultLimits.Elements+1), wire.ErrTooLarge: make([]byte, wire.DefaultLimits.Bytes-4),
	} {
		for name, encode := range map[string]func(*Buffer, any, bool) error{"argument": EncodeArgs, "result": Encode} {
			err := encode(new(Buffer), v, false)
			if !errors.Is(err, want) || !strings.Contains(err.Error(), "limit") || !strings.Contains(err.Error(), ";") {
				t.Errorf("%s: %v, want %v with the limit and a way out", name, err, want)
			}
		}
	}
}

// nested is a value of so many levels.
func nested(levels int) any {
	v := any(nil)
	for range levels {
		v = []any{v}
	}
	return v
}

func TestEncodeKeepsToTheBuffersLimits(t *testing.T) {
	buf := Buffer{Limits: wire.Limits{Bytes: 8 << 20, Depth: 200, Elements: 2 << 20}}
	deep := any(1)
	for range 150 {
		deep = []any{deep}
	}
	for _, v := range []any{make([]byte, 5<<20), make([]bool, 3<<19), deep} {
		if err := Encode(&buf, v, false); err != nil {
			t.Error(err)
		}
	}
	buf.Limits = wire.Limits{Bytes: 10}
	if err := Encode(&buf, "eleven bytes", false); !errors.Is(err, wire.ErrTooLarge) {
		t.Error(err)
	}
}

func TestDecodeFails(t *testing.T) {
	var unhashable map[any]int
	for _, tc := range []struct {
		name, message string
		into          any
		want          error
	}{
		{"nothing", "", new(int), io.ErrUnexpectedEOF},
		{"cut", "92 01", new([]int), wire.ErrMalformed},
		{"two values", "01 02", new(int), wire.ErrMalformed},
		{"not a pointer", "01", 1, nil},
		{"nil", "01", nil, nil},
		{"a nil pointer", "01", (*int)(nil), nil},
		{"another type", "a1 61", new(int), nil},
		{"its own error", "a5 6572726f72", new(own), io.ErrClosedPipe},
		{"its own panic", "a5 70616e6963", new(own), io.ErrNoProgress},
		{"a nil dereference", "a6 6d656d6f7279", new(own), nil},
		{"a channel", "01", new(chan int), nil},
		{"an uintptr", "01", new(uintptr), nil},
		{"a slice for a key", "81 90 01", &unhashable, nil},
		{"a slice for a key in an interface", "81 90 01", new(any), nil},
		{"an interface with methods", "01", new(io.Reader), nil},
		{"an array of another length", "93 01 02 03", new([2]int), nil},
		{"an unknown extension", "d4 05 00", new(any), nil},
		{"an extension for a map", "d6 ff 81 00 00 00", new(map[string]any), ErrLostPlace},
	} {
		err := Decode(&Source{B: raw(t, tc.message), Context: ""}, tc.into)
		var fault *DecodeError
		if !errors.As(err, &fault) || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

// A pooled decoder must not keep anything of a failure.
func TestDecodeAfterAFailure(t *testing.T) {
	type rec struct{ R msgpack.RawMessage }
	for range 100 {
		var r rec
		if err := Decode(&Source{B: raw(t, "81 a1 52 92 01")}, &r); err == nil {
			t.Fatal("a cut message was decoded")
		}
		if err := Decode(&Source{B: raw(t, "81 a1 52 92 01 02")}, &r); err != nil || !bytes.Equal(r.R, raw(t, "92 01 02")) {
			t.Fatalf("%x, %v", r.R, err)
		}
	}
}

func TestDecodeDoesNotAlias(t *testing.T) {
	message := encoded(t, everything{S: "text", B: []byte("bytes"), Strings: []string{"a"}, Any: []any{"any", []byte("x")}})
	var got everything
	if err := Decode(&Source{B: message}, &got); err != nil {
		t.Fatal(err)
	}
	for i := range message {
		message[i] = '!'
	}
	if got.S != "text" || string(got.B) != "bytes" || got.Strings[0] != "a" || !same(got.Any, []any{"any", []byte("x")}) {
		t.Errorf("the value changed with the message: %+v", got)
	}
}
