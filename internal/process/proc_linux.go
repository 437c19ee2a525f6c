package process

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// numericEntries returns the names in a directory that are numbers: processes in /proc, descriptors in /proc/self/fd.
func numericEntries(dir string) ([]int, error) {
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

// openDescriptors lists this process's descriptors. One of them was open only for the listing.
func openDescriptors() []int {
	fds, _ := numericEntries("/proc/self/fd")
	return fds
}

// stat is what proc_pid_stat(5) says.
type stat struct {
	pid, parent int
	state       byte
	start       string // in ticks since boot: with the number, one process for ever
}

func readStat(pid int) (stat, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	end := bytes.LastIndexByte(data, ')') // the name may contain anything
	if err != nil || end < 0 {
		return stat{}, false
	}
	fields := strings.Fields(string(data[end+1:])) // the first is field 3, state
	if len(fields) < 20 {
		return stat{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	return stat{pid: pid, parent: parent, state: fields[0][0], start: fields[19]}, err == nil
}
