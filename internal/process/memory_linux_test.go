package process

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/leaktest"
)

func TestMemfdIsSealedAllocatedAndClosedOnExec(t *testing.T) {
	leaktest.Check(t)
	const size = 3 * 4096
	f, err := Memfd("process-test", size, unix.F_SEAL_SHRINK, unix.F_SEAL_GROW)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() != size {
		t.Errorf("%v, %v", info, err)
	}
	if err := f.Truncate(size + 1); !errors.Is(err, unix.EPERM) {
		t.Errorf("grown: %v", err)
	}
	if err := f.Truncate(0); !errors.Is(err, unix.EPERM) {
		t.Errorf("shrunk: %v", err)
	}
	_ = borrow(f, func(fd int) error {
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

func TestMemfdTooLargeIsAnError(t *testing.T) {
	leaktest.Check(t)
	// Not tried for real: if the check failed, the whole machine would suffer.
	availableMemory = func() (int64, error) { return 8 << 20, nil }
	defer func() { availableMemory = AvailableMemory }()
	if f, err := Memfd("process-test", 16<<20); !errors.Is(err, unix.ENOMEM) {
		_ = f.Close()
		t.Errorf("error %v", err)
	}
	if f, err := Memfd("process-test", 4<<20); err != nil {
		t.Error(err)
	} else {
		_ = f.Close()
	}
	if _, err := Memfd("process-test", -1); !errors.Is(err, unix.EINVAL) {
		t.Errorf("negative size: %v", err)
	}
}

func TestAvailableMemory(t *testing.T) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	total := int64((uint64(info.Totalram) + uint64(info.Totalswap)) * uint64(info.Unit))
	if n, err := AvailableMemory(); err != nil || n <= 0 || n > total {
		t.Errorf("%d of %d, %v", n, total, err)
	}
	dir := t.TempDir()
	if groupRoom(dir) != math.MaxInt64 {
		t.Error("no group has a limit")
	}
	for name, text := range map[string]string{"memory.max": "1000\n", "memory.current": "400\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := groupRoom(dir); got != 600 {
		t.Errorf("room %d", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "memory.max"), []byte("max\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if groupRoom(dir) != math.MaxInt64 {
		t.Error("max is a limit")
	}
}

func TestMappingsShareTheFile(t *testing.T) {
	leaktest.Check(t)
	f, err := Memfd("process-test", 4096)
	if err != nil {
		t.Fatal(err)
	}
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

func TestCrashFileIsBounded(t *testing.T) {
	leaktest.Check(t)
	fd, err := newCrashFile()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if text := readCrashFile(fd); text != "" {
		t.Errorf("text in an empty file: %q", text)
	}
	line := make([]byte, 1000)
	for i := range line {
		line[i] = 'x'
	}
	written := 0
	for {
		n, err := unix.Write(fd, line)
		if err != nil {
			break
		}
		if written += n; written > 2*crashSize {
			t.Fatal("no bound")
		}
	}
	if text := readCrashFile(fd); len(text) != written || written < crashSize-4096 {
		t.Errorf("%d bytes read, %d written", len(text), written)
	}
}

func TestMonotonicNowIsTheKernelsClock(t *testing.T) {
	kernel := func() int64 {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			t.Fatal(err)
		}
		return ts.Nano()
	}
	// The calibration may be off by the width of its tightest bracket; a millisecond is generous and would still
	// show another clock, or another zero.
	const slack = 1e6
	before := kernel()
	now := MonotonicNow()
	after := kernel()
	if now < before-slack || now > after+slack {
		t.Errorf("%d is not within [%d, %d]", now, before, after)
	}
}
