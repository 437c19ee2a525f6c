package program

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Descendants returns the process ids of all that the program has started and
// that lives: children, their children, and so on.
func (p *Program) Descendants() []int {
	children := make(map[int][]int)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		// "pid (comm) state ppid ...", where comm may contain anything.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || len(fields) < 2 || string(fields[0]) == "Z" {
			continue
		}
		if parent, err := strconv.Atoi(string(fields[1])); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	var all []int
	for next := children[p.PID()]; len(next) > 0; {
		pid := next[0]
		all = append(all, pid)
		next = append(next[1:], children[pid]...)
	}
	return all
}

// Actor returns the process id of the actor of that path, which is in the
// title of its process: "program: path #n".
func (p *Program) Actor(path string) int {
	p.t.Helper()
	for _, pid := range p.Descendants() {
		title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(string(title), ": "+path+" #") {
			return pid
		}
	}
	p.t.Fatalf("no process of the actor %s", path)
	return 0
}
