package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// Retry repeats a call that a signal interrupted: Go's own preemption signals arrive at any time.
func Retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// Borrow calls fn with f's descriptor. Unlike f.Fd it leaves the descriptor nonblocking if it was, and in the
// netpoller (golang/go#43894). The descriptor is not closed meanwhile.
func Borrow(f *os.File, fn func(fd int) error) error {
	rc, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if rc.Control(func(fd uintptr) { inner = fn(int(fd)) }) != nil {
		return os.ErrClosed // the only way it fails, but with an error of a package that cannot be imported
	}
	return inner
}
