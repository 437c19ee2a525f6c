package memfd

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/sys"
)

// plainFlags is set when the kernel does not know MFD_NOEXEC_SEAL (before Linux 6.3). With vm.memfd_noexec=2 a memfd
// is refused without it, hence it is always tried first.
var plainFlags atomic.Bool

// fallocate is a variable for the tests, which cannot fill the machine.
var fallocate = unix.Fallocate

// Create returns a new anonymous memory file of size bytes, close-on-exec, and adds seals (unix.F_SEAL_SHRINK, ...)
// once it has its size. All memory is allocated now, so that shortage is an error here and never a SIGBUS later: a
// *RoomError for what there is no room for, which is not even tried, else the system's (ENOMEM, ENOSPC). The name is
// for people who read /proc/PID/maps. The caller closes the file.
func Create(name string, size int64, seals ...int) (*os.File, error) {
	if err := checkRoom(size); err != nil {
		return nil, fmt.Errorf("memfd %q of %d bytes: %w", name, size, err)
	}
	fd, err := create(name, size, true, seals)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "memfd:"+name), nil
}

// CreateSparse is Create as a bare descriptor, without memory: the first write to each page takes it. It is for text
// that is written with write(2), where shortage is an error, and never mapped.
func CreateSparse(name string, size int64, seals ...int) (fd int, err error) {
	return create(name, size, false, seals)
}

func create(name string, size int64, allocate bool, seals []int) (fd int, err error) {
	if size < 0 {
		return -1, fmt.Errorf("memfd %q of %d bytes: %w", name, size, unix.EINVAL)
	}
	if fd, err = newFile(name); err != nil {
		return -1, fmt.Errorf("memfd %q: %w", name, err)
	}
	fail := func(op string, err error) (int, error) {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("memfd %q of %d bytes: %s: %w", name, size, op, err)
	}
	switch {
	case size == 0:
	case allocate:
		if err := fill(fd, size); err != nil {
			return fail("fallocate", err)
		}
	default:
		if err := sys.Retry(func() error { return unix.Ftruncate(fd, size) }); err != nil {
			return fail("ftruncate", err)
		}
	}
	var all int
	for _, s := range seals {
		all |= s
	}
	if all != 0 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, all); err != nil {
			return fail("seal", err)
		}
	}
	return fd, nil
}

func newFile(name string) (fd int, err error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	if !plainFlags.Load() {
		fd, err = unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
		if !errors.Is(err, unix.EINVAL) {
			return fd, os.NewSyscallError("memfd_create", err)
		}
	}
	if fd, err = unix.MemfdCreate(name, flags); err == nil {
		plainFlags.Store(true)
	}
	return fd, os.NewSyscallError("memfd_create", err)
}

// fill allocates size bytes, so that no access can run out of memory later. An interrupted fallocate gives back what
// that call had allocated: one call for everything would never end under a profiler's timer, so it goes in pieces,
// which get smaller with each interruption.
func fill(fd int, size int64) error {
	piece := int64(64 << 20)
	for off := int64(0); off < size; {
		n := min(piece, size-off)
		switch err := fallocate(fd, 0, off, n); err {
		case nil:
			off += n
		case unix.EINTR:
			piece = max(piece/2, 1<<20)
		default:
			return err
		}
	}
	return nil
}

// Seal adds seals to what Create made.
func Seal(f *os.File, seals int) error {
	return sys.Borrow(f, func(fd int) error {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
		return os.NewSyscallError("fcntl F_ADD_SEALS", err)
	})
}
