package process

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, in which /proc counts CPU time. It is 100 on every architecture that Go supports.
const ticksPerSecond = 100

// Usage returns what the process takes at this moment. It is false if the process has ended. It needs no answer from the
// process, which may be stopped.
func (p *Process) Usage() (Usage, bool) {
	p.mu.Lock()
	defer p.mu.Unlock() // until it is reaped, its number is its own
	if p.reaped {
		return Usage{}, false
	}
	return ReadUsage(p.pid)
}

// ReadUsage returns what a process takes, by its number: false if there is none.
func ReadUsage(pid int) (u Usage, ok bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	end := bytes.LastIndexByte(stat, ')') // the name may contain anything
	if err != nil || end < 0 {
		return u, false
	}
	fields := strings.Fields(string(stat[end+1:])) // the first is field 3, state
	if len(fields) < 18 {
		return u, false
	}
	number := func(s string) int64 {
		n, _ := strconv.ParseInt(s, 10, 64)
		return n
	}
	u.CPU = time.Duration(number(fields[11])+number(fields[12])) * (time.Second / ticksPerSecond)
	u.Threads = int(number(fields[17]))
	u.Stopped = fields[0] == "T" || fields[0] == "t"
	if statm, err := os.ReadFile(dir + "/statm"); err == nil {
		if f := strings.Fields(string(statm)); len(f) > 2 {
			page := int64(os.Getpagesize())
			u.Resident, u.Shared = number(f[1])*page, number(f[2])*page
		}
	}
	u.Files = countEntries(dir + "/fd")
	return u, true
}

// countEntries returns how many entries a directory has; 0 if it may not be read.
func countEntries(dir string) int {
	f, err := os.Open(dir)
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	names, _ := f.Readdirnames(-1)
	return len(names)
}
