//go:build unix

package transport

import (
	"os"

	"golang.org/x/sys/unix"
)

// duplicate makes close-on-exec copies of borrowed files, all or none.
func duplicate(files []*os.File) ([]*os.File, error) {
	fds, err := duplicateFDs(files)
	if err != nil {
		return nil, err
	}
	copies := make([]*os.File, len(fds))
	for i, fd := range fds {
		copies[i] = os.NewFile(uintptr(fd), files[i].Name())
	}
	return copies, nil
}

// duplicateFDs is duplicate for descriptors that are not to be used here.
func duplicateFDs(files []*os.File) ([]int, error) {
	fds := make([]int, 0, len(files))
	for i, f := range files {
		fd, err := duplicateFD(f)
		if err != nil {
			closeFDs(fds)
			return nil, refused("descriptor %d of %d (%s) cannot be duplicated: %w", i, len(files), f.Name(), err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// duplicateFD goes by way of Control and not Fd, which makes the file blocking
// for everybody who shares it.
func duplicateFD(f *os.File) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	failed := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if failed != nil {
		return -1, failed
	}
	return fd, err
}

func closeFDs(fds []int) {
	for _, fd := range fds {
		closeFD(fd)
	}
}

// closeFD closes a descriptor that is not wanted. On Linux it is gone whatever
// the error is.
func closeFD(fd int) {
	_ = unix.Close(fd)
}
