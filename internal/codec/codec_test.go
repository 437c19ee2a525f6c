package codec

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/understudy-go/understudy/internal/wire"
)

// roundTrip encodes v, checks it as a receiver does, and decodes it into a new
// value of its type.
func roundTrip[T any](t testing.TB, v T, structsAsArrays bool) T {
	t.Helper()
	var buf Buffer
	if err := Encode(&buf, v, structsAsArrays); err != nil {
		t.Fatal(err)
	}
	if err := (wire.Limits{}).Check(buf.B); err != nil {
		t.Fatal(err)
	}
	var got T
	if err := Decode(&Source{B: buf.B}, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func testRoundTrip[T any](t *testing.T, v T) {
	t.Helper()
	for _, arrays := range []bool{false, true} {
		if got := roundTrip(t, v, arrays); !reflect.DeepEqual(got, v) {
			t.Errorf("arrays %v: %#v came back as %#v", arrays, v, got)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	deep := &inner{Name: "deep", Tags: map[string]string{"k": "v"}}
	when := time.Unix(1700000000, 123456789).UTC()
	testRoundTrip(t, everything{
		Base: Base{ID: math.MaxUint64, When: when},
		Bool: true, I8: -128, I16: -32768, I32: math.MinInt32, I64: math.MinInt64, I: -1,
		U8: 255, U16: 65535, U32: math.MaxUint32, U64: math.MaxUint64,
		F32: 1.5, F64: math.Pi, S: "s", B: []byte{0, 1}, D: time.Minute,
		Fixed: [4]byte{1, 2, 3, 4}, Triple: [3]int16{-1, 0, 1},
		Strings: []string{"", "x"}, Ints: []int{1, -1}, Structs: []inner{{Name: "a"}, *deep}, Nested: &deep,
		Next: &everything{Next: &everything{S: "third"}, Base: Base{When: when}},
		M:    map[string]inner{"m": *deep}, MI: map[int32]string{-7: "seven"},
		MA:  map[string]any{"n": nil, "i": int64(-300), "u": uint64(300), "b": []byte("b"), "l": []any{int64(1), 1.5, "s"}},
		Any: map[string]any{"x": []any{int64(1), []byte{}, true}}, Renamed: "r", Maybe: "m",
		Tuple: tuple{X: 1, Y: 2},
	})
	testRoundTrip(t, "")
	testRoundTrip(t, 0)
	testRoundTrip(t, int64(math.MinInt64))
	testRoundTrip(t, uint64(math.MaxUint64))
	testRoundTrip(t, float32(math.Inf(-1)))
	testRoundTrip(t, []byte(nil))
	testRoundTrip(t, []byte{})
	testRoundTrip(t, []string(nil))
	testRoundTrip(t, map[string]int{})
	testRoundTrip(t, (*inner)(nil))
	testRoundTrip(t, struct{}{})
	testRoundTrip(t, struct{ A [2]level }{[2]level{1, 2}})
	testRoundTrip(t, map[any]any{int64(1): map[string]any{"k": uint64(200)}})
	testRoundTrip(t, none{})
	testRoundTrip(t, time.Time{})
	testRoundTrip(t, when)
	testRoundTrip(t, time.Unix(-1<<40, 1).UTC()) // 12 bytes
	testRoundTrip(t, time.Unix(3741319168, 0).UTC())
	testRoundTrip(t, netip.MustParseAddr("::1"))
	testRoundTrip(t, [2]time.Duration{1, -1})
	testRoundTrip(t, []*inner{nil, {Name: "x"}})
	testRoundTrip(t, msgpack.RawMessage{0x93, 1, 0xc0, 0x80})
	testRoundTrip(t, strings.Repeat("long", 100000))
	testRoundTrip(t, map[any]string{int64(1): "int", "s": "string"})
	testRoundTrip[any](t, []any{[]byte("bin"), "str"})
	testRoundTrip[any](t, map[any]any{int64(1): "a", "b": int64(2), uint64(200): nil})
	testRoundTrip(t, []any{map[any]any{int64(-1): []any{}}})
	testRoundTrip(t, struct{ E error }{nil})
	if got := roundTrip(t, struct{ E error }{io.EOF}, false); got.E.Error() != "EOF" {
		t.Errorf("an error came back as %v", got.E)
	}
	if got := roundTrip[any](t, nil, false); got != nil {
		t.Errorf("nil came back as %v", got)
	}
}

func TestRoundTripAny(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		v := anyValue(4).Draw(rt, "value")
		want := wireNumbers(v)
		if got := roundTrip(t, v, rapid.Bool().Draw(rt, "arrays")); !same(got, want) {
			rt.Fatalf("%#v came back as %#v", v, got)
		}
		holder := struct {
			A any
			L []any
			M map[string]any
			P *any
		}{v, []any{v}, map[string]any{"k": v}, &v}
		got := roundTrip(t, holder, rapid.Bool().Draw(rt, "arrays"))
		if !same(got.A, want) || !same(got.L, []any{want}) || !same(got.M, map[string]any{"k": want}) ||
			v != nil && !same(*got.P, want) {
			rt.Fatalf("%#v came back as %#v", v, got)
		}
	})
}

type level uint8

type Address struct{ Street string }

func TestEmbeddedPointer(t *testing.T) {
	type person struct {
		Name string
		*Address
	}
	testRoundTrip(t, person{Name: "n", Address: &Address{Street: "s"}})
	if got := roundTrip(t, person{Name: "n"}, false); got.Name != "n" || got.Address != nil && *got.Address != (Address{}) {
		t.Errorf("without an address: %+v", got)
	}
}

func TestDecodeIntoAny(t *testing.T) {
	for _, tc := range []struct {
		message string
		want    any
	}{
		{"05", int64(5)}, {"ff", int64(-1)}, {"cc 05", uint64(5)}, {"cd 0005", uint64(5)}, {"ce 00000005", uint64(5)}, {"cf 0000000000000005", uint64(5)},
		{"d0 05", int64(5)}, {"d1 0005", int64(5)}, {"d2 00000005", int64(5)}, {"d3 0000000000000005", int64(5)},
		{"ca 3f800000", 1.0}, {"cb 3ff0000000000000", 1.0}, {"c4 01 61", []byte("a")}, {"a1 61", "a"},
		{"81 a1 61 cc 01", map[string]any{"a": uint64(1)}},
		{"82 c4 01 61 01 d9 01 62 02", map[string]any{"a": int64(1), "b": int64(2)}},
		{"82 c0 01 a1 61 02", map[any]any{nil: int64(1), "a": int64(2)}},
		{"82 a1 61 01 cc 02 93 cc 01 c0 80", map[any]any{"a": int64(1), uint64(2): []any{uint64(1), nil, map[string]any{}}}},
		{"80", map[string]any{}}, {"90", []any{}},
	} {
		var got any
		if err := Decode(&Source{B: raw(t, tc.message)}, &got); err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %#v, %v; want %#v", tc.message, got, err, tc.want)
		}
	}
	var panicked *PanicError
	if err := Decode(&Source{B: raw(t, "81 90 01")}, new(any)); err == nil || errors.As(err, &panicked) {
		t.Errorf("a slice for a key: %v", err)
	}
	type holder struct {
		A      any
		Left   any `msgpack:"-"`
		hidden map[string]any
	}
	got := holder{Left: int8(1), hidden: map[string]any{"h": int8(1)}}
	want := holder{A: uint64(200), Left: int8(1), hidden: map[string]any{"h": int8(1)}}
	if err := Decode(&Source{B: raw(t, "81 a1 41 cc c8")}, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

// wireNumbers gives integers the type that their form on the wire stands for.
func wireNumbers(v any) any {
	switch v := v.(type) {
	case int64:
		if v > 127 {
			return uint64(v)
		}
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = wireNumbers(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any)
		for k, e := range v {
			out[k] = wireNumbers(e)
		}
		return out
	}
	return v
}

// same is reflect.DeepEqual where NaN is itself.
func same(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && math.Float64bits(a) == math.Float64bits(b)
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k := range a {
			if e, ok := b[k]; !ok || !same(a[k], e) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}

func TestRoundTripStruct(t *testing.T) {
	type part struct {
		Name  string
		Small int16
		Data  []byte
		Flags map[string]bool
	}
	type whole struct {
		ID    uint64
		Parts []part
		First *part
		Rate  float32
		Extra any
	}
	parts := rapid.Make[part]()
	rapid.Check(t, func(rt *rapid.T) {
		v := whole{
			ID:    rapid.Uint64().Draw(rt, "id"),
			Parts: rapid.SliceOfN(parts, 0, 20).Draw(rt, "parts"),
			First: rapid.Ptr(parts, true).Draw(rt, "first"),
			Rate:  rapid.Float32().Draw(rt, "rate"),
			Extra: rapid.StringN(0, 10, 40).Draw(rt, "extra"),
		}
		if got := roundTrip(t, v, rapid.Bool().Draw(rt, "arrays")); !reflect.DeepEqual(got, v) {
			rt.Fatalf("%#v came back as %#v", v, got)
		}
	})
}

func TestStructForms(t *testing.T) {
	for _, tc := range []struct {
		v      any
		arrays bool
		want   string
	}{
		{struct{ A, B int }{1, 2}, false, "82 a1 41 01 a1 42 02"},
		{struct{ A, B int }{1, 2}, true, "92 01 02"},
		{tuple{X: 1, Y: 2}, false, "92 01 02"},
		{struct {
			A int `msgpack:"x,omitempty"`
			B int `msgpack:"-"`
		}{0, 1}, false, "80"},
		{&struct{ A *int }{}, false, "81 a1 41 c0"},
		{struct{ Base }{Base{ID: 1, When: time.Unix(0, 0)}}, true, "92 01 d6 ff 00000000"},
		{int64(5), false, "05"}, {uint32(5), false, "05"}, {-33, false, "d0 df"},
	} {
		var buf Buffer
		if err := Encode(&buf, tc.v, tc.arrays); err != nil {
			t.Error(err)
		} else if !bytes.Equal(buf.B, raw(t, tc.want)) {
			t.Errorf("%+v, arrays %v: %x, want %s", tc.v, tc.arrays, buf.B, tc.want)
		}
	}
	var got struct{ A, B int }
	for _, form := range []string{"92 01 02", "82 a1 41 01 a1 42 02", "83 a1 42 02 a1 43 93 01 02 03 a1 41 01"} {
		got.A, got.B = 0, 0
		if err := Decode(&Source{B: raw(t, form)}, &got); err != nil || got.A != 1 || got.B != 2 {
			t.Errorf("%s: %+v, %v", form, got, err)
		}
	}
	if err := Decode(&Source{B: raw(t, "93 01 02 03")}, &got); err == nil {
		t.Error("an array of three fitted a struct of two fields")
	}
}

// own encodes itself, by its pointer.
type own struct{ fail string }

func (o *own) EncodeMsgpack(enc *msgpack.Encoder) error {
	switch o.fail {
	case "error":
		return io.ErrClosedPipe
	case "panic":
		panic("own encoder")
	case "nothing":
		return nil
	case "two":
		return enc.EncodeMulti(1, 2)
	case "half":
		return enc.EncodeArrayLen(2)
	case "junk":
		_, err := enc.Writer().Write([]byte{0xc1})
		return err
	case "endless":
		for {
			if err := enc.EncodeNil(); err != nil {
				return err
			}
		}
	}
	return enc.EncodeString("own:" + enc.Writer().(*Buffer).Context.(string))
}

func (o *own) DecodeMsgpack(dec *msgpack.Decoder) error {
	s, err := dec.DecodeString()
	switch s {
	case "error":
		return io.ErrClosedPipe
	case "panic":
		panic(io.ErrNoProgress)
	case "memory":
		var p *int
		*p = 1
	}
	o.fail = s + ":" + dec.Buffered().(*Source).Context.(string)
	return err
}

func TestOwnCodec(t *testing.T) {
	for name, v := range map[string]any{"pointer": &own{}, "value": own{}, "field": struct{ O own }{}, "array": [1]own{}, "slice": []own{{}}} {
		for _, arrays := range []bool{false, true} {
			buf := Buffer{Context: "there"}
			if err := Encode(&buf, v, arrays); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if !bytes.Contains(buf.B, []byte("own:there")) {
				t.Errorf("%s: %x", name, buf.B)
			}
		}
	}
	var got struct{ O, P own }
	if err := Decode(&Source{B: encoded(t, map[string]string{"O": "x", "P": "y"}), Context: "here"}, &got); err != nil {
		t.Error(err)
	}
	if got.O.fail != "x:here" || got.P.fail != "y:here" {
		t.Errorf("decoded %+v", got)
	}
}

func TestInternedStrings(t *testing.T) {
	type row struct {
		Host string `msgpack:",intern"`
		N    int
		X    any `msgpack:",intern"`
	}
	rows := make([]row, 2000) // indexes of one and of two bytes, those among them that look like headers of maps
	for i := range rows {
		rows[i] = row{"host-" + strings.Repeat("x", i%300), i, "host-" + strings.Repeat("x", (i+7)%300)}
	}
	testRoundTrip(t, rows)
}
