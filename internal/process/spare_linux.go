package process

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/sys"
)

// Spare returns an error that wraps syscall.EMFILE if f is one of the last descriptors that this process may have: an
// eighth, at most 64. They are kept for children to be started and stopped: what others can make us hold is refused
// before. The kernel always gives the lowest number that is free.
func Spare(f *os.File) error {
	most := MaxFiles()
	kept := min(most/8, 64)
	return sys.Borrow(f, func(fd int) error {
		if fd >= most-kept {
			return fmt.Errorf("of %d descriptors the last %d are kept: %w", most, kept, syscall.EMFILE)
		}
		return nil
	})
}

// MaxFiles is how many descriptors this process may have.
func MaxFiles() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur > 1<<30 {
		return 1 << 30
	}
	return int(limit.Cur)
}

// SparePair is SocketPair for what Spare allows.
func SparePair() (parent, child *os.File, err error) {
	parent, child, err = SocketPair()
	if err != nil {
		return nil, nil, err
	}
	for _, f := range []*os.File{parent, child} {
		if err == nil {
			err = Spare(f)
		}
	}
	if err != nil {
		parent.Close()
		child.Close()
		return nil, nil, err
	}
	return parent, child, nil
}
