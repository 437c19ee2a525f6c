package python_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/shm"
)

// array is one of these elements, for as long as the test takes.
func array[T shm.Number](t testing.TB, shape []int, v ...T) shm.Array[T] {
	t.Helper()
	a := must[shm.Array[T]](t)(shm.New[T](shape...))
	copy(a.Data(), v)
	t.Cleanup(a.Release)
	return a
}

// elements checks an array that came as a result, and releases it.
func elements[T shm.Number](t testing.TB, what string, a shm.Array[T], err error, shape []int, want ...T) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	defer a.Release()
	if !slices.Equal(a.Shape(), shape) || !slices.Equal(a.Data(), want) {
		t.Errorf("%s: %v %v, want %v %v", what, a.Shape(), a.Data(), shape, want)
	}
}

func TestArrays(t *testing.T) {
	b := newBed(t)
	w := b.ref("w")
	a := array[float64](t, []int{4}, 1, 2, 3, 4)
	equal(t, "sum", 10.0)(Sum.Call(b.ctx, w, a))
	equal(t, "sum of a view", 5.0)(Sum.Call(b.ctx, w, a.View(1, 3)))
	got, err := Double.Call(b.ctx, w, a)
	elements(t, "double", got, err, []int{4}, 2, 4, 6, 8)
	got, err = Make.Call(b.ctx, w, 3)
	elements(t, "make", got, err, []int{3}, 0, 1, 2)
	got, err = Part.Call(b.ctx, w, 2)
	elements(t, "a part", got, err, []int{1, 4}, 1, 1, 1, 1)
	got, err = Back.Call(b.ctx, w, a)
	elements(t, "what came, back", got, err, []int{3}, 2, 3, 4)
	grid := []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	for _, what := range []string{"", "fortran", "big-endian", "strided"} {
		got, err = Ordinary.Call(b.ctx, w, what)
		elements(t, "ordinary "+what, got, err, []int{3, 4}, grid...)
	}
	got, err = Ordinary.Call(b.ctx, w, "empty")
	elements(t, "empty", got, err, []int{0, 4})

	n := nested{A: array[float64](t, []int{2, 1}, 1, 2), More: []shm.Array[int32]{array[int32](t, []int{1}, 10), array[int32](t, []int{2}, 20, 30)}}
	equal(t, "nested", 63.0)(Nested.Call(b.ctx, w, n))
	for _, a := range []any{array[int8](t, []int{2}), array[uint16](t, []int{2, 3}), array[complex128](t, []int{1}), array[float32](t, []int{0, 2}), array[uint64](t, []int{3, 1, 2})} {
		if got, err := Shape.Call(b.ctx, w, a); err != nil || got[2] != (strings.Contains(got[0].(string), "float32")) {
			t.Errorf("%v: %v, %v", a, got, err)
		}
	}
	for _, m := range []*actor.Method[worker, shm.Array[float64], actor.None]{Write, Increase} {
		if _, err := m.Call(b.ctx, w, a); err == nil || !strings.Contains(err.Error(), ".copy()") {
			t.Errorf("%s to what is read-only: %v", m.Name(), err)
		}
	}
	shared := must[shm.Array[float64]](t)(shm.NewShared[float64](2))
	defer shared.Release()
	must[actor.None](t)(Write.Call(b.ctx, w, shared))
	if shared.Data()[0] != 1 {
		t.Error("what Python wrote to a shared array is not seen")
	}
	i := 0
	for a, err := range Frames.Open(b.ctx, w, 40) {
		elements(t, "frames", a, err, []int{2, 2}, float32(i), float32(i), float32(i), float32(i))
		i++
	}
	if i != 40 {
		t.Errorf("%d frames", i)
	}
}

// What is kept lives on, and what is not is given back.
func TestArraysLetGo(t *testing.T) {
	b := newBed(t)
	w := b.ref("w")
	a := must[shm.Array[float64]](t)(shm.New[float64](8))
	a.Data()[3] = 7
	must[actor.None](t)(Keep.Call(b.ctx, w, a))
	a.Release()
	must[actor.None](t)(Nothing.Call(b.ctx, w, actor.None{}))
	equal(t, "kept", 7.0)(KeptSum.Call(b.ctx, w, actor.None{}))
	must[actor.None](t)(Drop.Call(b.ctx, w, actor.None{}))
	equal(t, "mappings", 0)(Mappings.Call(b.ctx, w, actor.None{}))
	before := must[int](t)(Descriptors.Call(b.ctx, w, actor.None{}))
	for range 50 {
		a := must[shm.Array[float64]](t)(shm.New[float64](1000))
		d := must[shm.Array[float64]](t)(Double.Call(b.ctx, w, a))
		d.Release()
		a.Release()
	}
	must[actor.None](t)(Nothing.Call(b.ctx, w, actor.None{}))
	equal(t, "mappings afterwards", 0)(Mappings.Call(b.ctx, w, actor.None{}))
	equal(t, "descriptors afterwards", before)(Descriptors.Call(b.ctx, w, actor.None{}))
}

func TestStreams(t *testing.T) {
	b := newBed(t)
	w := b.ref("w")
	for _, s := range []*actor.Stream[worker, int, int]{Items, AItems} {
		n := 0
		for v, err := range s.Open(b.ctx, w, 200) {
			if err != nil || v != n {
				t.Fatalf("%s: %d, %v; want %d", s.Name(), v, err, n)
			}
			n++
		}
		if n != 200 {
			t.Errorf("%s: %d items", s.Name(), n)
		}
	}
	before := must[int](t)(Count.Call(b.ctx, w, actor.None{}))
	for range Items.Open(b.ctx, w, 1<<30) {
		break
	}
	equal(t, "a stream left", before+1)(Count.Call(b.ctx, w, actor.None{}))
	n := 0
	var r *actor.RemoteError
	for _, err := range Broken.Open(b.ctx, w, 3) {
		if n++; n == 4 && (!errors.As(err, &r) || r.Type != "ValueError") || n < 4 && err != nil {
			t.Errorf("a broken stream, item %d: %v", n, err)
		}
	}
	if n != 4 {
		t.Errorf("a broken stream: %d items", n)
	}
	for _, err := range NoStream.Open(b.ctx, w, 3) {
		if !errors.As(err, &r) || !strings.Contains(r.Text, "is no stream") {
			t.Errorf("no stream: %v", err)
		}
	}
}
