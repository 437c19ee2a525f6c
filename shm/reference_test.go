package shm

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
	a := must(New[float64](16)) // 128 bytes
	defer a.Release()
	const f64 = int(codeFloat64)
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
		{"elements are float32, want float64", []any{0, 0, 16, int(codeFloat32), 16}},
		{"elements are int64, want float64", []any{0, 0, 16, int(codeInt64), 16}},
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
		m.segments = []*Segment{a.h.seg}
		var got Array[float64]
		err := msgpack.NewDecoder(m).Decode(&got)
		var bad *ReferenceError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%v: error %v, want a *ReferenceError with %q", c.fields, err, c.why)
		}
		if len(m.received) != 0 || got.h != nil || Stats().Handles != 1 {
			t.Errorf("%v: a handle was made", c.fields)
		}
	}
}

func TestReferenceToTheLastElement(t *testing.T) {
	noLeaks(t)
	a := must(New[float64](16))
	a.Data()[15] = 2.5
	m := raw(t, int64(0), uint16(120), 1, uint64(codeFloat64), 1, 1, 1) // integers of any width
	m.segments = []*Segment{a.h.seg}
	var got Array[float64]
	m.decode(t, &got)
	if got.Data()[0] != 2.5 || len(got.Shape()) != 3 {
		t.Errorf("%v %v", got, got.Data())
	}
	got.Release()
	a.Release()
}

func TestCutReferences(t *testing.T) {
	noLeaks(t)
	a := must(New[uint8](300, 2))
	whole := encode(t, a)
	for n := range whole.Len() {
		m := &message{segments: whole.segments}
		m.Write(whole.Bytes()[:n])
		var got Array[uint8]
		if err := msgpack.NewDecoder(m).Decode(&got); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	whole.begun()
	a.Release()
}

func TestDecodeNeedsASource(t *testing.T) {
	var got Array[uint8]
	err := msgpack.Unmarshal([]byte{0x95, 0, 0, 1, byte(codeUint8), 1}, &got)
	var bad *ReferenceError
	if !errors.As(err, &bad) {
		t.Errorf("%v", err)
	}
}

// FuzzReference feeds bytes to the decoder of references: they are refused, or denote memory within the segment.
func FuzzReference(f *testing.F) {
	f.Add([]byte{0x95, 0, 0, 16, byte(codeFloat64), 16})
	f.Add([]byte{0x96, 0, 8, 4, byte(codeFloat64), 2, 2})
	f.Add([]byte{0x95, 1, 0, 1, byte(codeFloat64), 1})
	f.Add([]byte{0x95, 0xc0, 0, 0, byte(codeFloat64), 0})
	f.Add([]byte{0xc0})
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff, 0})
	f.Add([]byte{0x95, 0, 0xcf, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf8, 1, byte(codeFloat64), 1})
	f.Add([]byte{0x96, 0, 0, 0, byte(codeFloat64), 0xcf, 0, 0, 0, 1, 0, 0, 0, 0, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0})
	f.Add([]byte{0x95, 0, 0, 0xd3, 0x20, 0, 0, 0, 0, 0, 0, 0, byte(codeFloat64), 0xd3, 0x20, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0x95, 0, 4, 8, byte(codeFloat64), 8})
	f.Add([]byte{0x95, 0, 0xe0, 1, byte(codeFloat64), 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		a := must(New[float64](16))
		base := must(a.h.base())
		must(0, a.Freeze())
		m := &message{segments: []*Segment{a.h.seg}}
		m.Write(data)
		var got Array[float64]
		if err := msgpack.NewDecoder(m).Decode(&got); err == nil {
			within(t, got, base, 128)
		} else if got.h != nil || len(m.received) != 0 {
			t.Errorf("a handle came of a bad reference: %v", err)
		}
		got.Release()
		a.Release()
		if s := Stats(); s.Handles != 0 || s.Segments != 0 || s.Mapped != 0 {
			t.Errorf("leaked %+v", s)
		}
	})
}

// within tests that an array that was decoded consists of nothing but the memory of its segment.
func within(t *testing.T, a Array[float64], base unsafe.Pointer, size uintptr) {
	t.Helper()
	product := 1
	for _, d := range a.Shape() {
		product *= d
	}
	if a.Shape() != nil && product != a.Len() || len(a.Data()) != a.Len() {
		t.Errorf("%v has %d elements, slice %d", a, a.Len(), len(a.Data()))
	}
	if a.Len() == 0 {
		return
	}
	lo := uintptr(unsafe.Pointer(unsafe.SliceData(a.Data()))) - uintptr(base)
	if hi := lo + uintptr(a.Len())*8; lo > size || hi > size || hi < lo || lo%8 != 0 {
		t.Errorf("%v reaches from byte %d to %d of %d", a, lo, hi, size)
	}
	var sum float64
	for _, v := range a.Data() {
		sum += v
	}
	sink = sum
}
