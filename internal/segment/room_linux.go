package segment

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// askFrom is the size from which on the machine is asked whether it has the memory. Reading the answer takes some
// ten microseconds, allocating this much takes milliseconds.
const askFrom = 32 << 20

// Variables for the tests.
var (
	meminfoPath = "/proc/meminfo"
	ownGroups   = "/proc/self/cgroup"
	groupsRoot  = "/sys/fs/cgroup"
)

// roomFor reports whether n more bytes can be allocated, and if not, how many could. Memfds live on a kernel mount
// that has no size limit, so fallocate does not fail with ENOSPC when memory is short: the OOM killer comes, and takes
// any process. And going beyond RLIMIT_FSIZE raises SIGXFSZ, which ends a Go program. So both are looked at before.
//
// The answer is not a promise: others allocate at the same time.
func roomFor(n int64) (left int64, err error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &lim); err == nil && uint64(n) > lim.Cur {
		return int64(lim.Cur), fmt.Errorf("%w: file size limit (RLIMIT_FSIZE)", ErrNoMemory)
	}
	if n < askFrom {
		return -1, nil
	}
	if left, ok := machineMemory(); ok && n > left {
		return left, fmt.Errorf("%w on this machine", ErrNoMemory)
	}
	if left, group, ok := groupMemory(); ok && n > left {
		return left, fmt.Errorf("%w in control group %s (memory.max)", ErrNoMemory, group)
	}
	return -1, nil
}

// machineMemory returns what the kernel thinks can be had without swapping (proc_meminfo(5), MemAvailable), with
// the free swap, to which memfds can go.
func machineMemory() (int64, bool) {
	data, err := os.ReadFile(meminfoPath)
	if err != nil {
		return 0, false
	}
	available, ok := field(data, "MemAvailable:")
	swap, _ := field(data, "SwapFree:")
	return (available + swap) << 10, ok
}

// groupMemory returns the least that is left in the control group (version 2) of this process and the groups above
// it. File pages count as free, since the kernel drops them first; memfd pages are not among them.
func groupMemory() (left int64, group string, ok bool) {
	data, err := os.ReadFile(ownGroups)
	if err != nil {
		return 0, "", false
	}
	var own string
	for line := range strings.Lines(string(data)) {
		if rest, found := strings.CutPrefix(strings.TrimSpace(line), "0::"); found {
			own = path.Clean("/" + rest) // never above the root, also if the group lies outside our namespace
		}
	}
	for p := own; p != ""; p = path.Dir(p) {
		if n, err := oneGroup(groupsRoot + p); err == nil && (!ok || n < left) {
			left, group, ok = n, p, true
		}
		if p == "/" {
			break
		}
	}
	return left, group, ok
}

func oneGroup(dir string) (int64, error) {
	limit, err := number(dir + "/memory.max")
	if err != nil {
		return 0, err
	}
	used, err := number(dir + "/memory.current")
	if err != nil {
		return 0, err
	}
	if stat, err := os.ReadFile(dir + "/memory.stat"); err == nil {
		inactive, _ := field(stat, "inactive_file")
		active, _ := field(stat, "active_file")
		used -= inactive + active
	}
	return max(0, limit-max(0, used)), nil
}

// number reads a file with one number in it; "max" is an error, as no file is.
func number(name string) (int64, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
}

// field returns the number in the line whose first word is name.
func field(data []byte, name string) (int64, bool) {
	for line := range bytes.Lines(data) {
		words := bytes.Fields(line)
		if len(words) < 2 || string(words[0]) != name {
			continue
		}
		n, err := strconv.ParseInt(string(words[1]), 10, 64)
		return n, !errors.Is(err, strconv.ErrSyntax)
	}
	return 0, false
}
