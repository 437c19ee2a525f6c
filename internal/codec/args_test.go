package codec

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

type openArgs struct {
	Args
	Path   string
	Line   int
	hidden int
	Skip   bool `msgpack:"-"`
	Last   *own
}

type none struct{}

// Args is the marker of these tests, as package actor has one.
type Args struct{}

func init() { RegisterArgs(reflect.TypeFor[Args]()) }

func TestArgs(t *testing.T) {
	type pair struct {
		_    Args
		A, B any
	}
	type embedded struct {
		Args
		Base
	}
	for _, tc := range []struct {
		v    any
		want string
	}{
		{none{}, "90"},
		{struct{ Args }{}, "90"},
		{1, "91 01"},
		{"a", "91 a1 61"},
		{[]int{1, 2}, "91 92 01 02"},
		{struct{ A int }{1}, "91 81 a1 41 01"},
		{struct{}{}, "90"},
		{struct{ none }{}, "91 80"},
		{openArgs{Path: "p", Line: 2, hidden: 1, Skip: true}, "93 a1 70 02 c0"},
		{pair{A: 1, B: []any{none{}}}, "92 01 91 80"},
		{embedded{Base: Base{ID: 3}}, "91 82 a2 4944 03 a4 5768656e c7 0c ff 00000000 fffffff1886e0900"},
		{[]none{{}}, "91 91 80"},
	} {
		p := reflect.New(reflect.TypeOf(tc.v))
		p.Elem().Set(reflect.ValueOf(tc.v))
		for _, v := range []any{tc.v, p.Interface()} {
			buf := Buffer{Context: ""}
			if err := EncodeArgs(&buf, v, false); err != nil || !bytes.Equal(buf.B, raw(t, tc.want)) {
				t.Errorf("%T %+v: %x, %v; want %s", v, tc.v, buf.B, err, tc.want)
			}
		}
	}
	var buf Buffer
	if err := EncodeArgs(&buf, nil, false); err != nil || !bytes.Equal(buf.B, raw(t, "91 c0")) {
		t.Errorf("nil: %x, %v", buf.B, err)
	}
}

func TestArgsRoundTrip(t *testing.T) {
	for _, arrays := range []bool{false, true} {
		buf := Buffer{Context: "c"}
		in := openArgs{Path: "p", Line: 2, Last: &own{}}
		if err := EncodeArgs(&buf, &in, arrays); err != nil {
			t.Fatal(err)
		}
		var out openArgs
		if err := DecodeArgs(&Source{B: buf.B, Context: "d"}, &out); err != nil {
			t.Fatal(err)
		}
		if out.Path != "p" || out.Line != 2 || out.Last.fail != "own:c:d" {
			t.Errorf("%+v", out)
		}
		buf.Reset()
		want := []any{int64(1), map[string]any{"a": uint64(200)}}
		if err := EncodeArgs(&buf, want, arrays); err != nil {
			t.Fatal(err)
		}
		var got any
		if err := DecodeArgs(&Source{B: buf.B}, &got); err != nil || !reflect.DeepEqual(got, any(want)) {
			t.Errorf("%#v, %v", got, err)
		}
	}
}

func TestArgsNumber(t *testing.T) {
	for _, tc := range []struct {
		message string
		into    any
		want    error
	}{
		{"90", new(none), nil},
		{"91 c0", new(none), ErrArguments},
		{"90", new(int), ErrArguments},
		{"92 01 02", new(int), ErrArguments},
		{"91 01", new(int), nil},
		{"92 a0 01", new(openArgs), ErrArguments},
		{"94 a0 01 c0 c0", new(openArgs), ErrArguments},
		{"93 a0 01 c0", new(openArgs), nil},
		{"c0", new(none), ErrArguments},
		{"dc 0001 01", new(int), nil},
	} {
		if err := DecodeArgs(&Source{B: raw(t, tc.message)}, tc.into); !errors.Is(err, tc.want) {
			t.Errorf("%s into %T: %v, want %v", tc.message, tc.into, err, tc.want)
		}
	}
	if err := DecodeArgs(&Source{B: raw(t, "81 01 02")}, new(int)); err == nil {
		t.Error("a map was an argument list")
	}
}
