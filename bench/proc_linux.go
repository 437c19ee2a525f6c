package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// pss returns a process's proportional set size in bytes: its own pages, and
// its share of those that it has in common with others.
func pss(pid int) (float64, error) {
	path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return float64(kib) * 1024, err
		}
	}
	return 0, fmt.Errorf("%s has no line Pss", path)
}

// killHard kills a process as an out-of-memory killer does.
func killHard(pid int) error { return unix.Kill(pid, unix.SIGKILL) }
