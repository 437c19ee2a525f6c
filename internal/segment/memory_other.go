//go:build !linux

package segment

import (
	"errors"
	"os"
	"unsafe"
)

// memfds reports whether this system has sealed memory that passes between processes.
const memfds = false

func createMemory(int64, Mode) (*os.File, inode, error) {
	return nil, inode{}, errors.ErrUnsupported
}

func mapMemory(*os.File, int64, bool) (unsafe.Pointer, error) { return nil, errors.ErrUnsupported }

func freezeMemory(*os.File, unsafe.Pointer, int64) error { return errors.ErrUnsupported }

func inspect(_ *os.File, size int64, mode Mode) (inode, error) {
	return inode{}, &SegmentError{Mode: mode, Size: size, Reason: "arrays do not pass between processes here", Err: errors.ErrUnsupported}
}

func fence(unsafe.Pointer, int64) bool { return false }

func unmapMemory(unsafe.Pointer, int64) {}

func shortage(err error) (int64, error) { return -1, err }
