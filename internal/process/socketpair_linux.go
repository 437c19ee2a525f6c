package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// SocketPair returns the two ends of a stream connection, both close-on-exec. The parent's end is nonblocking
// and in the netpoller; the child's is blocking, as a program of any language expects it, and is meant to be
// passed in Command.Files and then closed here, so that each process holds exactly one end.
func SocketPair() (parent, child *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
		return nil, nil, os.NewSyscallError("setnonblock", err)
	}
	return os.NewFile(uintptr(fds[0]), "socket to child"), os.NewFile(uintptr(fds[1]), "socket of child"), nil
}
