package memfd

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// NewPage returns memory of size bytes that this process writes and others, given the file, can only read:
// it is sealed against resizing and against further writable mappings (fcntl(2), F_SEAL_FUTURE_WRITE).
// The caller unmaps mem and closes f, in any order.
func NewPage(name string, size int) (mem []byte, f *os.File, err error) {
	f, err = Create(name, int64(size), unix.F_SEAL_SHRINK, unix.F_SEAL_GROW)
	if err != nil {
		return nil, nil, err
	}
	if mem, err = MapShared(f, size); err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	if err = Seal(f, unix.F_SEAL_FUTURE_WRITE); err != nil {
		_ = Unmap(mem)
		_ = f.Close()
		return nil, nil, fmt.Errorf("page %q: %w", name, err)
	}
	return mem, f, nil
}

// OpenPage maps, for reading, a page of exactly size bytes that a peer made with NewPage. Inspect comes first. The file
// stays the caller's; the caller unmaps the page.
func OpenPage(f *os.File, size int) ([]byte, error) {
	if _, err := Inspect(f, Want{Size: int64(size)}); err != nil {
		return nil, err
	}
	return MapReadOnly(f, size)
}
