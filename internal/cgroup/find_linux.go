package cgroup

import (
	"bytes"
	"errors"
	"iter"
	"os"
	"path"
	"strconv"
	"strings"
)

// hierarchy is what this process sees of cgroup v2.
type hierarchy struct {
	top string // the directory of the highest group that is visible
	own string // of the group that this process is in: top or below it
}

// errNoHierarchy: not mounted, or mounted where our own group cannot be seen.
var errNoHierarchy = errors.New("cgroup v2 is not mounted where this process could see its own group")

// findHierarchy reads where this process is. It may be moved by others at any time, so this is true for now.
func findHierarchy() (hierarchy, error) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return hierarchy{}, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return hierarchy{}, err
	}
	return parseHierarchy(groups, mounts)
}

// parseHierarchy joins what /proc/self/cgroup and /proc/self/mountinfo say. It need not be mounted at /sys/fs/cgroup:
// beside version 1 it is at /sys/fs/cgroup/unified.
func parseHierarchy(groups, mounts []byte) (hierarchy, error) {
	own, ok := UnifiedGroup(groups)
	if !ok {
		return hierarchy{}, errNoHierarchy
	}
	return findMount(own, mounts, isV2)
}

// findMount finds the mount, among those of which match approves by type and super options, below which own can be seen.
func findMount(own string, mounts []byte, match func(kind, superOptions string) bool) (hierarchy, error) {
	for root, point := range cgroupMounts(mounts, match) {
		below, visible := strings.CutPrefix(own, strings.TrimSuffix(root, "/"))
		if !visible || below != "" && below[0] != '/' {
			continue
		}
		return hierarchy{top: path.Clean(point), own: path.Join(point, below)}, nil
	}
	return hierarchy{}, errNoHierarchy
}

// cgroupMounts yields, of each mount of which match approves, the directory of the hierarchy that is mounted and where.
func cgroupMounts(mounts []byte, match func(kind, superOptions string) bool) iter.Seq2[string, string] {
	return func(yield func(root, point string) bool) {
		for line := range strings.Lines(string(mounts)) {
			// "36 35 98:0 /root /mount/point rw,noatime shared:1 - type source options", proc_pid_mountinfo(5)
			before, after, _ := strings.Cut(line, " - ")
			fields, what := strings.Fields(before), strings.Fields(after)
			if len(fields) < 6 || len(what) < 1 || !match(what[0], what[len(what)-1]) {
				continue
			}
			if !yield(unescapeMount(fields[3]), unescapeMount(fields[4])) {
				return
			}
		}
	}
}

// UnifiedGroup returns the path in the line "0::path" (cgroups(7)), which begins at the root of the cgroup namespace.
// A path that leads out of it names no directory that we could have.
func UnifiedGroup(groups []byte) (string, bool) {
	for line := range strings.Lines(string(groups)) {
		if own, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); found {
			return own, strings.HasPrefix(own, "/") && !strings.HasPrefix(own, "/..")
		}
	}
	return "", false
}

// unescapeMount undoes the octal escapes of blanks and backslashes in mountinfo.
func unescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// parent returns the group above own, if it is visible.
func (h hierarchy) parent() (string, bool) {
	if h.own == h.top {
		return "", false
	}
	return path.Dir(h.own), true
}

// upwards calls f with dir and the groups above it, up to the top, until f returns false.
func (h hierarchy) upwards(dir string, f func(dir string) bool) {
	for f(dir) && dir != h.top && len(dir) > len(h.top) {
		dir = path.Dir(dir)
	}
}

// wordsOf returns the words in a group's file, nil if there is none.
func wordsOf(dir, file string) []string {
	data, err := os.ReadFile(path.Join(dir, file))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}

// countOf returns the number in the line "name number" of a group's file, such as memory.events.
func countOf(dir, file, name string) (int64, bool) {
	data, err := os.ReadFile(path.Join(dir, file))
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(data) {
		if words := bytes.Fields(line); len(words) == 2 && string(words[0]) == name {
			n, err := strconv.ParseInt(string(words[1]), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
