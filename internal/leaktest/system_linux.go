package leaktest

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

func (s snapshot) takeSystem(mark string) {
	s.takeProcesses(mark)
	s.takeFiles()
	s.takeMappings()
	s.takeShm()
	s.takeGroups()
}

// proc is one line of the process table.
type proc struct {
	pid, parent int
	state       string
	name        string
	start       string // ticks since boot: with the pid, it names one process for ever
}

// takeProcesses adds the descendants of this process, zombies too, and whatever carries the mark in its environment
// although it has got another parent.
func (s snapshot) takeProcesses(mark string) {
	table := processTable()
	self := os.Getpid()
	entry := []byte(markName + "=" + mark)
	for _, p := range table {
		if p.pid != self && (descends(table, p.pid, self) || marked(p.pid, entry)) {
			s.add(kindProcess, fmt.Sprint(p.pid, "@", p.start), 1,
				fmt.Sprintf("pid %d (%s), state %s, parent %d: %s", p.pid, p.name, p.state, p.parent, commandLine(p.pid)))
		}
	}
}

func processTable() map[int]proc {
	table := map[int]proc{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		data, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		open, shut := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
		if err != nil || open < 0 || shut < open {
			continue
		}
		fields := strings.Fields(string(data[shut+1:])) // from field 3, state, on: proc_pid_stat(5)
		if len(fields) < 20 {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		table[pid] = proc{pid: pid, parent: parent, state: fields[0], name: string(data[open+1 : shut]), start: fields[19]}
	}
	return table
}

func descends(table map[int]proc, pid, from int) bool {
	for range len(table) { // the table is no snapshot, a circle is thinkable
		p, ok := table[pid]
		if !ok {
			return false
		}
		if p.parent == from {
			return true
		}
		pid = p.parent
	}
	return false
}

func marked(pid int, entry []byte) bool {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	for e := range bytes.SplitSeq(env, []byte{0}) {
		if bytes.Equal(e, entry) {
			return true
		}
	}
	return false
}

func commandLine(pid int) string {
	data, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return strings.TrimSpace(strings.ReplaceAll(string(data), "\x00", " "))
}

// takeFiles counts descriptors by what they lead to: numbers are reused, so they say nothing.
func (s snapshot) takeFiles() {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return
	}
	defer func() { _ = dir.Close() }()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		target, err := os.Readlink("/proc/self/fd/" + name)
		if err != nil || isListing(target) ||
			target == os.DevNull || // opened once as every child's stdin
			strings.HasPrefix(target, "/sys/fs/cgroup/") { // the runtime follows the CPU quota
			continue
		}
		s.add(kindFile, target, 1, target+" (last seen as "+name+")")
	}
}

// isListing recognises the descriptor that lists the descriptors.
func isListing(target string) bool {
	return strings.HasPrefix(target, "/proc/") && strings.HasSuffix(target, "/fd")
}

// takeMappings adds up mapped memory files. Shmem in /proc/meminfo is everybody's.
func (s snapshot) takeMappings() {
	data, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 6 || !strings.HasPrefix(fields[5], "/memfd:") {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		low, err1 := strconv.ParseUint(from, 16, 64)
		high, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil {
			s.add(kindMapping, fields[5], int64(high-low), fields[5])
		}
	}
}

func (s snapshot) takeShm() {
	entries, _ := os.ReadDir("/dev/shm")
	for _, e := range entries {
		s.add(kindShm, e.Name(), 1, e.Name())
	}
}
