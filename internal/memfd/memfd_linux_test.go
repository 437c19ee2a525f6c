package memfd

import (
	"errors"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/sys"
)

const fixed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW

// made returns memory for a test.
func made(t *testing.T, size int64, seals ...int) *os.File {
	t.Helper()
	f, err := Create("test", size, seals...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestMemoryIsSealedAllocatedAndClosedOnExec(t *testing.T) {
	for _, plain := range []bool{false, true} { // the second: as on kernels before 6.3
		before := plainFlags.Swap(plain)
		const size = 3*4096 + 1
		f := made(t, size, unix.F_SEAL_SHRINK, unix.F_SEAL_GROW)
		plainFlags.Store(before)
		if info, err := f.Stat(); err != nil || info.Size() != size {
			t.Errorf("%v, %v", info, err)
		}
		if err := f.Truncate(size + 1); !errors.Is(err, unix.EPERM) {
			t.Errorf("grown: %v", err)
		}
		if err := f.Truncate(0); !errors.Is(err, unix.EPERM) {
			t.Errorf("shrunk: %v", err)
		}
		_ = sys.Borrow(f, func(fd int) error {
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("flags %#x, %v", flags, err)
			}
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil || st.Blocks*512 < size {
				t.Errorf("%d bytes are allocated, %v", st.Blocks*512, err)
			}
			return nil
		})
	}
	if _, err := Create("test", -1); !errors.Is(err, unix.EINVAL) {
		t.Errorf("negative size: %v", err)
	}
}

// A profiler interrupts every 10 ms or less; one fallocate for all would start from the beginning each time.
func TestAllocationMakesProgressUnderAProfilersTimer(t *testing.T) {
	leaktest.Check(t)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGPROF)
	defer signal.Stop(signals)
	timer := func(microseconds int64) {
		tick := unix.Timeval{Usec: microseconds}
		if _, err := unix.Setitimer(unix.ITIMER_REAL+2, unix.Itimerval{Interval: tick, Value: tick}); err != nil { // ITIMER_PROF
			t.Fatal(err)
		}
	}
	var interrupted, longest int64
	fallocate = func(fd int, mode uint32, off, n int64) error {
		err := unix.Fallocate(fd, mode, off, n)
		if err == unix.EINTR {
			interrupted, longest = interrupted+1, max(longest, n)
		}
		return err
	}
	defer func() { fallocate = unix.Fallocate }()
	timer(2000)
	defer timer(0)
	f := made(t, 256<<20, unix.F_SEAL_SHRINK, unix.F_SEAL_GROW)
	if _, err := Inspect(f, Want{Size: 256 << 20}); err != nil {
		t.Error(err)
	}
	t.Logf("interrupted %d times, at most in %d bytes", interrupted, longest)
}

// The pieces get smaller with each interruption, whatever the timer, and what failed is an error.
func TestInterruptedAllocation(t *testing.T) {
	defer func() { fallocate = unix.Fallocate }()
	const bearable = 2 << 20 // the kernel gets no more done between two interruptions
	fallocate = func(fd int, mode uint32, off, n int64) error {
		if n > bearable {
			return unix.EINTR
		}
		return unix.Fallocate(fd, mode, off, n)
	}
	f := made(t, 48<<20+1)
	var st unix.Stat_t
	if err := sys.Borrow(f, func(fd int) error { return unix.Fstat(fd, &st) }); err != nil || st.Blocks*512 < 48<<20 || st.Size != 48<<20+1 {
		t.Errorf("%d of %d bytes are allocated, %v", st.Blocks*512, st.Size, err)
	}
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
		if _, err := Create("test", 48<<20); !errors.Is(err, refusal) || calls != 3 {
			t.Errorf("%v after %d calls", err, calls)
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
	if err := fill(fd, 1<<40); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("%v, want ENOSPC", err)
	}
}

// scarce makes the machine look as if it had so much left.
func scarce(t *testing.T, machine, group int64) {
	t.Helper()
	path, room := meminfoPath, groupRoom
	t.Cleanup(func() { meminfoPath, groupRoom = path, room; unasked.Store(0) })
	meminfoPath = filepath.Join(t.TempDir(), "meminfo")
	text := "MemTotal: 99999999 kB\nMemAvailable:   " + strconv.FormatInt(machine>>10-10<<10, 10) + " kB\nSwapFree: 10240 kB\n"
	if err := os.WriteFile(meminfoPath, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	groupRoom = func() (int64, string, bool) { return group, "/cg/a/memory.limit_in_bytes", group >= 0 }
}

func TestWhatThereIsNoRoomFor(t *testing.T) {
	leaktest.Check(t)
	for name, c := range map[string]struct {
		machine, group int64
		where          string
	}{
		"machine": {50 << 20, -1, "on this machine"},
		"group":   {1 << 30, 50 << 20, "memory.limit_in_bytes"},
	} {
		scarce(t, c.machine, c.group)
		_, err := Create("test", 51<<20)
		var room *RoomError
		if !errors.As(err, &room) || room.Left != 50<<20 || !strings.Contains(err.Error(), c.where) || !errors.Is(err, unix.ENOMEM) {
			t.Errorf("%s: %v", name, err)
		}
		_ = made(t, 49<<20).Close()
	}
	meminfoPath = "/nonexistent" // no answer is no refusal
	_ = made(t, 51<<20).Close()
}

// Many small ones are as much as a large one.
func TestSmallPiecesAreCounted(t *testing.T) {
	leaktest.Check(t)
	left := int64(20 << 20)
	scarce(t, 1<<30, left)
	groupRoom = func() (int64, string, bool) { return left, "", true }
	const piece = 300 << 10
	for range 1000 {
		f, err := Create("test", piece)
		if err != nil {
			if !errors.Is(err, unix.ENOMEM) || left < 0 {
				t.Errorf("%v, %d left", err, left)
			}
			return
		}
		defer f.Close()
		left -= piece
	}
	t.Errorf("300 MiB where 20 MiB were left")
}

func TestFileSizeLimit(t *testing.T) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 8192, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := Create("test", 8193)
	if rerr := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); rerr != nil {
		t.Fatal(rerr)
	}
	var room *RoomError
	if !errors.As(err, &room) || room.Left != 8192 {
		t.Errorf("error %v", err)
	}
}

func TestAvailable(t *testing.T) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	total := int64((uint64(info.Totalram) + uint64(info.Totalswap)) * uint64(info.Unit))
	if n, err := Available(); err != nil || n <= 0 || n > total {
		t.Errorf("%d of %d, %v", n, total, err)
	}
	scarce(t, 50<<20, math.MaxInt64)
	if n, err := Available(); err != nil || n != 50<<20 {
		t.Errorf("%d, %v", n, err)
	}
}

// sparse returns memory with a hole.
func sparse(t *testing.T, size int64, seals ...int) *os.File {
	t.Helper()
	fd, err := CreateSparse("test", size, seals...)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "sparse")
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// What a peer sends is refused unless it is what it must be; the page and the inspector know no difference.
func TestInspect(t *testing.T) {
	leaktest.Check(t)
	const size = 8192
	hole := sparse(t, size, fixed)
	if _, err := hole.WriteAt([]byte{1}, 0); err != nil { // one page of two
		t.Fatal(err)
	}
	pipe, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	defer pipe.Close()
	closed := made(t, size, fixed)
	_ = closed.Close()
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]*os.File{
		"empty":           made(t, 0, fixed),
		"all hole":        sparse(t, size, fixed),
		"half hole":       hole,
		"too small":       made(t, size-1, fixed),
		"too large":       made(t, size+1, fixed),
		"much too large":  made(t, 2*size, fixed),
		"unsealed":        made(t, size),
		"may shrink":      made(t, size, unix.F_SEAL_GROW),
		"may grow":        made(t, size, unix.F_SEAL_SHRINK),
		"a pipe":          pipe,
		"a file":          file,
		"closed":          closed,
		"only sealed":     made(t, size, unix.F_SEAL_SEAL),
		"write-protected": made(t, size, unix.F_SEAL_WRITE),
	} {
		_, err := Inspect(f, Want{Size: size})
		var refused *RefusedError
		if !errors.As(err, &refused) || !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
		if mem, err := OpenPage(f, size); !errors.Is(err, ErrRefused) {
			t.Errorf("page, %s: %v", name, err)
			_ = Unmap(mem)
		}
	}
	good := made(t, size, fixed)
	id, err := Inspect(good, Want{Size: size, Writable: true, NotSealed: unix.F_SEAL_WRITE})
	if err != nil {
		t.Fatal(err)
	}
	if other, err := Inspect(made(t, size, fixed), Want{Size: size}); err != nil || other == id {
		t.Errorf("two files are %v and %v, %v", id, other, err)
	}
	if _, err := Inspect(good, Want{Size: size, Sealed: unix.F_SEAL_WRITE}); !errors.Is(err, ErrRefused) {
		t.Errorf("not sealed against writing: %v", err)
	}
	if err := Seal(good, unix.F_SEAL_WRITE); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(good, Want{Size: size, NotSealed: unix.F_SEAL_WRITE}); !errors.Is(err, ErrRefused) {
		t.Errorf("sealed against writing: %v", err)
	}
	if same, err := Inspect(good, Want{Size: size, Sealed: unix.F_SEAL_WRITE}); err != nil || same != id {
		t.Errorf("%v, %v", same, err)
	}
	for _, impossible := range []int64{0, -1} {
		if _, err := Inspect(good, Want{Size: impossible}); !errors.Is(err, ErrRefused) {
			t.Errorf("size %d: %v", impossible, err)
		}
	}
}

func TestPageIsWrittenByOneSideOnly(t *testing.T) {
	leaktest.Check(t)
	mem, f, err := NewPage("test", 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	view, err := OpenPage(f, 4096)
	if err != nil {
		t.Fatal(err)
	}
	mem[4095] = 42
	if view[4095] != 42 {
		t.Error("the reader does not see what was written")
	}
	if second, err := MapShared(f, 4096); !errors.Is(err, syscall.EPERM) {
		t.Errorf("a second writer: %v", err)
		_ = Unmap(second)
	}
	if err := errors.Join(Unmap(mem), Unmap(view)); err != nil {
		t.Error(err)
	}
}

func TestMappingsShareTheFile(t *testing.T) {
	leaktest.Check(t)
	f := made(t, 4096)
	shared, err := MapShared(f, 4096)
	if err != nil {
		t.Fatal(err)
	}
	read, err := MapReadOnly(f, 4096)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close() // a mapping needs no descriptor
	shared[4095] = 42
	if read[4095] != 42 {
		t.Error("the reader does not see what was written")
	}
	if err := errors.Join(Unmap(shared), Unmap(read)); err != nil {
		t.Error(err)
	}
	if _, err := MapShared(f, 4096); err == nil {
		t.Error("a closed file was mapped")
	}
}
