package process

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Memfd returns a new anonymous memory file of size bytes, close-on-exec, and adds seals (unix.F_SEAL_SHRINK,
// ...) once it has its size. The memory is allocated now, so shortage is an error here (ENOMEM, ENOSPC) and never
// a SIGBUS later; more than AvailableMemory is refused untried. The name is for people reading /proc/PID/maps only. The caller closes it.
func Memfd(name string, size int64, seals ...int) (*os.File, error) {
	fd, err := newMemfd(name, size, true, seals...)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "memfd:"+name), nil
}

// newMemfd is Memfd as a bare descriptor; allocate false leaves the pages to the first write.
func newMemfd(name string, size int64, allocate bool, seals ...int) (fd int, err error) {
	if size < 0 {
		return -1, fmt.Errorf("process: memfd %q of %d bytes: %w", name, size, unix.EINVAL)
	}
	if allocate {
		if err := checkRoom(size); err != nil {
			return -1, fmt.Errorf("process: memfd %q of %d bytes: %w", name, size, err)
		}
	}
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	// vm.memfd_noexec=2 refuses a memfd without MFD_NOEXEC_SEAL, kernels before 6.3 refuse it with EINVAL.
	fd, err = unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return -1, fmt.Errorf("process: memfd_create %q: %w", name, err)
	}
	fail := func(op string, err error) (int, error) {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("process: memfd %q of %d bytes: %s: %w", name, size, op, err)
	}
	if size > 0 {
		if err := ignoringEINTR(func() error { return unix.Ftruncate(fd, size) }); err != nil {
			return fail("ftruncate", err)
		}
		if allocate {
			if err := ignoringEINTR(func() error { return unix.Fallocate(fd, 0, 0, size) }); err != nil {
				return fail("fallocate", err)
			}
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

// ignoringEINTR repeats a call that a signal interrupted: Go's own preemption signals arrive at any time.
func ignoringEINTR(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
