package segment

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNoMemoryOnThisMachine(t *testing.T) {
	noLeaks(t)
	defer func(old string) { meminfoPath = old }(meminfoPath)
	meminfoPath = filepath.Join(t.TempDir(), "meminfo")
	must(0, os.WriteFile(meminfoPath, []byte("MemTotal: 99999999 kB\nMemAvailable:   40960 kB\nSwapFree: 10240 kB\n"), 0o600))
	if _, left, err := New(51<<20, Frozen); left != 50<<20 || !errors.Is(err, ErrNoMemory) {
		t.Errorf("%v, %d left", err, left)
	}
	must(newArray[uint8](49 << 20)).release()
	meminfoPath = "/nonexistent" // no answer is no refusal
	must(newArray[uint8](51 << 20)).release()
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
	if _, left, err := New(41<<20, Frozen); !errors.Is(err, ErrNoMemory) || left != 40<<20 ||
		!strings.Contains(err.Error(), "/outer") {
		t.Errorf("%v, %d left", err, left)
	}
	must(newArray[uint8](39 << 20)).release()
	write("own", "0::/../../elsewhere\n") // outside our namespace: only what can be seen counts
	must(newArray[uint8](41 << 20)).release()
	write("fs/memory.max", "0\n") // our root, of a container
	write("fs/memory.current", "0\n")
	if _, left, err := New(41<<20, Frozen); left != 0 || !errors.Is(err, ErrNoMemory) {
		t.Errorf("%v, %d left", err, left)
	}
	write("own", "0::/outer/inner\n") // the least counts, and here that is not the last
	write("fs/memory.max", "1073741824\n")
	if _, left, err := New(41<<20, Frozen); left != 40<<20 || !errors.Is(err, ErrNoMemory) {
		t.Errorf("%v, %d left", err, left)
	}
}

// What fallocate says is an error of New, not a SIGBUS of a later write. Nothing is left allocated.
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
		_, left, err := New(48<<20, Frozen)
		if !errors.Is(err, refusal) || left != -1 || calls != 3 {
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
