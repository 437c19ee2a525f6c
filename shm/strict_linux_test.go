package shm

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
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
	// A scarce machine.
	defer func(old string) { meminfoPath = old }(meminfoPath)
	meminfoPath = filepath.Join(t.TempDir(), "meminfo")
	must(0, os.WriteFile(meminfoPath, []byte("MemTotal: 99999999 kB\nMemAvailable:   40960 kB\nSwapFree: 10240 kB\n"), 0o600))
	if _, err := New[uint8](51 << 20); !errors.As(err, &failed) || failed.Limit != 50<<20 || !errors.Is(err, ErrNoMemory) {
		t.Errorf("%v", err)
	}
	must(New[uint8](49 << 20)).Release()
	meminfoPath = "/nonexistent" // no answer is no refusal
	must(New[uint8](51 << 20)).Release()
}

func TestNoMemoryInControlGroup(t *testing.T) {
	noLeaks(t)
	defer func(own, root string) { ownGroups, groupsRoot = own, root }(ownGroups, groupsRoot)
	dir := t.TempDir()
	groupsRoot, ownGroups = filepath.Join(dir, "fs"), filepath.Join(dir, "own")
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		must(0, os.MkdirAll(filepath.Dir(name), 0o700))
		must(0, os.WriteFile(name, []byte(text), 0o600))
	}
	write("own", "12:pids:/old\n0::/outer/inner\n")
	write("fs/outer/inner/memory.max", "max\n")
	write("fs/outer/inner/memory.current", "5\n")
	write("fs/outer/memory.max", "104857600\n")                                                             // 100 MiB
	write("fs/outer/memory.current", "94371840\n")                                                          // 90 MiB
	write("fs/outer/memory.stat", "anon 5\nshmem 62914560\nactive_file 10485760\ninactive_file 20971520\n") // 30 MiB can go
	var failed *AllocError
	if _, err := New[uint8](41 << 20); !errors.Is(err, ErrNoMemory) || !errors.As(err, &failed) || failed.Limit != 40<<20 ||
		!strings.Contains(err.Error(), "/outer") {
		t.Errorf("%v", err)
	}
	must(New[uint8](39 << 20)).Release()
	write("own", "0::/../../elsewhere\n") // outside our namespace: only what can be seen counts
	must(New[uint8](41 << 20)).Release()
	write("fs/memory.max", "0\n") // our root, of a container
	write("fs/memory.current", "0\n")
	if _, err := New[uint8](41 << 20); !errors.As(err, &failed) || failed.Limit != 0 {
		t.Errorf("%v", err)
	}
	write("own", "0::/outer/inner\n") // the least counts, and here that is not the last
	write("fs/memory.max", "1073741824\n")
	if _, err := New[uint8](41 << 20); !errors.As(err, &failed) || failed.Limit != 40<<20 {
		t.Errorf("%v", err)
	}
}

// What fallocate says is an error of New, not a SIGBUS of whoever writes. Nothing stays behind.
func TestNoSpace(t *testing.T) {
	noLeaks(t)
	defer func() { fallocate = unix.Fallocate }()
	for _, refusal := range []error{unix.ENOSPC, unix.ENOMEM, unix.EPERM} {
		calls := 0
		fallocate = func(fd int, mode uint32, off, n int64) error {
			switch calls++; calls {
			case 1:
				return unix.EINTR
			case 2:
				return unix.Fallocate(fd, mode, off, n)
			}
			return refusal
		}
		_, err := New[uint8](48 << 20)
		var failed *AllocError
		if !errors.As(err, &failed) || !errors.Is(err, refusal) || failed.Limit != -1 || calls != 3 {
			t.Errorf("%v after %d calls", err, calls)
		}
		if errors.Is(err, ErrNoMemory) != (refusal != unix.EPERM) {
			t.Errorf("%v: is it shortage?", err)
		}
	}
}

// The kernel's own word for shortage: huge pages on a machine that has set none aside.
func TestNoSpaceFromTheKernel(t *testing.T) {
	fd, err := unix.MemfdCreate("huge", unix.MFD_CLOEXEC|unix.MFD_HUGETLB)
	if err != nil {
		t.Skip("no huge pages: ", err)
	}
	defer unix.Close(fd)
	if err := fillMemory(fd, 1<<40); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("%v, want ENOSPC", err)
	}
}
