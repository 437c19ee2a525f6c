package cgroup

import (
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Replaced in tests.
var (
	ownGroups  = "/proc/self/cgroup"
	mountTable = "/proc/self/mountinfo"
)

// mounts is the mount table: hierarchies do not move, but a process may.
var mounts = sync.OnceValue(func() []byte { data, _ := os.ReadFile(mountTable); return data })

// Room returns how many bytes the memory limits of this process's control group and of those above it leave, in version
// 2 and in version 1, wherever they are mounted, and where the least is left; false if no group has a limit. File pages
// count as free: the kernel drops them first. (The pages of memory files are not among them.)
func Room() (left int64, where string, ok bool) {
	groups, err := os.ReadFile(ownGroups)
	if err != nil {
		return 0, "", false
	}
	left = math.MaxInt64
	take := func(n int64, dir string) {
		if n < left {
			left, where, ok = n, dir, true
		}
	}
	if h, ok := visiblePart(UnifiedGroup, groups, isV2); ok {
		h.upwards(h.own, func(dir string) bool {
			take(roomV2(dir), path.Join(dir, "memory.max"))
			return true
		})
	}
	if h, ok := visiblePart(memoryGroupV1, groups, isMemoryV1); ok {
		h.upwards(h.own, func(dir string) bool {
			take(roomV1(dir), path.Join(dir, "memory.limit_in_bytes"))
			return true
		})
	}
	return left, where, ok
}

// visiblePart returns our group as far as it can be seen. Where it lies outside what is mounted here, the limits of
// the mount's top are those that a container can ask for.
func visiblePart(group func([]byte) (string, bool), groups []byte, match func(kind, superOptions string) bool) (hierarchy, bool) {
	if own, ok := group(groups); ok {
		if h, err := findMount(own, mounts(), match); err == nil {
			return h, true
		}
	}
	for _, point := range cgroupMounts(mounts(), match) {
		return hierarchy{top: path.Clean(point), own: path.Clean(point)}, true
	}
	return hierarchy{}, false
}

// roomV2 returns what a group's memory.max leaves; a group without a limit has room without end.
func roomV2(dir string) int64 {
	limit, ok1 := numberOf(dir, "memory.max") // "max" is no number
	used, ok2 := numberOf(dir, "memory.current")
	if !ok1 || !ok2 {
		return math.MaxInt64
	}
	return leaves(limit, used, dir, "inactive_file", "active_file")
}

// roomV1 is roomV2 for a group of version 1 (Documentation/admin-guide/cgroup-v1/memory.rst). hierarchical_memory_limit
// includes the groups above, also those that this process cannot see.
func roomV1(dir string) int64 {
	limit, ok1 := numberOf(dir, "memory.limit_in_bytes")
	used, ok2 := numberOf(dir, "memory.usage_in_bytes")
	if !ok1 || !ok2 {
		return math.MaxInt64
	}
	if all, ok := countOf(dir, "memory.stat", "hierarchical_memory_limit"); ok {
		limit = min(limit, all)
	}
	if limit >= math.MaxInt64-1<<20 { // "no limit" is the largest number of whole pages
		return math.MaxInt64
	}
	return leaves(limit, used, dir, "total_inactive_file", "total_active_file")
}

func leaves(limit, used int64, dir, inactiveFile, activeFile string) int64 {
	inactive, _ := countOf(dir, "memory.stat", inactiveFile)
	active, _ := countOf(dir, "memory.stat", activeFile)
	return max(0, limit-max(0, used-inactive-active))
}

// numberOf reads a group's file that holds one number.
func numberOf(dir, file string) (int64, bool) {
	words := wordsOf(dir, file)
	if len(words) != 1 {
		return 0, false
	}
	n, err := strconv.ParseInt(words[0], 10, 64)
	return n, err == nil
}

func isV2(kind, _ string) bool { return kind == "cgroup2" }

// isMemoryV1 recognises the memory controller of version 1, which is among the super options of its mount.
func isMemoryV1(kind, superOptions string) bool {
	return kind == "cgroup" && slices.Contains(strings.Split(superOptions, ","), "memory")
}

// memoryGroupV1 returns the path in the line "4:memory:/path" (cgroups(7)).
func memoryGroupV1(groups []byte) (string, bool) {
	for line := range strings.Lines(string(groups)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) == 3 && slices.Contains(strings.Split(fields[1], ","), "memory") {
			return fields[2], strings.HasPrefix(fields[2], "/") && !strings.HasPrefix(fields[2], "/..")
		}
	}
	return "", false
}
