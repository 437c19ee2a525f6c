package process

import (
	"bytes"
	"fmt"
	"math"
	"os"
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
	return min(available+swap, groupsRoom()), nil
}

// meminfo reads a line "Name:   123 kB".
func meminfo(data []byte, name string) (int64, bool) {
	_, rest, found := bytes.Cut(data, []byte(name))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(line)), " kB"), 10, 64)
	return kib << 10, found && err == nil
}

// ownHierarchy is where this process was in the control groups when first asked.
var ownHierarchy = sync.OnceValues(findHierarchy)

// groupsRoom returns the least that is left in our control group and those above it: an actor is in a leaf, and the
// limits are above.
func groupsRoom() int64 {
	room := int64(math.MaxInt64)
	if h, err := ownHierarchy(); err == nil {
		h.upwards(h.own, func(dir string) bool {
			room = min(room, groupRoom(dir))
			return true
		})
	}
	return room
}

// groupRoom returns what a group's memory.max leaves; a group without a limit has room without end. File pages count as
// free: the kernel drops them first.
func groupRoom(dir string) int64 {
	number := func(name string) (int64, bool) {
		words := wordsOf(dir, name)
		if len(words) != 1 {
			return 0, false
		}
		n, err := strconv.ParseInt(words[0], 10, 64) // "max" is no number
		return n, err == nil
	}
	limit, ok1 := number("memory.max")
	used, ok2 := number("memory.current")
	if dir == "" || !ok1 || !ok2 {
		return math.MaxInt64
	}
	inactive, _ := countOf(dir, "memory.stat", "inactive_file")
	active, _ := countOf(dir, "memory.stat", "active_file")
	return max(0, limit-max(0, used-inactive-active))
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
