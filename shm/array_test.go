package shm

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/segment"
)

func TestNewRejectsShapes(t *testing.T) {
	noLeaks(t)
	for _, shape := range [][]int{
		nil,
		{-1},
		{2, -3},
		{0, -1},
		{math.MaxInt, 2},
		{math.MaxInt},
		{1 << 32, 1 << 31},
		{math.MinInt},
		make([]int, 33),
	} {
		_, err := New[float64](shape...)
		var bad *ShapeError
		if !errors.As(err, &bad) {
			t.Errorf("New(%v): %v, want a *ShapeError", shape, err)
			continue
		}
		if !slices.Equal(bad.Shape, shape) {
			t.Errorf("New(%v): error names shape %v", shape, bad.Shape)
		}
	}
}

func TestArrayOfOneShape(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		a := must(New[uint16](3, 4, 5))
		defer a.Release()
		if a.Len() != 60 || !slices.Equal(a.Shape(), []int{3, 4, 5}) || a.IsShared() || a.Frozen() {
			t.Errorf("%v: Len %d, Shape %v, IsShared %v, Frozen %v", a, a.Len(), a.Shape(), a.IsShared(), a.Frozen())
		}
		s := must(a.Slice())
		if len(s) != 60 || cap(s) != 60 {
			t.Errorf("slice of length %d, capacity %d, want 60", len(s), cap(s))
		}
		if slices.Max(s) != 0 {
			t.Errorf("not zeroed: %v", s)
		}
		a.Shape()[0] = 7 // a copy
		if a.Shape()[0] != 3 {
			t.Error("changing the result of Shape changed the array")
		}
		shape := []int{2, 2}
		b := must(New[int8](shape...))
		defer b.Release()
		shape[0] = 9
		if b.Shape()[0] != 2 {
			t.Error("changing the argument of New changed the array")
		}
	})
}

func TestEmptyArrays(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		for _, a := range []Array[int32]{{}, must(New[int32](0)), must(New[int32](math.MaxInt, 0, math.MaxInt)), must(NewShared[int32](2, 0))} {
			if s, err := a.Slice(); len(s) != 0 || err != nil {
				t.Errorf("%v: Slice = %v, %v", a, s, err)
			}
			if err := a.Freeze(); err != nil || !a.Frozen() || a.IsShared() || a.Len() != 0 {
				t.Errorf("%v: Freeze %v, Frozen %v", a, err, a.Frozen())
			}
			if Stats().Segments != 0 {
				t.Errorf("%v has a segment", a)
			}
			var got Array[int32]
			m := encode(t, a)
			m.decode(t, &got)
			if !slices.Equal(got.Shape(), a.Shape()) || (got.Shape() == nil) != (a.Shape() == nil) {
				t.Errorf("%v arrived as %v", a, got)
			}
			if len(m.segments)+len(m.received)+len(m.sent) != 0 {
				t.Errorf("%v travelled with %d segments, %d handles", a, len(m.segments), len(m.received))
			}
			a.Keep().Release()
		}
	})
}

type celsius float32

func TestEveryTypeTravels(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		travel(t, 1, int8(-5), 1)
		travel(t, 2, int16(-5), 2)
		travel(t, 3, int32(-5), 4)
		travel(t, 4, int64(-5), 8)
		travel(t, 5, uint8(5), 1)
		travel(t, 6, uint16(5), 2)
		travel(t, 7, uint32(5), 4)
		travel(t, 8, uint64(5), 8)
		travel(t, 9, float32(.5), 4)
		travel(t, 10, .5, 8)
		travel(t, 11, complex64(1+2i), 8)
		travel(t, 12, 1+2i, 16)
		travel(t, 9, celsius(36.6), 4)
	})
}

func travel[T Number](t *testing.T, kind segment.Kind, v T, size int64) {
	t.Helper()
	if kindOf[T]() != kind || segment.KindOf(reflect.TypeFor[Array[T]]()) != kind || int64(unsafe.Sizeof(v)) != size || kind.Size() != size {
		t.Errorf("%T: kind %d and %d, size %d, by kind %d; want %d and %d", v, kindOf[T](),
			segment.KindOf(reflect.TypeFor[Array[T]]()), unsafe.Sizeof(v), kind.Size(), kind, size)
	}
	a := must(New[T](2, 3))
	x := v
	for i := range a.Data() {
		a.Data()[i] = x
		x += v
	}
	want := slices.Clone(a.Data())
	m := encode(t, a)
	a.Release() // at once
	var b Array[T]
	m.decode(t, &b)
	m.begun()
	if got := b.Data(); !slices.Equal(got, want) || !slices.Equal(b.Shape(), []int{2, 3}) {
		t.Errorf("%T: sent %v, received %v %v", v, want, b, got)
	}
	m.handlerReturned()
	if _, err := b.Slice(); !errors.Is(err, ErrReleased) {
		t.Errorf("%T: after the handler: %v", v, err)
	}
}

func TestWireFormat(t *testing.T) {
	noLeaks(t)
	a := must(New[int16](100, 3))
	defer a.Release()
	m := encode(t, a.View(2, 4))
	defer m.begun()
	want := []byte{0x96, 0, 12, 6, 2, 2, 3} // [segment 0, byte 12, 6 elements, int16, 2, 3]
	if !bytes.Equal(m.Bytes(), want) {
		t.Errorf("reference % x, want % x", m.Bytes(), want)
	}
	for _, c := range []struct {
		a    Array[uint8]
		want []byte
	}{{Array[uint8]{}, []byte{0xc0}}, {must(New[uint8](0, 7)), []byte{0x96, 0xc0, 0, 0, 5, 0, 7}}} {
		if got := encode(t, c.a).Bytes(); !bytes.Equal(got, c.want) {
			t.Errorf("%v: reference % x, want % x", c.a, got, c.want)
		}
	}
}

func TestArraysAsFields(t *testing.T) {
	type frame struct {
		Name   string
		Pixels Array[uint8]
		Depth  *Array[float32]
		None   *Array[float32]
		Tiles  []Array[uint8]
		ByName map[string]Array[int64]
		Zero   Array[uint8]
	}
	everyWay(t, func(t *testing.T) {
		pixels, depth, counts := must(New[uint8](4, 4)), must(New[float32](4)), must(NewShared[int64](1))
		copy(pixels.Data(), "0123456789abcdef")
		depth.Data()[3] = 1.5
		counts.Data()[0] = 42
		m := encode(t, frame{"f", pixels, &depth, nil, []Array[uint8]{pixels.View(0, 1), pixels.View(3, 4)},
			map[string]Array[int64]{"hits": counts}, Array[uint8]{}})
		if len(m.segments) != 3 {
			t.Errorf("%d segments carried, want 3", len(m.segments))
		}
		if len(m.sent) != 4 {
			t.Errorf("%d frozen arrays reported as sent, want 4", len(m.sent))
		}
		pixels.Release()
		depth.Release()
		counts.Release()
		var f frame
		m.decode(t, &f)
		m.begun()
		if string(f.Pixels.Data()) != "0123456789abcdef" || f.Depth.Data()[3] != 1.5 || f.None != nil || f.Zero.Len() != 0 ||
			string(f.Tiles[0].Data())+string(f.Tiles[1].Data()) != "0123cdef" || f.ByName["hits"].Data()[0] != 42 {
			t.Errorf("received %v", f)
		}
		if !f.Pixels.Frozen() || f.ByName["hits"].Frozen() || !f.ByName["hits"].IsShared() {
			t.Error("modes did not travel")
		}
		if s := Stats(); s.Handles != 5 || s.Segments != 3 {
			t.Errorf("%+v, want 5 handles on 3 segments", s)
		}
		f.Tiles[1].Release() // one of them early, the rest with the handler
		m.handlerReturned()
	})
}

func TestEncodeNeedsACarrier(t *testing.T) {
	noLeaks(t)
	a := must(New[uint8](4))
	defer a.Release()
	if _, err := msgpack.Marshal(a); err == nil || !strings.Contains(err.Error(), "carries no segments") {
		t.Errorf("Marshal: %v", err)
	}
	if a.Frozen() {
		t.Error("frozen by a send that failed")
	}
}

func TestView(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		a := must(New[uint32](5, 2, 3))
		for i := range a.Data() {
			a.Data()[i] = uint32(i)
		}
		v := a.View(1, 4)
		if !slices.Equal(v.Shape(), []int{3, 2, 3}) || v.Len() != 18 || v.Data()[0] != 6 || v.Data()[17] != 23 || cap(v.Data()) != 18 {
			t.Errorf("View(1,4) = %v %v", v, v.Data())
		}
		w := v.View(2, 3)
		if !slices.Equal(w.Data(), []uint32{18, 19, 20, 21, 22, 23}) {
			t.Errorf("view of view = %v", w.Data())
		}
		w.Data()[0] = 99
		if a.Data()[18] != 99 {
			t.Error("a view does not show the same memory")
		}
		if e := a.View(5, 5); e.Len() != 0 || !slices.Equal(e.Shape(), []int{0, 2, 3}) {
			t.Errorf("View(5,5) = %v", e)
		}
		if e := (Array[uint32]{}).View(0, 0); e.Len() != 0 {
			t.Errorf("view of the zero value = %v", e)
		}
		for _, b := range [][2]int{{-1, 1}, {0, 6}, {3, 2}, {6, 6}, {math.MinInt, math.MaxInt}} {
			if r := recovered(func() { a.View(b[0], b[1]) }); r == nil {
				t.Errorf("View(%d, %d) did not panic", b[0], b[1])
			}
		}
		m := encode(t, w)
		var got Array[uint32]
		m.decode(t, &got)
		m.begun()
		w.Release()
		if _, err := a.Slice(); !errors.Is(err, ErrReleased) {
			t.Errorf("array after release of its view: %v", err)
		}
		if got.Len() != 6 || got.Data()[1] != 19 {
			t.Errorf("view arrived as %v %v", got, got.Data())
		}
		got.Release()
	})
}

func recovered(fn func()) (r any) {
	defer func() { r = recover() }()
	fn()
	return nil
}

func TestRelease(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		a := must(New[float64](8))
		b := a
		a.Release()
		b.Release()
		if _, err := b.Slice(); !errors.Is(err, ErrReleased) {
			t.Errorf("Slice: %v", err)
		}
		if r := recovered(func() { b.Data() }); r == nil || !errors.Is(r.(error), ErrReleased) {
			t.Errorf("Data panicked with %v", r)
		}
		if err := b.Freeze(); !errors.Is(err, ErrReleased) {
			t.Errorf("Freeze: %v", err)
		}
		m := new(message)
		if err := msgpack.NewEncoder(m).Encode(b); !errors.Is(err, ErrReleased) {
			t.Errorf("encode: %v", err)
		}
		if len(m.segments)+len(m.sent) != 0 {
			t.Error("a released array was carried")
		}
		b.Keep().view.Handle.AutoRelease()
	})
}

func TestKeepAndMove(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		a, kept := must(New[uint8](4)), must(New[uint8](4)).Keep()
		m := encode(t, []Array[uint8]{a, kept})
		for _, h := range m.sent {
			h.AutoRelease() // the runtime, of a reply
		}
		if _, err := a.Slice(); !errors.Is(err, ErrReleased) {
			t.Errorf("moved array: %v", err)
		}
		if _, err := kept.Slice(); err != nil {
			t.Errorf("kept array: %v", err)
		}
		kept.Release()
		var got []Array[uint8]
		m.decode(t, &got)
		m.begun()
		mine := got[1].Keep()
		m.handlerReturned()
		if _, err := got[0].Slice(); !errors.Is(err, ErrReleased) {
			t.Errorf("array of a handler that returned: %v", err)
		}
		if _, err := mine.Slice(); err != nil {
			t.Errorf("array that the handler kept: %v", err)
		}
		mine.Release()
	})
}

func TestMessageDecodedInPart(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		a := must(New[uint8](4))
		m := encode(t, []any{a, "not an array"})
		a.Release()
		var got []Array[uint8]
		if err := msgpack.NewDecoder(m).Decode(&got); err == nil {
			t.Fatal("decoded a string as an array")
		}
		m.begun()
		m.handlerReturned() // nothing may be left, which noLeaks sees
	})
}

func TestInOneProcess(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		a := must(New[int64](1000))
		a.Data()[999] = 7
		m := encode(t, a)
		var b Array[int64]
		m.decode(t, &b)
		if segmentOf(a) != segmentOf(b) {
			t.Error("two segments for one memory")
		}
		if !a.Frozen() || !b.Frozen() {
			t.Error("sent and not frozen")
		}
		m.begun()
		a.Release()
		if b.Data()[999] != 7 {
			t.Errorf("b[999] = %d", b.Data()[999])
		}
		b.Release()
	})
}

func TestString(t *testing.T) {
	noLeaks(t)
	a, s := must(New[uint8](2, 3)), must(NewShared[float64](4))
	before := a.String()
	must(0, a.Freeze())
	for got, want := range map[string]string{
		before:                 "unfrozen array [2 3] of uint8",
		a.String():             "frozen array [2 3] of uint8",
		s.String():             "shared array [4] of float64",
		Array[int8]{}.String(): "empty array [] of int8",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	a.Release()
	s.Release()
}

// An Array stays small enough to be copied without a thought.
func TestArrayIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Array[float64]{}); n > 48 {
		t.Errorf("an Array has %d bytes", n)
	}
	if a := (Array[complex128]{}); unsafe.Offsetof(a.view) != 0 || unsafe.Sizeof(a) != unsafe.Sizeof(a.view) {
		t.Error("an Array is not where and what its View is")
	}
	if reflect.TypeFor[Array[float64]]().NumMethod() == 0 {
		t.Error("the methods must work on values")
	}
}
