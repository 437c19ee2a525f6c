package sys

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"
)

// runnable is how many threads of the machine run or want to, by the fourth
// field of /proc/loadavg (proc_loadavg(5)).
func runnable() (int, bool) {
	fd, err := unix.Open("/proc/loadavg", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd)
	var b [64]byte
	n, err := unix.Read(fd, b[:])
	if err != nil {
		return 0, false
	}
	return parseRunnable(b[:n])
}

func parseRunnable(line []byte) (int, bool) {
	fields := bytes.Fields(line)
	if len(fields) < 4 {
		return 0, false
	}
	running, _, ok := bytes.Cut(fields[3], []byte("/"))
	n, err := strconv.Atoi(string(running))
	return n, ok && err == nil
}
