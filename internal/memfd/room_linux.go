package memfd

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/cgroup"
)

// askFrom is how much is allocated, in one piece or in many, without asking how much there is. To ask takes some tens of
// microseconds, to allocate this much some hundred.
const askFrom = 1 << 20

// Replaced in tests.
var (
	meminfoPath = "/proc/meminfo"
	groupRoom   = cgroup.Room
)

// Available estimates how many bytes can be allocated before the kernel begins to kill: what the system calls
// available, swap included, or what the control groups have left, if that is less.
func Available() (int64, error) {
	left, _, err := available()
	return left, err
}

func available() (left int64, where string, err error) {
	data, err := os.ReadFile(meminfoPath)
	if err != nil {
		return 0, "", fmt.Errorf("available memory: %w", err)
	}
	free, ok1 := meminfo(data, "MemAvailable:")
	swap, ok2 := meminfo(data, "SwapFree:")
	if !ok1 || !ok2 {
		return 0, "", fmt.Errorf("available memory: %s does not say: %w", meminfoPath, unix.EINVAL)
	}
	left, where = free+swap, "on this machine"
	if n, group, ok := groupRoom(); ok && n < left {
		left, where = n, "in the control group ("+group+")"
	}
	return left, where, nil
}

// meminfo reads a line "Name:   123 kB".
func meminfo(data []byte, name string) (int64, bool) {
	_, rest, found := bytes.Cut(data, []byte(name))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(line)), " kB"), 10, 64)
	return kib << 10, found && err == nil
}

// unasked is what was allocated since checkRoom last asked.
var unasked atomic.Int64

// checkRoom refuses, with a *RoomError, what there is no memory for. The kernel itself would not: memory files have no
// size limit, so that fallocate goes on until the out-of-memory killer chooses a victim, which may be any process; and
// going beyond RLIMIT_FSIZE raises SIGXFSZ. The answer is not a promise: others allocate at the same time.
func checkRoom(size int64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err == nil && size > 0 && uint64(size) > limit.Cur {
		return &RoomError{int64(limit.Cur), "under the file size limit (RLIMIT_FSIZE)"}
	}
	if unasked.Add(size) <= askFrom {
		return nil
	}
	unasked.Store(0)
	left, where, err := available()
	if err != nil {
		return nil // without /proc nothing is known; the kernel has the last word
	}
	if left-askFrom < size { // askFrom may be taken before the next time
		unasked.Store(askFrom) // ask again
		return &RoomError{left, where}
	}
	return nil
}
