package process

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// groupPrefix begins the name of a system's directory.
	groupPrefix = "understudy-"
	// leafGroup is where an incarnation's process is. The group above it has its limits and holds no process, so
	// that the actor's own children can have groups with controllers beside it.
	leafGroup = "self"
)

// Cgroups are the control groups that one process makes for a system's processes:
//
//	base/understudy-PID-SYSTEM/      the system; PID is its root
//	    INCARNATION/                 an actor: memory.max
//	        self/                    its process
//	        INCARNATION/self/        a process that it supervises
//
// A process is born in its group (CLONE_INTO_CGROUP), and neither a session of its own nor a cleaned environment gets
// its descendants out. All methods work on nil, which has no groups.
type Cgroups struct {
	system   string
	dir      string // the system's or, in an actor's process, the actor's
	root     bool   // dir is ours to remove
	required bool
	memory   bool // memory can be limited
	quota    bool // processor time is bounded in our own group
	unusable atomic.Bool
}

// OpenCgroups makes the directory of a system, whose root this process is. Nothing of it is needed where mode is
// CgroupsNever: nil. An error is a *CgroupError. The caller calls Close.
func OpenCgroups(system string, mode CgroupMode) (*Cgroups, error) {
	if mode == CgroupsNever {
		return nil, nil
	}
	h, err := findHierarchy()
	if err != nil {
		return nil, &CgroupError{"", "find", err}
	}
	return openCgroups(newDelegation(h), system, mode)
}

func openCgroups(d *delegation, system string, mode CgroupMode) (*Cgroups, error) {
	if system == "" || strings.ContainsAny(system, "/\x00\n") {
		return nil, &CgroupError{"", fmt.Sprintf("for system %q", system), unix.EINVAL}
	}
	base, memory, err := d.base(mode == CgroupsRequired)
	if err != nil {
		return nil, err
	}
	c := &Cgroups{system: system, dir: path.Join(base, groupPrefix+strconv.Itoa(os.Getpid())+"-"+system), root: true,
		required: mode == CgroupsRequired, quota: hasQuota(d.own)}
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		return nil, &CgroupError{c.dir, "make", err}
	}
	if _, err := os.Stat(path.Join(c.dir, "cgroup.kill")); err != nil {
		_ = unix.Rmdir(c.dir)
		return nil, &CgroupError{c.dir, "use (Linux 5.14 or later)", errors.Join(errors.ErrUnsupported, err)}
	}
	c.memory = memory && enable(c.dir, "memory")
	return c, nil
}

// givenCgroups is what a child that is this program was told about its group: "auto:SYSTEM" or "required:SYSTEM".
var givenCgroups string

// GivenCgroups are the groups for the processes that an actor's process supervises itself: nil if it was not born in
// one, which is an error where they are required. They end with the actor's own.
func GivenCgroups() (*Cgroups, error) {
	if givenCgroups == "" {
		return nil, nil
	}
	h, err := findHierarchy()
	if err != nil {
		h.own = "/"
	}
	c := nestedCgroups(h, givenCgroups)
	if c == nil && strings.HasPrefix(givenCgroups, "required:") {
		return nil, &CgroupError{h.own, "below an actor that is in", unix.EXDEV}
	}
	return c, nil
}

func nestedCgroups(h hierarchy, given string) *Cgroups {
	mode, system, _ := strings.Cut(given, ":")
	dir, leaf := path.Split(h.own)
	dir = path.Clean(dir)
	if leaf != leafGroup || !strings.Contains(dir, "-"+system+"/") {
		return nil // it could not be placed, or somebody moved it
	}
	return &Cgroups{system: system, dir: dir, required: mode == "required", memory: enable(dir, "memory"), quota: hasQuota(h.own)}
}

// given is what a child that is this program is told.
func (c *Cgroups) given() string {
	if c.required {
		return envCgroup + "=required:" + c.system
	}
	return envCgroup + "=auto:" + c.system
}

// Dir returns the directory, "" if there is none.
func (c *Cgroups) Dir() string {
	if c == nil {
		return ""
	}
	return c.dir
}

// LimitsMemory reports whether memory can be limited by groups.
func (c *Cgroups) LimitsMemory() bool { return c != nil && c.memory }

// Required reports whether a process that cannot have a group is not to be started.
func (c *Cgroups) Required() bool { return c != nil && c.required }

// Close kills what is left in the system's directory and removes it. The guardian has done so if there was one.
func (c *Cgroups) Close() error {
	if c == nil || !c.root {
		return nil
	}
	return endGroup(c.dir, sweepPatience)
}

// cgroup is the group of one incarnation.
type cgroup struct {
	dir  string
	leaf *os.File // for CLONE_INTO_CGROUP, until the birth
}

// newGroup makes the group of an incarnation. If groups are not required, nil without an error means that there is none.
func (c *Cgroups) newGroup(name string, l Limits) (*cgroup, error) {
	if c == nil || c.unusable.Load() && !c.required {
		return nil, nil
	}
	g, err := c.makeGroup(name, l)
	if err != nil && !c.required {
		return nil, nil
	}
	return g, err
}

func (c *Cgroups) makeGroup(name string, l Limits) (*cgroup, error) {
	if name == "" || name == leafGroup || strings.ContainsAny(name, "/\x00\n") {
		return nil, &CgroupError{c.dir, fmt.Sprintf("group %q in", name), unix.EINVAL}
	}
	if l.Memory > 0 && !c.memory && c.required {
		return nil, &LimitError{"memory", l.Memory, &CgroupError{c.dir, "memory controller for", unix.ENODEV}}
	}
	g := &cgroup{dir: path.Join(c.dir, name)}
	err := os.Mkdir(g.dir, 0o755)
	if err != nil {
		return nil, &CgroupError{g.dir, "make", err}
	}
	if l.Memory > 0 && c.memory {
		err = g.limitMemory(l.Memory)
		if err != nil {
			err = &LimitError{"memory", l.Memory, &CgroupError{g.dir, "limit", err}}
		}
	}
	leaf := path.Join(g.dir, leafGroup)
	if err == nil {
		if err = os.Mkdir(leaf, 0o755); err != nil {
			err = &CgroupError{leaf, "make", err}
		}
	}
	if err == nil {
		var fd int
		fd, err = unix.Open(leaf, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) // not os.Open, which would poll it
		if err != nil {
			err = &CgroupError{leaf, "open", err}
		} else {
			g.leaf = os.NewFile(uintptr(fd), leaf)
		}
	}
	if err != nil {
		_ = removeGroup(g.dir)
		return nil, err
	}
	return g, nil
}

// limitMemory bounds the memory of the group and all below it: no more than limit, no swap, and the end of all if it
// is exceeded, since a part of an actor is none. The latter two files are not on all kernels.
func (g *cgroup) limitMemory(limit int64) error {
	if err := writeGroup(g.dir, "memory.max", strconv.FormatInt(limit, 10)); err != nil {
		return err
	}
	for file, value := range map[string]string{"memory.swap.max": "0", "memory.oom.group": "1"} {
		if err := writeGroup(g.dir, file, value); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// born closes what only the birth needed.
func (g *cgroup) born() {
	if g != nil && g.leaf != nil {
		_ = g.leaf.Close()
		g.leaf = nil
	}
}

// discard removes the group of a process that was not born.
func (g *cgroup) discard() {
	if g != nil {
		g.born()
		_ = removeGroup(g.dir)
	}
}

// oomKills returns how many processes the kernel has killed for memory; false if it does not count. The leaf's count is
// of the actor's own process and helpers, the group's would be of the actors below it, too.
func (g *cgroup) oomKills() (int64, bool) {
	if n, ok := countOf(path.Join(g.dir, leafGroup), "memory.events", "oom_kill"); ok {
		return n, true
	}
	return countOf(g.dir, "memory.events", "oom_kill")
}

// hasQuota reports whether a group bounds processor time. The Go runtime of a process looks at its own group alone
// (runtime/cgroup_linux.go), so that one below it would not know.
func hasQuota(dir string) bool {
	words := wordsOf(dir, "cpu.max")
	return len(words) > 0 && words[0] != "max"
}
