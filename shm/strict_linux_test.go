package shm

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestStrictFaults(t *testing.T) {
	noLeaks(t)
	setStrict(t, true)
	a, other := must(New[uint8](8192)), must(New[uint8](4096))
	a.Data()[0] = 1
	m := encode(t, a)
	var b, c Array[uint8]
	m.decode(t, &b)
	m.Write(encodeAgain(t, m, a))
	m.decode(t, &c)
	m.begun()
	for _, x := range []Array[uint8]{b, a, c} { // the others still have the segment
		stale := x.Data()
		x.Release()
		for _, i := range []int{0, 8191} {
			addr, faulted := faults(func() { sink = stale[i] })
			if !faulted || addr != uintptr(unsafe.Pointer(&stale[i])) {
				t.Errorf("reading a released slice: faulted %v at %#x", faulted, addr)
			}
		}
		// Nothing new comes to lie there.
		fresh := must(New[uint8](8192))
		if unsafe.SliceData(fresh.Data()) == unsafe.SliceData(stale) {
			t.Error("the addresses were used again")
		}
		fresh.Release()
	}
	if Stats().Reserved < 3*8192 {
		t.Errorf("%+v", Stats())
	}
	other.Data()[0] = 1
	other.Release()
}

// A handle of strict times has its own mapping, also where the segment is mapped already.
func TestStrictFaultsAmongOthers(t *testing.T) {
	noLeaks(t)
	setStrict(t, false)
	a := must(New[uint8](10))
	m := encode(t, a)
	SetStrict(true)
	var b Array[uint8]
	m.decode(t, &b)
	m.begun()
	stale := b.Data()
	b.Release()
	if _, faulted := faults(func() { sink = stale[0] }); !faulted {
		t.Error("a released slice can be read")
	}
	if a.Data()[0] != 0 {
		t.Error("the other handle suffered")
	}
	a.Release()
}

func encodeAgain(t *testing.T, m *message, a Array[uint8]) []byte {
	t.Helper()
	m2 := encode(t, a)
	defer m2.begun()
	return bytes.Clone(m2.Bytes())
}

// Without strict mode the addresses go back.
func TestNotStrictGivesBack(t *testing.T) {
	noLeaks(t)
	setStrict(t, false)
	before := Stats().Reserved
	for range 10 {
		must(New[uint8](1 << 20)).Release()
	}
	if now := Stats().Reserved; now != before {
		t.Errorf("%d more bytes reserved", now-before)
	}
}

func TestNoMemoryOnThisMachine(t *testing.T) {
	noLeaks(t)
	_, err := New[float64](1 << 50) // 8 PiB
	var failed *AllocError
	if !errors.Is(err, ErrNoMemory) || !errors.As(err, &failed) || failed.Limit <= 0 || failed.Bytes != 8<<50 {
		t.Fatalf("%v", err)
	}
	if !strings.Contains(err.Error(), "8.0 PiB") || !strings.Contains(err.Error(), " left") {
		t.Errorf("%q does not say how much there is", err)
	}
}

func TestOutOfDescriptors(t *testing.T) {
	noLeaks(t)
	var old unix.Rlimit
	must(0, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	must(0, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: old.Max}))
	_, err := New[uint8](10)
	must(0, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
	var failed *AllocError
	if !errors.As(err, &failed) || !errors.Is(err, syscall.EMFILE) || failed.Bytes != 10 || failed.Limit != -1 {
		t.Errorf("%v, want an *AllocError with EMFILE", err)
	}
}
