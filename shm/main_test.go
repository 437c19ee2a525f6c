package shm

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/segment"
)

// children are the programs that this test binary is when it is run again with childEnv set.
const childEnv = "SHM_TEST_CHILD"

var children = map[string]func(){}

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		children[name]()
		os.Exit(0)
	}
	code := m.Run()
	if code == 0 {
		if msg := leaks(); msg != "" {
			fmt.Fprintln(os.Stderr, "leaked by the tests together:", msg)
			code = 1
		}
	}
	os.Exit(code)
}

// leaks describes the arrays of this process, by its own table and by the kernel's.
func leaks() string {
	var b strings.Builder
	if s := Stats(); s.Segments|s.Handles != 0 || s.Bytes|s.Charged|s.Mapped != 0 {
		fmt.Fprintf(&b, "%+v\n", s)
	}
	for _, h := range Outstanding() {
		fmt.Fprintln(&b, h)
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

// setHeap runs the test with arrays on the heap.
func setHeap(t testing.TB) {
	t.Helper()
	before := segment.ForceHeap.Swap(true)
	t.Cleanup(func() { segment.ForceHeap.Store(before) })
}

// setStrict runs the test in strict mode.
func setStrict(t testing.TB, on bool) {
	t.Helper()
	before := SetStrict(on)
	t.Cleanup(func() { SetStrict(before) })
}

// everyWay runs a test with memfds, with memfds in strict mode, and on the heap.
func everyWay(t *testing.T, test func(t *testing.T)) {
	if runtime.GOOS == "linux" {
		t.Run("memfd", func(t *testing.T) { noLeaks(t); test(t) })
		t.Run("strict", func(t *testing.T) { noLeaks(t); setStrict(t, true); test(t) })
	}
	t.Run("heap", func(t *testing.T) { noLeaks(t); setHeap(t); test(t) })
}

// A message is what a runtime makes of one: the bytes with the segments, for encoding and decoding.
type message struct {
	bytes.Buffer
	segments       []*segment.Segment
	sent, received []segment.Received
}

func (m *message) Carry(s *segment.Segment) (int, error) {
	for i, have := range m.segments {
		if have == s {
			return i, nil
		}
	}
	s.Retain()
	m.segments = append(m.segments, s)
	return len(m.segments) - 1, nil
}

func (m *message) Sent(h segment.Received) { m.sent = append(m.sent, h) }

func (m *message) Segment(i int) (*segment.Segment, error) {
	if i >= len(m.segments) {
		return nil, fmt.Errorf("%d segments came with the message", len(m.segments))
	}
	return m.segments[i], nil
}

func (m *message) Received(h segment.Received) { m.received = append(m.received, h) }

// begun drops the message's own references, as the runtime does when the receiver has begun it.
func (m *message) begun() {
	for _, s := range m.segments {
		s.Release()
	}
	m.segments = nil
}

// handlerReturned does what the runtime does then.
func (m *message) handlerReturned() {
	for _, h := range m.received {
		h.AutoRelease()
	}
	m.received = nil
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

// segmentOf returns the segment of an array with elements.
func segmentOf[T Number](a Array[T]) *segment.Segment { return a.view.Handle.Segment() }

// must returns v of a call that may not fail.
func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// sink keeps the compiler from dropping reads.
var sink any
