package process

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// smallMemory is what is allocated without asking how much there is.
const smallMemory = 1 << 20

// availableMemory is AvailableMemory, replaced in tests.
var availableMemory = AvailableMemory

// AvailableMemory estimates how many bytes can be allocated before the kernel begins to kill: what the system calls
// available, swap included, or what the control group (version 2) has left, if that is less.
func AvailableMemory() (int64, error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("process: available memory: %w", err)
	}
	available, ok1 := meminfo(data, "MemAvailable:")
	swap, ok2 := meminfo(data, "SwapFree:")
	if !ok1 || !ok2 {
		return 0, fmt.Errorf("process: available memory: /proc/meminfo does not say: %w", unix.EINVAL)
	}
	return min(available+swap, groupRoom(groupDir())), nil
}

// meminfo reads a line "Name:   123 kB".
func meminfo(data []byte, name string) (int64, bool) {
	_, rest, found := bytes.Cut(data, []byte(name))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(line)), " kB"), 10, 64)
	return kib << 10, found && err == nil
}

// groupDir is the control group this process was in when first asked, "" if there is no hierarchy of version 2.
var groupDir = sync.OnceValue(func() string {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if path, found := strings.CutPrefix(strings.TrimSpace(line), "0::"); found {
			return filepath.Join("/sys/fs/cgroup", path)
		}
	}
	return ""
})

// groupRoom returns what a group's memory.max leaves; a group without a limit has room without end.
func groupRoom(dir string) int64 {
	number := func(name string) (int64, bool) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return 0, false
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64) // "max" is no number
		return n, err == nil
	}
	limit, ok1 := number("memory.max")
	used, ok2 := number("memory.current")
	if dir == "" || !ok1 || !ok2 {
		return math.MaxInt64
	}
	return max(0, limit-used)
}

// checkRoom refuses what there is no memory for. The kernel itself would not: memory files have no size limit, so
// that fallocate goes on until the out-of-memory killer chooses a victim, which may be anybody.
func checkRoom(size int64) error {
	if size <= smallMemory {
		return nil
	}
	available, err := availableMemory()
	if err != nil {
		return nil // without /proc nothing is known; the kernel has the last word
	}
	if size > available {
		return fmt.Errorf("%d bytes are available: %w", available, unix.ENOMEM)
	}
	return nil
}
