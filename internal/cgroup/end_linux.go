package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/sys"
)

// kill sends SIGKILL to all in a group and below it; the kernel sees to what is being forked
// (Documentation/admin-guide/cgroup-v2.rst, "cgroup.kill").
func kill(dir string) error { return writeGroup(dir, "cgroup.kill", "1") }

// awaitEmpty waits until nothing lives in a group or below it; zombies do not count. It returns false when patience
// runs out.
func awaitEmpty(dir string, patience time.Duration) (bool, error) {
	fd, err := unix.Open(path.Join(dir, "cgroup.events"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, os.NewSyscallError("open", err)
	}
	defer func() { _ = unix.Close(fd) }()
	deadline := time.Now().Add(patience)
	for {
		var buf [256]byte
		n, err := unix.Pread(fd, buf[:], 0) // poll reports changes since the last read
		if err != nil || !bytes.Contains(buf[:n], []byte("populated 1")) {
			return true, nil // empty, or removed (ENODEV)
		}
		left := time.Until(deadline)
		if left <= 0 {
			return false, nil
		}
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}
		_ = sys.Retry(func() error { _, err := unix.Poll(poll, int(left.Milliseconds())+1); return err })
	}
}

// removeGroup removes a group and those below it, which must be empty. Only directories can be removed there; their
// files go with them.
func removeGroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			_ = removeGroup(path.Join(dir, e.Name())) // if it stays, so does dir
		}
	}
	if err := sys.Retry(func() error { return unix.Rmdir(dir) }); err != nil && err != unix.ENOENT {
		return &os.PathError{Op: "rmdir", Path: dir, Err: err}
	}
	return nil
}

// End kills all in a group, given by its directory, and removes it once they have gone, for which it waits as long as
// patience. It is not an error that the group is gone.
func End(dir string, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for try := 1; ; try++ {
		killErr := kill(dir)
		if errors.Is(killErr, os.ErrNotExist) {
			return nil
		}
		empty, err := awaitEmpty(dir, time.Until(deadline))
		if err == nil && !empty {
			return fmt.Errorf("cgroup: end of group %s: killed processes have not gone after %v", dir, patience)
		}
		// A process may have been put there in between: once more then.
		err = removeGroup(dir)
		if err == nil {
			return nil
		}
		if try == 10 || !errors.Is(err, unix.EBUSY) || killErr != nil {
			return fmt.Errorf("cgroup: end of group %s: %w", dir, errors.Join(killErr, err))
		}
	}
}
