package transport

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

func newBell(t testing.TB) *Doorbell {
	t.Helper()
	b, err := NewDoorbell()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// ringer opens a bell as another process would.
func ringer(t testing.TB, b *Doorbell) *PeerDoorbell {
	t.Helper()
	fd, err := duplicateFD(b.File())
	if err != nil {
		t.Fatal(err)
	}
	p, err := OpenDoorbell(os.NewFile(uintptr(fd), "bell"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// Whatever happens between the last look and the sleep, who is rung for wakes up.
func TestBellIsNeverMissed(t *testing.T) {
	b := newBell(t)
	p := ringer(t, b)
	const rounds = 3000
	var said, heard atomic.Int32
	go func() {
		for i := int32(1); i <= rounds; i++ {
			for range rand.IntN(200) {
				pause(1)
			}
			said.Store(i)
			p.Ring()
			for heard.Load() != i {
				runtime.Gosched()
			}
		}
	}()
	for i := int32(1); i <= rounds; i++ {
		for said.Load() != i { // the bell may be left over from before
			if err := b.Wait(func() bool { return said.Load() == i }); err != nil {
				t.Fatal(err)
			}
		}
		heard.Store(i)
	}
}

// A ringing that comes when the last look is over, and before anybody sleeps.
func TestBellRungBeforeTheSleep(t *testing.T) {
	b := newBell(t)
	p := ringer(t, b)
	for range 3 {
		looks := 0
		err := b.Wait(func() bool {
			looks++
			p.Ring()
			return false
		})
		if err != nil || looks != 1 {
			t.Errorf("woke after %d looks, %v", looks, err)
		}
	}
}

func TestBellOfNobody(t *testing.T) {
	b := newBell(t)
	p := ringer(t, b)
	p.Ring() // before anybody waits: of no use to who waits later
	if err := b.Wait(func() bool { return true }); err != nil {
		t.Error(err)
	}
	woke := make(chan error)
	var once sync.Once
	listening := make(chan struct{})
	go func() {
		var err error
		for err == nil { // the ringing above may be heard only now
			err = b.Wait(func() bool { once.Do(func() { close(listening) }); return false })
		}
		woke <- err
	}()
	<-listening
	b.Close()
	<-woke
	if err := b.Wait(func() bool { return false }); err == nil {
		t.Error("a closed bell rang")
	}
	b.Ring() // both do no harm
	p.Ring()
	p.Close()
	p.Close()
	p.Ring()
}

// Peers share a bell. One that fills it does not silence the others.
func TestBellThatIsFull(t *testing.T) {
	b := newBell(t)
	p := ringer(t, b)
	full := binary.NativeEndian.AppendUint64(nil, 1<<64-2)
	if _, err := unix.Write(p.fd, full); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(p.fd, binary.NativeEndian.AppendUint64(nil, 1)); err != unix.EAGAIN {
		t.Fatalf("it is not full: %v", err)
	}
	for range 2 {
		if err := b.Wait(func() bool { p.Ring(); return false }); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenBellRefuses(t *testing.T) {
	eventfd := func(flags int) *os.File {
		fd, err := unix.Eventfd(0, flags|unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		return os.NewFile(uintptr(fd), "eventfd")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]*os.File{"a pipe": w, "one that blocks": eventfd(0), "a device": null} {
		b, err := OpenDoorbell(f)
		if !errors.Is(err, ErrCorruptRing) {
			t.Errorf("%s: %v", name, err)
		}
		if b != nil {
			b.Close()
		}
		if f.Close() == nil {
			t.Errorf("%s was left open", name)
		}
	}
	closed := eventfd(unix.EFD_NONBLOCK)
	closed.Close()
	if _, err := OpenDoorbell(closed); err == nil || errors.Is(err, ErrCorruptRing) {
		t.Errorf("a file that is closed is not the peer's fault: %v", err)
	}
}
