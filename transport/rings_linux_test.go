package transport

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/memfd"
)

// newRingPair joins two halves over real memory.
func newRingPair(t testing.TB) (a, b *Rings) {
	t.Helper()
	a, b = newRings(t), newRings(t)
	ofA := shared(t, a.File())
	if err := a.Join(shared(t, b.File())); err != nil {
		t.Fatal(err)
	}
	if err := b.Join(ofA); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func newRings(t testing.TB) *Rings {
	t.Helper()
	r, err := NewRings()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// shared is f as it comes to another process.
func shared(t testing.TB, f *os.File) *os.File {
	t.Helper()
	fd, err := duplicateFD(f)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), f.Name())
}

// The memory goes with the last who is inside, whoever closes when.
func TestRingsClose(t *testing.T) {
	a, _ := newRingPair(t)
	for range 2 {
		if !a.Enter() {
			t.Fatal("nobody gets in")
		}
	}
	a.Close()
	a.Close()
	if a.Enter() {
		t.Error("somebody got in after Close")
	}
	a.Leave()
	if ok, _, err := a.Write(1, nil); !ok || err != nil { // the other one is in still
		t.Errorf("writing: %v, %v", ok, err)
	}
	freed := false
	a.free = func(mem []byte) { freed = true; _ = memfd.Unmap(mem) }
	a.Leave()
	if !freed || a.Enter() {
		t.Error("the memory is there still")
	}
}

// A peer's half that is not what it must be is refused, and nothing of it stays.
func TestRingsJoinRefuses(t *testing.T) {
	half := func(size int64, seals ...int) *os.File {
		f, err := memfd.Create("half", size, seals...)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for name, mem := range map[string]func() *os.File{
		"unsealed":   func() *os.File { return half(ringMemory) },
		"may shrink": func() *os.File { return half(ringMemory, unix.F_SEAL_GROW) },
		"too small":  func() *os.File { return half(ringMemory-1, unix.F_SEAL_GROW, unix.F_SEAL_SHRINK) },
		"too large":  func() *os.File { return half(ringMemory+1, unix.F_SEAL_GROW, unix.F_SEAL_SHRINK) },
		"a hole": func() *os.File {
			fd, err := memfd.CreateSparse("half", ringMemory, unix.F_SEAL_GROW, unix.F_SEAL_SHRINK)
			if err != nil {
				t.Fatal(err)
			}
			return os.NewFile(uintptr(fd), "half")
		},
		"no memory":    func() *os.File { f, _ := os.Open(os.DevNull); return f },
		"nothing much": func() *os.File { return half(0, unix.F_SEAL_GROW, unix.F_SEAL_SHRINK) },
	} {
		r := newRings(t)
		f := mem()
		if err := r.Join(f); !errors.Is(err, ErrCorruptRing) {
			t.Errorf("%s: %v", name, err)
		}
		if f.Close() == nil {
			t.Errorf("%s: the file was left open", name)
		}
		r.Close()
	}
}
