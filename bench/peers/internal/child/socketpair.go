package child

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// SocketPair makes a stream socketpair: this side as a connection in the
// netpoller, the other as a file for a child.
func SocketPair() (near *net.UnixConn, far *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	far = os.NewFile(uintptr(fds[1]), "far")
	near, err = Conn(os.NewFile(uintptr(fds[0]), "near"))
	if err != nil {
		far.Close()
		return nil, nil, err
	}
	return near, far, nil
}

// Conn makes a connection of one end. The file is closed.
func Conn(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("%s is no Unix socket", f.Name())
	}
	return u, nil
}

// Inherited returns the i-th of the files that this child was given.
func Inherited(i int) *os.File { return os.NewFile(uintptr(3+i), fmt.Sprintf("inherited %d", i)) }
