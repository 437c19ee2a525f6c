package sys

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// NumericEntries returns the names in a directory that are numbers: processes in /proc, descriptors in /proc/self/fd.
func NumericEntries(dir string) ([]int, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	names, err := f.Readdirnames(-1)
	numbers := make([]int, 0, len(names))
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers, err
}

// OpenDescriptors lists this process's descriptors. One of them was open only for the listing.
func OpenDescriptors() []int {
	fds, _ := NumericEntries("/proc/self/fd")
	return fds
}

// Stat is what proc_pid_stat(5) says of a process.
type Stat struct {
	PID, Parent int
	State       byte   // 'Z' is a zombie
	Start       string // in ticks since boot: with the number, one process for ever
}

// ReadStat returns what the process table says of a process; false if there is none.
func ReadStat(pid int) (Stat, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	end := bytes.LastIndexByte(data, ')') // the name may contain anything
	if err != nil || end < 0 {
		return Stat{}, false
	}
	fields := strings.Fields(string(data[end+1:])) // the first is field 3, state
	if len(fields) < 20 {
		return Stat{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	return Stat{PID: pid, Parent: parent, State: fields[0][0], Start: fields[19]}, err == nil
}
