package shm

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/memfd"
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
	for _, x := range []Array[uint8]{b, a, c} { // the others still hold the segment
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

// The graveyard is bounded, and dug up oldest first.
func TestGraveyardIsBounded(t *testing.T) {
	noLeaks(t)
	setStrict(t, true)
	var first, last unsafe.Pointer
	for i := range maxReservedRanges + 1 {
		a := must(New[uint8](1))
		last = unsafe.Pointer(unsafe.SliceData(a.Data()))
		if i == 0 {
			first = last
		}
		a.Release()
	}
	graveyard.Lock()
	defer graveyard.Unlock()
	if n := len(graveyard.ranges); n != maxReservedRanges {
		t.Errorf("%d ranges kept, want %d", n, maxReservedRanges)
	}
	var sum int64
	found := map[unsafe.Pointer]bool{}
	for _, r := range graveyard.ranges {
		sum += pageRound(r.size)
		found[r.addr] = true
	}
	if sum != graveyard.bytes || sum != ledger.reserved.Load() {
		t.Errorf("%d bytes kept, books say %d and %d", sum, graveyard.bytes, ledger.reserved.Load())
	}
	if found[first] || !found[last] {
		t.Error("not the oldest were given back")
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

// What the system says about memory becomes an error that says what to do: nothing was allocated.
func TestRefusedMemory(t *testing.T) {
	for err, want := range map[error]struct {
		limit int64
		short bool
	}{
		&memfd.RoomError{Left: 5, Where: "on this machine"}: {5, true},
		unix.ENOSPC: {-1, true},
		unix.ENOMEM: {-1, true},
		unix.EMFILE: {-1, false},
	} {
		got := allocError(7, fmt.Errorf("memfd: %w", err))
		if got.Bytes != 7 || got.Limit != want.limit || errors.Is(got, ErrNoMemory) != want.short || !want.short && !errors.Is(got, err) {
			t.Errorf("%v: %v", err, got)
		}
	}
}
