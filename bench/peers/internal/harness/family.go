package harness

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/understudy-go/understudy/bench/internal/machine"
)

// family returns this process and the given ones with all their descendants:
// whoever may work for a row.
func family(pids []int) []int {
	parents := make(map[int]int) // by child
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			parents[pid] = parentOf(pid)
		}
	}
	members := slices.Clone(pids)
	for i := 0; i < len(members); i++ {
		for child, parent := range parents {
			if parent == members[i] && !slices.Contains(members, child) {
				members = append(members, child)
			}
		}
	}
	return append(members, os.Getpid())
}

// parentOf is 0 for a process that is gone.
func parentOf(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// pid (name) state parent: the name may contain anything, so after its end.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	return parent
}

// cpuOf adds up what processes have used. One that ended counts no more; the
// rows whose processes end are failures anyway.
func cpuOf(pids []int) time.Duration {
	var sum time.Duration
	for _, pid := range pids {
		if t, err := machine.CPUTime(pid); err == nil {
			sum += t
		}
	}
	return sum
}
