package orphans

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/cgroup"
	"github.com/understudy-go/understudy/internal/sys"
)

// sweepPatience is how long a killed process may take to disappear. It is dead to the world from the signal on, and
// can no longer fork; only one that hangs in the kernel takes longer.
const sweepPatience = 5 * time.Second

// sweepAll ends what is left of a system: its control group, unless group is "", and what carries its tag.
func sweepAll(system, group string) error {
	var groupErr error
	if group != "" {
		groupErr = cgroup.End(group, sweepPatience)
	}
	_, err := sweep(system)
	return errors.Join(groupErr, err)
}

// sweep kills every process but this one that carries the system's tag in its environment, and repeats until
// none is left: one of them may have forked just before its end. It returns how many it killed.
func sweep(system string) (killed int, err error) {
	tag := []byte(SystemTag(system))
	for {
		doomed, err := carriers(tag)
		if err != nil {
			return killed, fmt.Errorf("orphans: sweep of system %s: %w", system, err)
		}
		if len(doomed) == 0 {
			return killed, nil
		}
		for _, fd := range doomed {
			if unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil {
				killed++
			}
		}
		left := awaitDeaths(doomed, sweepPatience)
		for _, fd := range doomed {
			_ = unix.Close(fd)
		}
		if left > 0 {
			return killed, fmt.Errorf("orphans: sweep of system %s: %d killed processes have not gone after %v", system, left, sweepPatience)
		}
	}
}

// carriers returns handles of the living processes that carry the tag.
func carriers(tag []byte) (pidfds []int, err error) {
	pids, err := sys.NumericEntries("/proc")
	if err != nil {
		return nil, err
	}
	self := os.Getpid()
	for _, pid := range pids {
		if pid == self {
			continue
		}
		// The handle first: if the number changes hands between here and the look at the environment, the handle is a
		// dead one's and the signal does no harm.
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		// A zombie has no environment any more, a process of another user does not show it.
		env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		if err == nil && hasEntry(env, tag) {
			pidfds = append(pidfds, fd)
			continue
		}
		_ = unix.Close(fd)
	}
	return pidfds, nil
}

// hasEntry reports whether the NUL-separated block contains entry.
func hasEntry(block, entry []byte) bool {
	for len(block) > 0 {
		var e []byte
		e, block, _ = bytes.Cut(block, []byte{0})
		if bytes.Equal(e, entry) {
			return true
		}
	}
	return false
}

// awaitDeaths waits until all processes are dead, and returns how many were not when patience ran out.
func awaitDeaths(pidfds []int, patience time.Duration) (left int) {
	deadline := time.Now().Add(patience)
	for _, fd := range pidfds {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		var ready int
		_ = sys.Retry(func() (err error) {
			ready, err = unix.Poll(poll, int(max(0, time.Until(deadline).Milliseconds())))
			return err
		})
		if ready == 0 {
			left++
		}
	}
	return left
}
