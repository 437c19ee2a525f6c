package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// MapReadOnly maps the first size bytes of f for reading, shared. A write through it faults. The caller ends it
// with Unmap; f may be closed before.
func MapReadOnly(f *os.File, size int) ([]byte, error) { return mapFile(f, size, unix.PROT_READ) }

// MapShared maps the first size bytes of f for reading and writing, shared with everyone who maps it.
// The caller ends it with Unmap; f may be closed before.
func MapShared(f *os.File, size int) ([]byte, error) {
	return mapFile(f, size, unix.PROT_READ|unix.PROT_WRITE)
}

func mapFile(f *os.File, size, prot int) ([]byte, error) {
	var b []byte
	err := borrow(f, func(fd int) (err error) {
		b, err = unix.Mmap(fd, 0, size, prot, unix.MAP_SHARED)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("process: mmap %s, %d bytes: %w", f.Name(), size, err)
	}
	return b, nil
}

// Unmap ends a mapping made by MapReadOnly or MapShared. It must be given exactly what they returned.
func Unmap(b []byte) error {
	if err := unix.Munmap(b); err != nil {
		return fmt.Errorf("process: munmap %d bytes: %w", len(b), err)
	}
	return nil
}

// borrow calls fn with f's descriptor. Unlike f.Fd it leaves the descriptor nonblocking if it was, and in the
// netpoller (golang/go#43894).
func borrow(f *os.File, fn func(fd int) error) error {
	rc, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if rc.Control(func(fd uintptr) { inner = fn(int(fd)) }) != nil {
		return os.ErrClosed // the only way it fails, but with an error of a package that nobody can name
	}
	return inner
}
