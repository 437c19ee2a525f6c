package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

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

// cpuTime returns the CPU time of all threads of a process so far. It is read
// from the process's own clock, because /proc counts in hundredths of a second.
func cpuTime(pid int) (time.Duration, error) {
	const allThreads = 2 // CPUCLOCK_SCHED of linux/posix-timers.h; clock_getcpuclockid(3) makes the same number
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|allThreads), &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// killHard kills a process as an out-of-memory killer does.
func killHard(pid int) error { return unix.Kill(pid, unix.SIGKILL) }

// kernel returns the name and release of the kernel.
func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}

// processor returns the CPU's name as the kernel has it.
func processor() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
