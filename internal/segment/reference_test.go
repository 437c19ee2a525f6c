package segment

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"
)

// raw writes a message by hand.
func raw(t testing.TB, fields ...any) *message {
	t.Helper()
	m := new(message)
	enc := msgpack.NewEncoder(m)
	if err := enc.EncodeArrayLen(len(fields)); err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		if err := enc.Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestBadReferences(t *testing.T) {
	noLeaks(t)
	a := must(newArray[float64](16)) // 128 bytes
	defer a.release()
	const f64 = int(kindFloat64)
	dims := func(n, d int) []any {
		f := []any{0, 0, 1, f64}
		for range n {
			f = append(f, d)
		}
		return f
	}
	for _, c := range []struct {
		why    string
		fields []any
	}{
		{"not an array", nil},
		{"elements, want", []any{}},
		{"elements, want", []any{0, 0, 16, f64}}, // no shape
		{"elements, want", dims(maxDims+1, 1)},
		{"segment 1", []any{1, 0, 16, f64, 16}},
		{"segment index -1", []any{-1, 0, 16, f64, 16}},
		{"segment index", []any{uint64(math.MaxUint64), 0, 16, f64, 16}},
		{"index: not an integer", []any{"0", 0, 16, f64, 16}},
		{"index: not an integer", []any{0.5, 0, 16, f64, 16}},
		{"offset: not an integer", []any{0, nil, 16, f64, 16}},
		{"length: not an integer", []any{0, 0, true, f64, 16}},
		{"type: not an integer", []any{0, 0, 16, "float64", 16}},
		{"dimension 1: not an integer", []any{0, 0, 16, f64, 16, 1.0}},
		{"if and only if", []any{nil, 0, 16, f64, 16}},
		{"if and only if", []any{0, 0, 0, f64, 0}},
		{"offset 8", []any{nil, 8, 0, f64, 0}},
		{"elements are float32, want float64", []any{0, 0, 16, int(kindFloat32), 16}},
		{"elements are int64, want float64", []any{0, 0, 16, int(kindInt64), 16}},
		{"unknown type 0", []any{0, 0, 16, 0, 16}},
		{"unknown type 13", []any{0, 0, 16, 13, 16}},
		{"unknown type -1", []any{0, 0, 16, -1, 16}},
		{"unknown type 266", []any{0, 0, 16, 256 + f64, 16}}, // not cut down to 8 bits
		{"offset -8", []any{0, -8, 1, f64, 1}},
		{"offset 4 is not aligned", []any{0, 4, 1, f64, 1}},
		{"offset 1 is not aligned", []any{0, 1, 1, f64, 1}},
		{"leave the segment", []any{0, 0, 17, f64, 17}},
		{"leave the segment", []any{0, 8, 16, f64, 16}},
		{"leave the segment", []any{0, 128, 1, f64, 1}},
		{"leave the segment", []any{0, math.MaxInt64 - 7, 1, f64, 1}},
		{"leave the segment", []any{0, int64(math.MaxInt64) &^ 7, 16, f64, 16}},
		{"negative dimension", []any{0, 0, -1, f64, -1}},
		{"negative dimension", []any{0, 0, 16, f64, -4, -4}},
		{"negative dimension", []any{0, 0, 16, f64, uint64(math.MaxUint64), 16}},
		{"do not fill", []any{0, 0, 15, f64, 16}},
		{"do not fill", []any{0, 0, 16, f64, 4, 3}},
		{"do not fill", []any{0, 0, -16, f64, 16}},
		{"overflows", []any{0, 0, 0, f64, 1 << 32, 1 << 32}},
		{"overflows", []any{0, 0, 16, f64, math.MaxInt64, 2}},
		{"overflows", []any{0, 0, math.MaxInt64, f64, math.MaxInt64}},
		{"overflows", []any{0, 0, 1 << 61, f64, 1 << 61}}, // times 8 is 0
	} {
		m := raw(t, c.fields...)
		if c.fields == nil {
			m.Reset()
			m.WriteString("\xa5hello")
		}
		m.segments = []*Segment{a.view.Handle.seg}
		var got array[float64]
		err := msgpack.NewDecoder(m).Decode(&got)
		var bad *ReferenceError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%v: error %v, want a *ReferenceError with %q", c.fields, err, c.why)
		}
		if len(m.received) != 0 || got.view.Handle != nil || Stats().Handles != 1 {
			t.Errorf("%v: a handle was made", c.fields)
		}
	}
}

func TestReferenceToTheLastElement(t *testing.T) {
	noLeaks(t)
	a := must(newArray[float64](16))
	a.data()[15] = 2.5
	m := raw(t, int64(0), uint16(120), 1, uint64(kindFloat64), 1, 1, 1) // integers of any width
	m.segments = []*Segment{a.view.Handle.seg}
	var got array[float64]
	m.decode(t, &got)
	if got.data()[0] != 2.5 || len(got.view.Shape) != 3 {
		t.Errorf("%v %v", got, got.data())
	}
	got.release()
	a.release()
}

func TestCutReferences(t *testing.T) {
	noLeaks(t)
	a := must(newArray[uint8](600))
	whole := encode(t, a)
	for n := range whole.Len() {
		m := &message{segments: whole.segments}
		m.Write(whole.Bytes()[:n])
		var got array[uint8]
		if err := msgpack.NewDecoder(m).Decode(&got); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	whole.begun()
	a.release()
}

func TestDecodeNeedsASource(t *testing.T) {
	var got array[uint8]
	err := msgpack.Unmarshal([]byte{0x95, 0, 0, 1, byte(kindUint8), 1}, &got)
	var bad *ReferenceError
	if !errors.As(err, &bad) {
		t.Errorf("%v", err)
	}
}

// FuzzReference feeds bytes to the decoder of references: they are refused, or denote memory within the segment.
func FuzzReference(f *testing.F) {
	f.Add([]byte{0x95, 0, 0, 16, byte(kindFloat64), 16})
	f.Add([]byte{0x96, 0, 8, 4, byte(kindFloat64), 2, 2})
	f.Add([]byte{0x95, 1, 0, 1, byte(kindFloat64), 1})
	f.Add([]byte{0x95, 0xc0, 0, 0, byte(kindFloat64), 0})
	f.Add([]byte{0xc0})
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff, 0})
	f.Add([]byte{0x95, 0, 0xcf, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf8, 1, byte(kindFloat64), 1})
	f.Add([]byte{0x96, 0, 0, 0, byte(kindFloat64), 0xcf, 0, 0, 0, 1, 0, 0, 0, 0, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0})
	f.Add([]byte{0x95, 0, 0, 0xd3, 0x20, 0, 0, 0, 0, 0, 0, 0, byte(kindFloat64), 0xd3, 0x20, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0x95, 0, 4, 8, byte(kindFloat64), 8})
	f.Add([]byte{0x95, 0, 0xe0, 1, byte(kindFloat64), 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		a := must(newArray[float64](16))
		base := must(a.view.Handle.Base())
		must(0, a.view.Handle.Freeze())
		m := &message{segments: []*Segment{a.view.Handle.seg}}
		m.Write(data)
		var got array[float64]
		if err := msgpack.NewDecoder(m).Decode(&got); err == nil {
			within(t, got, base, 128)
		} else if got.view.Handle != nil || len(m.received) != 0 {
			t.Errorf("a handle came of a bad reference: %v", err)
		}
		got.release()
		a.release()
		if s := Stats(); s.Handles != 0 || s.Segments != 0 || s.Mapped != 0 {
			t.Errorf("leaked %+v", s)
		}
	})
}

// within tests that an array that was decoded consists of nothing but the memory of its segment.
func within(t *testing.T, a array[float64], base unsafe.Pointer, size uintptr) {
	t.Helper()
	product := 1
	for _, d := range a.view.Shape {
		product *= d
	}
	if a.view.Shape != nil && product != a.view.Len || len(a.data()) != a.view.Len {
		t.Errorf("%v has %d elements, slice %d", a, a.view.Len, len(a.data()))
	}
	if a.view.Len == 0 {
		return
	}
	lo := uintptr(unsafe.Pointer(unsafe.SliceData(a.data()))) - uintptr(base)
	if hi := lo + uintptr(a.view.Len)*8; lo > size || hi > size || hi < lo || lo%8 != 0 {
		t.Errorf("%v reaches from byte %d to %d of %d", a, lo, hi, size)
	}
	var sum float64
	for _, v := range a.data() {
		sum += v
	}
	sink = sum
}
