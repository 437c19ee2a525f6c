package shm

import (
	"errors"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/segment"
)

// faults reports whether fn touches memory that it may not, and at which address.
func faults(fn func()) (addr uintptr, faulted bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			fault, ok := r.(interface {
				runtime.Error
				Addr() uintptr
			})
			if !ok {
				panic(r)
			}
			addr, faulted = fault.Addr(), true
		}
	}()
	fn()
	return 0, false
}

func sealsOf(t *testing.T, s *segment.Segment) int {
	t.Helper()
	return must(unix.FcntlInt(s.File().Fd(), unix.F_GET_SEALS, 0))
}

func TestFreeze(t *testing.T) {
	for _, on := range []bool{false, true} {
		noLeaks(t)
		setStrict(t, on)
		a := must(New[uint32](5000))
		pix := must(a.Slice())
		for i := range pix {
			pix[i] = uint32(i)
		}
		if addr, faulted := faults(func() { pix[7]++ }); faulted {
			t.Fatalf("write to unfrozen array faulted at %#x", addr)
		}
		if seals := sealsOf(t, segmentOf(a)); seals&(unix.F_SEAL_SHRINK|unix.F_SEAL_GROW) != unix.F_SEAL_SHRINK|unix.F_SEAL_GROW {
			t.Errorf("seals at birth %#x", seals)
		}
		for range 2 { // the second one changes nothing
			if err := a.Freeze(); err != nil {
				t.Fatal(err)
			}
			if sealsOf(t, segmentOf(a))&unix.F_SEAL_WRITE == 0 || !a.Frozen() {
				t.Error("not sealed")
			}
			if now := must(a.Slice()); unsafe.SliceData(now) != unsafe.SliceData(pix) || now[4999] != 4999 || pix[7] != 8 {
				t.Error("freezing moved or changed the array")
			}
			addr, faulted := faults(func() { pix[4999] = 1 })
			if !faulted || addr != uintptr(unsafe.Pointer(&pix[4999])) {
				t.Errorf("write to frozen array: faulted %v, at %#x", faulted, addr)
			}
		}
		// No process gets it writable again, or can change it in another way.
		fd := int(segmentOf(a).File().Fd())
		if _, err := unix.MmapPtr(fd, 0, nil, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); !errors.Is(err, unix.EPERM) {
			t.Errorf("writable mapping of frozen array: %v", err)
		}
		if _, err := unix.Pwrite(fd, []byte{1}, 0); !errors.Is(err, unix.EPERM) {
			t.Errorf("write to frozen array: %v", err)
		}
		if err := unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096); !errors.Is(err, unix.EPERM) {
			t.Errorf("hole in frozen array: %v", err)
		}
		if err := unix.Ftruncate(fd, 0); !errors.Is(err, unix.EPERM) {
			t.Errorf("truncate: %v", err)
		}
		a.Release()
	}
}

func TestFreezeShared(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		a := must(NewShared[uint8](10))
		defer a.Release()
		if err := a.Freeze(); !errors.Is(err, ErrShared) || a.Frozen() {
			t.Errorf("Freeze: %v, Frozen %v", err, a.Frozen())
		}
		m := encode(t, a)
		m.begun()
		if len(m.sent) != 0 {
			t.Error("a shared array was reported as moved")
		}
		a.Data()[0] = 1
	})
}

// Any process that has it could otherwise take the right to write from all others.
func TestSharedCannotBeSealed(t *testing.T) {
	noLeaks(t)
	a := must(NewShared[uint8](10))
	defer a.Release()
	if _, err := unix.FcntlInt(segmentOf(a).File().Fd(), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE); !errors.Is(err, unix.EPERM) {
		t.Errorf("adding a seal: %v", err)
	}
}

func TestFreezeRefusedWhileWritableElsewhere(t *testing.T) {
	for _, on := range []bool{false, true} {
		noLeaks(t)
		setStrict(t, on)
		a := must(New[uint8](100))
		pix := a.Data()
		pix[0] = 1
		other := must(unix.MmapPtr(int(segmentOf(a).File().Fd()), 0, nil, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED))
		if err := a.Freeze(); !errors.Is(err, unix.EBUSY) {
			t.Fatalf("Freeze: %v, want EBUSY", err)
		}
		if a.Frozen() || sealsOf(t, segmentOf(a))&unix.F_SEAL_WRITE != 0 {
			t.Error("frozen all the same")
		}
		// The maker goes on as if nothing had been, in the same memory.
		if addr, faulted := faults(func() { pix[1] = 2 }); faulted {
			t.Fatalf("write faulted at %#x", addr)
		}
		if got := unsafe.Slice((*byte)(other), 2); got[0] != 1 || got[1] != 2 {
			t.Errorf("the memory has %v", got)
		}
		must(0, unix.MunmapPtr(other, 4096))
		if err := a.Freeze(); err != nil || pix[1] != 2 {
			t.Errorf("Freeze afterwards: %v, %v", err, pix[:2])
		}
		a.Release()
	}
}

// A gigabyte is frozen where it is: a copy would touch every page of it.
func TestFreezeCopiesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a gigabyte")
	}
	noLeaks(t)
	const n = 1 << 30
	a, err := New[uint8](n)
	if errors.Is(err, ErrNoMemory) {
		t.Skip(err)
	}
	defer must(a, err).Release()
	pix := a.Data()
	pix[0], pix[n/2], pix[n-1] = 1, 2, 3
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after unix.Rusage
	var memBefore, memAfter runtime.MemStats
	runtime.ReadMemStats(&memBefore)
	must(0, unix.Getrusage(unix.RUSAGE_THREAD, &before))
	err = a.Freeze()
	must(0, unix.Getrusage(unix.RUSAGE_THREAD, &after))
	runtime.ReadMemStats(&memAfter)
	if err != nil {
		t.Fatal(err)
	}
	if now := a.Data(); unsafe.SliceData(now) != unsafe.SliceData(pix) || now[0] != 1 || now[n/2] != 2 || now[n-1] != 3 {
		t.Error("the data moved or changed")
	}
	if faults := after.Minflt - before.Minflt; faults > 100 {
		t.Errorf("freezing took %d page faults", faults)
	}
	if bytes := memAfter.TotalAlloc - memBefore.TotalAlloc; bytes > 1<<20 {
		t.Errorf("freezing allocated %d bytes", bytes)
	}
	if got := Stats().Mapped; got != n {
		t.Errorf("%d bytes mapped, want %d", got, n)
	}
}

// Readers in other goroutines notice nothing of a freeze.
func TestReadersDuringFreeze(t *testing.T) {
	noLeaks(t)
	for range 200 {
		a := must(New[uint64](2000))
		pix := a.Data()
		for i := range pix {
			pix[i] = 3
		}
		begun, done := make(chan struct{}), make(chan uint64)
		go func() {
			var sum uint64
			for round := range 20 {
				for _, v := range pix {
					sum += v
				}
				if round == 0 {
					close(begun)
				}
			}
			done <- sum
		}()
		<-begun
		must(0, a.Freeze())
		if sum := <-done; sum != 3*20*2000 {
			t.Errorf("sum %d", sum)
		}
		a.Release()
	}
}

// Allocation ends also on a thread that signals interrupt all the time; a profiler does that.
func TestAllocateUnderSignals(t *testing.T) {
	noLeaks(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, tid := unix.Getpid(), unix.Gettid()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				_ = unix.Tgkill(pid, tid, unix.SIGURG) // the Go runtime's own signal to preempt
			}
		}
	}()
	a, err := New[uint8](200 << 20)
	close(stop)
	<-stopped
	if errors.Is(err, ErrNoMemory) {
		t.Skip(err)
	}
	must(a, err).Release()
}
