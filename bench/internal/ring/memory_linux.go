package ring

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Memory makes memory for both directions, as a file to pass on.
func Memory() (mem []byte, f *os.File, err error) {
	fd, err := unix.MemfdCreate("ring", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("memfd: %w", err)
	}
	f = os.NewFile(uintptr(fd), "ring")
	if err := f.Truncate(2 * Size); err != nil {
		f.Close()
		return nil, nil, err
	}
	if mem, err = Map(f); err != nil {
		f.Close()
		return nil, nil, err
	}
	return mem, f, nil
}

// Map maps the memory that another process made.
func Map(f *os.File) ([]byte, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, 2*Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return mem, nil
}

// Unmap gives the memory back.
func Unmap(mem []byte) { _ = unix.Munmap(mem) } // it was mapped
