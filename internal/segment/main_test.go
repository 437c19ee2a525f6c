package segment

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if msg := leaks(); msg != "" {
			fmt.Fprintln(os.Stderr, "leaked by the tests together:", msg)
			code = 1
		}
	}
	os.Exit(code)
}

// leaks describes the segments of this process, by its own table and by the kernel's.
func leaks() string {
	var b strings.Builder
	s := Stats()
	if s.Reserved = 0; s != (Totals{}) {
		fmt.Fprintf(&b, "%+v %+v\n", s, Outstanding())
	}
	if maps, err := os.ReadFile("/proc/self/maps"); err == nil {
		for line := range strings.Lines(string(maps)) {
			if strings.Contains(line, "/memfd:") {
				b.WriteString(line)
			}
		}
	}
	fds, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.Contains(to, "/memfd:") {
			fmt.Fprintln(&b, fd, to)
		}
	}
	return b.String()
}

// noLeaks fails the test if it ends with more than it began with, which is nothing.
func noLeaks(t testing.TB) {
	t.Helper()
	if msg := leaks(); msg != "" {
		t.Fatal("leaked by a test before:", msg)
	}
	t.Cleanup(func() {
		if msg := leaks(); msg != "" {
			t.Error("leaked:", msg)
		}
	})
}

// setStrict runs the test in strict mode.
func setStrict(t testing.TB, on bool) {
	t.Helper()
	before := SetStrict(on)
	t.Cleanup(func() { SetStrict(before) })
}

// everyWay runs a test with memfds, with memfds in strict mode, and on the heap.
func everyWay(t *testing.T, test func(t *testing.T)) {
	if memfds {
		t.Run("memfd", func(t *testing.T) { noLeaks(t); test(t) })
		t.Run("strict", func(t *testing.T) { noLeaks(t); setStrict(t, true); test(t) })
	}
	t.Run("heap", func(t *testing.T) {
		noLeaks(t)
		before := ForceHeap.Swap(true)
		t.Cleanup(func() { ForceHeap.Store(before) })
		test(t)
	})
}

// An array is to these tests what a shm.Array is to users.
type array[T any] struct {
	_    [0]T
	view View
}

// newArray makes an array of n elements, of one dimension.
func newArray[T any](n int) (array[T], error) { return create[T](n, Frozen) }

func newShared[T any](n int) (array[T], error) { return create[T](n, Shared) }

func create[T any](n int, mode Mode) (array[T], error) {
	_, size, err := Measure([]int{n}, kindFor[T]())
	if err != nil {
		return array[T]{}, err
	}
	h, _, err := New(size, mode)
	return array[T]{view: View{Handle: h, Len: n, Shape: []int{n}}}, err
}

// bytesOf makes an array of the whole of a segment.
func bytesOf(s *Segment) array[uint8] {
	n := int(s.Size())
	return array[uint8]{view: View{Handle: newHandle(s), Len: n, Shape: []int{n}}}
}

func kindFor[T any]() Kind { return KindOfElement(reflect.TypeFor[T]()) }

func (a array[T]) slice() ([]T, error) {
	if a.view.Handle == nil {
		return nil, nil
	}
	base, err := a.view.Handle.Base()
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*T)(unsafe.Add(base, a.view.Offset)), a.view.Len), nil
}

func (a array[T]) data() []T { return must(a.slice()) }

func (a array[T]) release() {
	if a.view.Handle != nil {
		a.view.Handle.Release()
	}
}

func (a array[T]) EncodeMsgpack(enc *msgpack.Encoder) error { return a.view.Encode(enc, kindFor[T]()) }

func (a *array[T]) DecodeMsgpack(dec *msgpack.Decoder) error { return a.view.Decode(dec, kindFor[T]()) }

// A message is what a runtime makes of one: the bytes with the segments, for encoding and decoding.
type message struct {
	bytes.Buffer
	segments       []*Segment
	sent, received []Received
}

func (m *message) Carry(s *Segment) (int, error) {
	if i := slices.Index(m.segments, s); i >= 0 {
		return i, nil
	}
	s.Retain()
	m.segments = append(m.segments, s)
	return len(m.segments) - 1, nil
}

func (m *message) Sent(h Received) { m.sent = append(m.sent, h) }

func (m *message) Segment(i int) (*Segment, error) {
	if i >= len(m.segments) {
		return nil, fmt.Errorf("%d segments came with the message", len(m.segments))
	}
	return m.segments[i], nil
}

func (m *message) Received(h Received) { m.received = append(m.received, h) }

// begun drops the message's own references, as the runtime does when the receiver has begun it.
func (m *message) begun() {
	for _, s := range m.segments {
		s.Release()
	}
	m.segments = nil
}

func encode(t testing.TB, v any) *message {
	t.Helper()
	m := new(message)
	if err := msgpack.NewEncoder(m).Encode(v); err != nil {
		t.Fatalf("encode %v: %v", v, err)
	}
	return m
}

func (m *message) decode(t testing.TB, v any) {
	t.Helper()
	if err := msgpack.NewDecoder(m).Decode(v); err != nil {
		t.Fatalf("decode: %v", err)
	}
	if m.Len() != 0 {
		t.Fatalf("%d bytes left over by decoding", m.Len())
	}
}

// must returns v of a call that may not fail.
func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

func recovered(fn func()) (r any) {
	defer func() { r = recover() }()
	fn()
	return nil
}

// sink keeps the compiler from dropping reads.
var sink any
