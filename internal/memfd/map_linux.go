package memfd

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/sys"
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
	err := sys.Borrow(f, func(fd int) (err error) {
		b, err = unix.Mmap(fd, 0, size, prot, unix.MAP_SHARED)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("mmap %s, %d bytes: %w", f.Name(), size, err)
	}
	return b, nil
}

// Unmap ends a mapping made by MapReadOnly or MapShared. It must be given exactly what they returned.
func Unmap(b []byte) error {
	if err := unix.Munmap(b); err != nil {
		return fmt.Errorf("munmap %d bytes: %w", len(b), err)
	}
	return nil
}
