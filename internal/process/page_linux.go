package process

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// NewPage returns memory of size bytes that this process writes and others, given the file, can only read:
// it is sealed against resizing and against further writable mappings (fcntl(2), F_SEAL_FUTURE_WRITE).
// The caller unmaps mem and closes f, in any order.
func NewPage(name string, size int) (mem []byte, f *os.File, err error) {
	f, err = Memfd(name, int64(size), unix.F_SEAL_SHRINK, unix.F_SEAL_GROW)
	if err != nil {
		return nil, nil, err
	}
	if mem, err = MapShared(f, size); err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	err = borrow(f, func(fd int) error {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE)
		return err
	})
	if err != nil {
		_ = Unmap(mem)
		_ = f.Close()
		return nil, nil, fmt.Errorf("process: seal page %q: %w", name, err)
	}
	return mem, f, nil
}

// ErrUnsealed says that a peer's memory is not what it should be: its size could change under us.
var ErrUnsealed = errors.New("memory is not sealed as it must be")

// OpenPage maps, for reading, a page that a peer made with NewPage. The seals and the size are checked first, by the
// kernel's word. The file stays the caller's.
func OpenPage(f *os.File, size int) ([]byte, error) {
	err := borrow(f, func(fd int) error {
		const need = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
		seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
		if err != nil || seals&need != need {
			return fmt.Errorf("process: page of a peer: seals %#x (%v): %w", seals, err, ErrUnsealed)
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil || st.Size < int64(size) {
			return fmt.Errorf("process: page of a peer: %d bytes, want %d (%v): %w", st.Size, size, err, ErrUnsealed)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return MapReadOnly(f, size)
}
