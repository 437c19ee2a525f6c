package transport

import (
	"errors"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/memfd"
)

// newRingPair joins two halves over real memory, with the bells that their
// readers listen to.
func newRingPair(t testing.TB) (a, b *Rings, bellA, bellB *Bell) {
	t.Helper()
	a, b = newRings(t), newRings(t)
	bellA, bellB = newBell(t), newBell(t)
	ofA := shared(t, a.File())
	if err := a.Join(shared(t, b.File()), shared(t, bellB.File())); err != nil {
		t.Fatal(err)
	}
	if err := b.Join(ofA, shared(t, bellA.File())); err != nil {
		t.Fatal(err)
	}
	return a, b, bellA, bellB
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

// Two ends that answer each other and sleep between: nobody sleeps for ever.
func TestRingsSleepAndWake(t *testing.T) {
	a, b, bellA, bellB := newRingPair(t)
	const n = 5000
	var ends sync.WaitGroup
	end := func(r *Rings, bell *Bell, first uint64) {
		defer ends.Done()
		asleep := func() bool { r.Park(); return r.Pending() }
		for i := first; i <= n; i += 2 {
			if i > 1 {
				for !r.Pending() {
					if err := bell.Wait(asleep); err != nil {
						t.Error(err)
						return
					}
					r.Unpark()
				}
				number, ok, err := r.Front()
				if _, terr := r.Take(nil); !ok || number != i-1 || err != nil || terr != nil {
					t.Errorf("record %d came where %d was due (%v, %v, %v)", number, i-1, ok, err, terr)
					return
				}
			}
			if ok, err := r.Write(i, []byte("ping")); !ok || err != nil {
				t.Errorf("writing: %v, %v", ok, err)
				return
			}
		}
	}
	ends.Add(2)
	go end(a, bellA, 1)
	go end(b, bellB, 2)
	ends.Wait()
}

// The memory goes with the last who is inside, whoever closes when.
func TestRingsClose(t *testing.T) {
	a, _, _, _ := newRingPair(t)
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
	if ok, err := a.Write(1, nil); !ok || err != nil { // the other one is in still
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
		bell := newBell(t)
		f := mem()
		if err := r.Join(f, shared(t, bell.File())); !errors.Is(err, ErrScribbled) {
			t.Errorf("%s: %v", name, err)
		}
		if f.Close() == nil {
			t.Errorf("%s: the file was left open", name)
		}
		r.Close()
	}
}
