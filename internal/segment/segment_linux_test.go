package segment

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memfile makes a memfd by hand.
func memfile(t *testing.T, size int64, allocate bool, seals int) *os.File {
	t.Helper()
	fd := must(unix.MemfdCreate("by hand", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING))
	must(0, unix.Ftruncate(fd, size))
	if allocate && size > 0 {
		must(0, unix.Fallocate(fd, 0, 0, size))
	}
	must(unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals))
	return os.NewFile(uintptr(fd), "by hand")
}

// reopen opens the same memfd in another way.
func reopen(t *testing.T, f *os.File, flags int) *os.File {
	t.Helper()
	defer f.Close()
	fd := must(unix.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), flags|unix.O_CLOEXEC, 0))
	return os.NewFile(uintptr(fd), "opened again")
}

const (
	sealSize   = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	sealFrozen = sealSize | unix.F_SEAL_WRITE
)

func TestOpenSegmentRefuses(t *testing.T) {
	noLeaks(t)
	pipe := func() *os.File {
		r, w := must2(os.Pipe())
		_ = w.Close()
		return r
	}
	for _, c := range []struct {
		why  string
		f    *os.File
		size int64
		mode Mode
	}{
		{"no descriptor", nil, 4096, Frozen},
		{"sealed against resizing", memfile(t, 4096, true, 0), 4096, Frozen},
		{"sealed against resizing", memfile(t, 4096, true, 0), 4096, Shared},
		{"sealed against resizing", memfile(t, 4096, true, unix.F_SEAL_WRITE), 4096, Frozen},
		{"sealed against resizing", memfile(t, 4096, true, unix.F_SEAL_WRITE|unix.F_SEAL_GROW), 4096, Frozen},
		{"sealed against resizing", memfile(t, 4096, true, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK), 4096, Frozen},
		{"not sealed against writing", memfile(t, 4096, true, sealSize), 4096, Frozen},
		{"not sealed against writing", memfile(t, 4096, true, sealSize|unix.F_SEAL_FUTURE_WRITE), 4096, Frozen},
		{"sealed against writing", memfile(t, 4096, true, sealFrozen), 4096, Shared},
		{"sealed against writing", memfile(t, 4096, true, sealSize|unix.F_SEAL_FUTURE_WRITE), 4096, Shared},
		{"size is 4096", memfile(t, 4096, true, sealFrozen), 8192, Frozen}, // shrunk, or too small
		{"size is 4096", memfile(t, 4096, true, sealFrozen), 4097, Frozen}, // would be a SIGBUS only by luck
		{"size is 4096", memfile(t, 4096, true, sealFrozen), 100, Frozen},
		{"size is 0", memfile(t, 0, true, sealFrozen), 4096, Frozen},
		{"impossible size", memfile(t, 0, true, sealFrozen), 0, Frozen},
		{"impossible size", memfile(t, 4096, true, sealFrozen), -4096, Frozen},
		{"only 0 bytes of it are allocated", memfile(t, 1<<40, false, sealFrozen), 1 << 40, Frozen},
		{"only 0 bytes of it are allocated", memfile(t, 4096, false, sealSize), 4096, Shared},
		{"unknown mode", memfile(t, 4096, true, sealFrozen), 4096, 0},
		{"unknown mode", memfile(t, 4096, true, sealFrozen), 4096, 7},
		{"cannot be mapped", reopen(t, memfile(t, 4096, true, sealSize), unix.O_RDONLY), 4096, Shared},
		{"cannot be mapped", reopen(t, memfile(t, 4096, true, sealSize), unix.O_WRONLY), 4096, Shared},
		{"not a memfd", reopen(t, memfile(t, 4096, true, sealFrozen), unix.O_PATH), 4096, Frozen},
		{"a file of type", must(os.Open(os.DevNull)), 4096, Frozen},
		{"a file of type", must(os.Open("/dev/zero")), 4096, Frozen},
		{"a file of type", must(os.Open(t.TempDir())), 4096, Frozen},
		{"a file of type", pipe(), 4096, Frozen},
		{"not a memfd", regularFile(t), 4096, Frozen},
		{"closed", closedFile(t), 4096, Frozen},
	} {
		s, err := OpenSegment(c.f, c.size, c.mode)
		var bad *SegmentError
		if s != nil || !errors.As(err, &bad) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("OpenSegment: %v, %v, want a *SegmentError with %q", s, err, c.why)
			continue
		}
		if bad.Size != c.size || bad.Mode != c.mode {
			t.Errorf("error names %v, %d", bad.Mode, bad.Size)
		}
		if c.f != nil && !errors.Is(c.f.Close(), os.ErrClosed) {
			t.Errorf("%q: the descriptor was not closed", c.why)
		}
	}
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

func regularFile(t *testing.T) *os.File {
	name := filepath.Join(t.TempDir(), "f")
	must(0, os.WriteFile(name, make([]byte, 4096), 0o600))
	return must(os.OpenFile(name, os.O_RDWR, 0))
}

func closedFile(t *testing.T) *os.File {
	f := memfile(t, 4096, true, sealFrozen)
	must(0, f.Close())
	return f
}

func TestOpenSegmentOfAPeer(t *testing.T) {
	noLeaks(t)
	f := memfile(t, 10000, true, sealSize) // not a multiple of the page size
	must(f.WriteAt([]byte{5}, 9999))
	must(unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE))
	again := os.NewFile(uintptr(must(unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0))), "again")
	third := reopen(t, os.NewFile(uintptr(must(unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0))), ""), unix.O_RDONLY)
	s := must(OpenSegment(f, 10000, Frozen))
	if got := Stats(); got.Mapped != 0 || got.Bytes != 10000 || got.Charged != 0 {
		t.Errorf("before the first look: %+v", got)
	}
	a := bytesOf(s)
	if a.data()[9999] != 5 {
		t.Errorf("last byte %d", a.data()[9999])
	}
	if _, faulted := faults(func() { a.data()[0] = 1 }); !faulted {
		t.Error("wrote to a frozen segment")
	}
	if !s.Frozen() || a.view.Handle.Freeze() != nil {
		t.Error("a received frozen segment is not frozen")
	}
	// The same memory over another connection, or the same one again: one segment, one mapping, one descriptor.
	for _, f := range []*os.File{again, third} {
		if s2 := must(OpenSegment(f, 10000, Frozen)); s2 != s {
			t.Error("a second segment for the same memory")
		}
		if !errors.Is(f.Close(), os.ErrClosed) {
			t.Error("the second descriptor was not closed")
		}
		s.Release()
	}
	if got := Stats(); got.Segments != 1 || got.Mapped != pageRound(10000) {
		t.Errorf("%+v", got)
	}
	bad := os.NewFile(uintptr(must(unix.FcntlInt(s.File().Fd(), unix.F_DUPFD_CLOEXEC, 0))), "")
	if _, err := OpenSegment(bad, 10000, Shared); err == nil {
		t.Error("a frozen segment was opened as a shared one")
	}
	s.Release()
	if a.data()[9999] != 5 {
		t.Error("gone while a handle lives")
	}
	a.release()
}

// An array that comes back to its maker is the maker's.
func TestSegmentComesHome(t *testing.T) {
	noLeaks(t)
	a := must(newArray[uint8](100))
	must(0, a.view.Handle.Freeze())
	f := os.NewFile(uintptr(must(unix.FcntlInt(a.view.Handle.seg.File().Fd(), unix.F_DUPFD_CLOEXEC, 0))), "")
	s := must(OpenSegment(f, 100, Frozen))
	if s != a.view.Handle.seg {
		t.Error("two segments for one memory")
	}
	s.Release()
	a.release()
}

// A peer that changes its mind about a segment that we have is refused.
func TestModeIsForLife(t *testing.T) {
	noLeaks(t)
	f := memfile(t, 4096, true, sealSize)
	again := os.NewFile(uintptr(must(unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0))), "")
	s := must(OpenSegment(f, 4096, Shared))
	defer s.Release()
	must(unix.FcntlInt(again.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE)) // what our own do not allow
	_, err := OpenSegment(again, 4096, Frozen)
	var bad *SegmentError
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), "knows it as shared") {
		t.Errorf("%v", err)
	}
	if !errors.Is(again.Close(), os.ErrClosed) {
		t.Error("the descriptor was not closed")
	}
	a := bytesOf(s)
	if _, err := a.slice(); !errors.Is(err, unix.EPERM) { // an error, not a fault
		t.Errorf("mapping what can no longer be written: %v", err)
	}
	a.release()
}

// Memory whose segment has ended can come again, as a new segment.
func TestSegmentComesAgain(t *testing.T) {
	noLeaks(t)
	f := memfile(t, 4096, true, sealFrozen)
	defer f.Close()
	var last uint64
	for range 3 {
		s := must(OpenSegment(os.NewFile(uintptr(must(unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0))), ""), 4096, Frozen))
		if s.ID() <= last {
			t.Errorf("segment %d after %d", s.ID(), last)
		}
		last = s.ID()
		h := newHandle(s)
		s.Release()
		sink = *(*byte)(must(h.Base()))
		h.Release()
	}
	if n := len(table.byInode); n != 0 {
		t.Errorf("the table knows %d more", n)
	}
}

func TestSharedSegmentCannotShrink(t *testing.T) {
	noLeaks(t)
	a := must(newShared[uint8](8192))
	defer a.release()
	if err := unix.Ftruncate(int(a.view.Handle.seg.File().Fd()), 4096); !errors.Is(err, unix.EPERM) {
		t.Errorf("shrink: %v", err)
	}
	if err := unix.Ftruncate(int(a.view.Handle.seg.File().Fd()), 1<<20); !errors.Is(err, unix.EPERM) {
		t.Errorf("grow: %v", err)
	}
}

// mapped reports whether something is mapped at the address.
func mapped(addr unsafe.Pointer) bool {
	return unix.Mprotect(unsafe.Slice((*byte)(addr), 4096), unix.PROT_READ) == nil
}

func TestLifetime(t *testing.T) {
	noLeaks(t)
	setStrict(t, false)
	a := must(newArray[uint8](4096))
	a.data()[0] = 9
	m := encode(t, a)
	first := unsafe.Pointer(unsafe.SliceData(a.data()))
	a.release() // the message has a reference
	if got := Stats(); got.Segments != 1 || got.Handles != 0 || got.Mapped != 4096 {
		t.Errorf("under way: %+v", got)
	}
	// While a connection retains the segment, its mapping serves all handles.
	s := m.segments[0]
	for range 3 {
		h := newHandle(s)
		if p := must(h.Base()); p != first {
			t.Error("mapped again")
		}
		h.Release()
	}
	fd := int(s.File().Fd())
	m.begun()
	if mapped(first) {
		t.Error("still mapped after the last Release")
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("descriptor after the last Release: %v", err)
	}
	for _, misuse := range []func(){s.Retain, s.Release} {
		if recovered(misuse) == nil {
			t.Error("use of a segment without references went unnoticed")
		}
	}
}

func TestDescriptorsCloseOnExec(t *testing.T) {
	noLeaks(t)
	a := must(newArray[uint8](10))
	defer a.release()
	if flags := must(unix.FcntlInt(a.view.Handle.seg.File().Fd(), unix.F_GETFD, 0)); flags&unix.FD_CLOEXEC == 0 {
		t.Error("inherited by children")
	}
}

func TestNoName(t *testing.T) {
	noLeaks(t)
	a := must(newArray[uint8](10))
	defer a.release()
	to := must(os.Readlink(fmt.Sprintf("/proc/self/fd/%d", a.view.Handle.seg.File().Fd())))
	if to != "/memfd:"+memoryName+" (deleted)" {
		t.Errorf("the memory is %q", to)
	}
	var st unix.Stat_t
	must(0, unix.Fstat(int(a.view.Handle.seg.File().Fd()), &st))
	if st.Nlink != 0 {
		t.Errorf("%d names in directories", st.Nlink)
	}
	if st.Blocks*512 < 10 {
		t.Error("not allocated at birth")
	}
}

// A mapping that the kernel refuses is an error of Slice, and may succeed later.
func TestMappingRefused(t *testing.T) {
	noLeaks(t)
	s := must(OpenSegment(memfile(t, 64<<20, true, sealFrozen), 64<<20, Frozen))
	a := bytesOf(s)
	s.Release()
	var old unix.Rlimit
	must(0, unix.Getrlimit(unix.RLIMIT_AS, &old))
	var use int64
	data := must(os.ReadFile("/proc/self/statm"))
	must(fmt.Sscan(string(data), &use))
	must(0, unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: uint64(use*pageSize) + 32<<20, Max: old.Max}))
	_, err := a.slice()
	must(0, unix.Setrlimit(unix.RLIMIT_AS, &old))
	if !errors.Is(err, unix.ENOMEM) {
		t.Errorf("Slice: %v, want ENOMEM", err)
	}
	if a.data()[64<<20-1] != 0 {
		t.Error("unreadable afterwards")
	}
	a.release()
}
