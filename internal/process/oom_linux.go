package process

import (
	"bytes"
	"os"
	"strconv"
	"sync"
)

// oomKills remembers how many out-of-memory kills the kernel had counted when it was last asked.
var oomKills struct {
	mu     sync.Mutex
	marked bool
	count  int64
}

// markOutOfMemoryKills makes the first child's start the beginning of the count. Later calls cost a lock.
func markOutOfMemoryKills() {
	oomKills.mu.Lock()
	defer oomKills.mu.Unlock()
	if !oomKills.marked {
		oomKills.marked = true
		oomKills.count = countOutOfMemoryKills()
	}
}

// newOutOfMemoryKills reports whether the kernel killed a process for memory since the last call or the mark. It is the
// whole machine's count, or the container's as far as it sees, hence only a hint for one child.
func newOutOfMemoryKills() bool {
	oomKills.mu.Lock()
	defer oomKills.mu.Unlock()
	before := oomKills.count
	oomKills.count = countOutOfMemoryKills()
	return oomKills.count > before
}

// countOutOfMemoryKills reads oom_kill of /proc/vmstat (Linux 4.13 and later; 0 elsewhere).
func countOutOfMemoryKills() int64 {
	data, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	_, rest, found := bytes.Cut(data, []byte("\noom_kill "))
	if !found {
		return 0
	}
	value, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
