package leaktest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// groupPrefix begins the name of a system's control group, "understudy-PID-SYSTEM". (internal/cgroup is not asked:
// the tests of everything use this package, which therefore imports nothing of the tree.)
const groupPrefix = "understudy-"

// takeGroups adds the control groups of systems beside and below our own group, but for those whose root is another
// living process, or a dead one that has an orphan sweeper at work: the tests of other packages run at the same time. (A
// sweeper of our own that does not end is a process left behind.)
func (s snapshot) takeGroups() {
	table := processTable()
	self := os.Getpid()
	for _, dir := range groupPlaces() {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			rest, ours := strings.CutPrefix(e.Name(), groupPrefix)
			if !ours || !e.IsDir() {
				continue
			}
			number, system, _ := strings.Cut(rest, "-")
			pid, _ := strconv.Atoi(number)
			_, lives := table[pid]
			switch {
			case lives && pid != self && !descends(table, pid, self), !lives && swept(table, system):
				continue
			}
			path := filepath.Join(dir, e.Name())
			if _, err := os.Stat(path); err == nil { // still
				s.add(kindGroup, path, 1, path)
			}
		}
	}
}

// swept reports whether a system has an orphan sweeper.
func swept(table map[int]proc, system string) bool {
	entry := []byte("UNDERSTUDY_SWEEPER=" + system)
	for pid := range table {
		if marked(pid, entry) {
			return true
		}
	}
	return false
}

// groupPlaces are the directories in which a system below this process may have its group.
func groupPlaces() []string {
	groups, _ := os.ReadFile("/proc/self/cgroup")
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	var own, point string
	for line := range strings.Lines(string(groups)) {
		if path, found := strings.CutPrefix(strings.TrimSpace(line), "0::"); found {
			own = path
		}
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.Contains(line, " - cgroup2 ") {
			point = fields[4]
		}
	}
	if own == "" || point == "" {
		return nil
	}
	dir := filepath.Join(point, own)
	if dir == filepath.Clean(point) {
		return []string{dir}
	}
	return []string{dir, filepath.Dir(dir)}
}
