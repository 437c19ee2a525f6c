package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/sys"
)

const (
	// endPatience is how long the processes of a closed system may take to disappear once they are killed.
	endPatience = 5 * time.Second
	// leafGroup is where an incarnation's process is. The group above it has its limits and holds no process, so
	// that the actor's own children can have groups with controllers beside it.
	leafGroup = "self"
)

// Groups are the control groups that one process makes for a system's processes:
//
//	base/understudy-PID-SYSTEM/      the system; PID is its root
//	    INCARNATION/                 an actor: memory.max
//	        self/                    its process
//	        INCARNATION/self/        a process that it supervises
//
// A process is born in its group (CLONE_INTO_CGROUP), and neither a session of its own nor a cleaned environment gets
// its descendants out. All methods work on nil, which has no groups.
type Groups struct {
	system   string
	dir      string // the system's or, in an actor's process, the actor's
	root     bool   // dir is ours to remove
	required bool
	memory   bool // memory can be limited
	quota    bool // processor time is bounded in our own group
	unusable atomic.Bool
}

// Open makes the directory of a system, whose root this process is. Nothing of it is needed where mode is
// Never: nil. An error is a *Error. The caller calls Close.
func Open(system string, mode Mode) (*Groups, error) {
	if mode == Never {
		return nil, nil
	}
	h, err := findHierarchy()
	if err != nil {
		return nil, &Error{Dir: "", Op: "find", Err: err}
	}
	return open(newDelegation(h), system, mode)
}

func open(d *delegation, system string, mode Mode) (*Groups, error) {
	if system == "" || strings.ContainsAny(system, "/\x00\n") {
		return nil, &Error{Dir: "", Op: fmt.Sprintf("for system %q", system), Err: unix.EINVAL}
	}
	base, memory, err := d.base(mode == Required)
	if err != nil {
		return nil, err
	}
	c := &Groups{system: system, dir: path.Join(base, Prefix+strconv.Itoa(os.Getpid())+"-"+system), root: true,
		required: mode == Required, quota: hasQuota(d.own)}
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		return nil, &Error{Dir: c.dir, Op: "make", Err: err}
	}
	if _, err := os.Stat(path.Join(c.dir, "cgroup.kill")); err != nil {
		_ = unix.Rmdir(c.dir)
		return nil, &Error{Dir: c.dir, Op: sys.Lacking("cgroup.kill", 5, 14) + " of", Err: errors.Join(errors.ErrUnsupported, err)}
	}
	c.memory = memory && enable(c.dir, "memory")
	return c, nil
}

// inherited is what Adopt found.
var inherited string

// Adopt takes Env out of the environment: what this process executes is not to believe it. Inherited answers by it.
func Adopt() {
	inherited = os.Getenv(Env)
	_ = os.Unsetenv(Env)
}

// Inherited are the groups for the processes that an actor's process supervises itself: nil if it was not born in
// one, which is an error where they are required. They end with the actor's own.
func Inherited() (*Groups, error) {
	if inherited == "" {
		return nil, nil
	}
	h, err := findHierarchy()
	if err != nil {
		h.own = "/"
	}
	c := nestedGroups(h, inherited)
	if c == nil && strings.HasPrefix(inherited, "required:") {
		return nil, &Error{Dir: h.own, Op: "below an actor that is in", Err: unix.EXDEV}
	}
	return c, nil
}

func nestedGroups(h hierarchy, given string) *Groups {
	mode, system, _ := strings.Cut(given, ":")
	dir, leaf := path.Split(h.own)
	dir = path.Clean(dir)
	if leaf != leafGroup || !strings.Contains(dir, "-"+system+"/") {
		return nil // it could not be placed, or another program moved it
	}
	return &Groups{system: system, dir: dir, required: mode == "required", memory: enable(dir, "memory"), quota: hasQuota(h.own)}
}

// Environ is the environment entry for a child that is this program: Adopt there takes it.
func (c *Groups) Environ() string {
	if c.required {
		return Env + "=required:" + c.system
	}
	return Env + "=auto:" + c.system
}

// Quota reports whether a group above the children's bounds processor time, which a Go child could not see in its own.
func (c *Groups) Quota() bool { return c != nil && c.quota }

// AssumeQuota makes Quota true: for tests.
func (c *Groups) AssumeQuota() { c.quota = true }

// GiveUp says that a process could not be placed: unless groups are required, New makes no more of them.
func (c *Groups) GiveUp() {
	if c != nil {
		c.unusable.Store(true)
	}
}

// Failed reports whether GiveUp was called.
func (c *Groups) Failed() bool { return c != nil && c.unusable.Load() }

// Dir returns the directory, "" if there is none.
func (c *Groups) Dir() string {
	if c == nil {
		return ""
	}
	return c.dir
}

// LimitsMemory reports whether memory can be limited by groups.
func (c *Groups) LimitsMemory() bool { return c != nil && c.memory }

// Required reports whether a process that cannot have a group is not to be started.
func (c *Groups) Required() bool { return c != nil && c.required }

// Optional makes groups that are required ones that are not: for tests, where only the former can be made everywhere.
func (c *Groups) Optional() { c.required = false }

// Close kills what is left in the system's directory and removes it. The orphan sweeper has done so if there was one.
func (c *Groups) Close() error {
	if c == nil || !c.root {
		return nil
	}
	return End(c.dir, endPatience)
}

// Group is the group of one incarnation.
type Group struct {
	dir  string
	leaf *os.File // for CLONE_INTO_CGROUP, until the birth
}

// New makes the group of an incarnation, whose memory is bounded if memory, in bytes, is not 0. If groups are not
// required, nil without an error means that there is none. An error is an *Error. The caller calls Born and then End,
// or Discard.
func (c *Groups) New(name string, memory int64) (*Group, error) {
	if c == nil || c.unusable.Load() && !c.required {
		return nil, nil
	}
	g, err := c.makeGroup(name, memory)
	if err != nil && !c.required {
		return nil, nil
	}
	return g, err
}

func (c *Groups) makeGroup(name string, memory int64) (*Group, error) {
	if name == "" || name == leafGroup || strings.ContainsAny(name, "/\x00\n") {
		return nil, &Error{Dir: c.dir, Op: fmt.Sprintf("group %q in", name), Err: unix.EINVAL}
	}
	if memory > 0 && !c.memory && c.required {
		return nil, &Error{Dir: c.dir, Op: "memory controller for", Err: unix.ENODEV, Memory: memory}
	}
	g := &Group{dir: path.Join(c.dir, name)}
	err := os.Mkdir(g.dir, 0o755)
	if err != nil {
		return nil, &Error{Dir: g.dir, Op: "make", Err: err}
	}
	if memory > 0 && c.memory {
		err = g.LimitMemory(memory)
		if err != nil {
			err = &Error{Dir: g.dir, Op: "limit", Err: err, Memory: memory}
		}
	}
	leaf := path.Join(g.dir, leafGroup)
	if err == nil {
		if err = os.Mkdir(leaf, 0o755); err != nil {
			err = &Error{Dir: leaf, Op: "make", Err: err}
		}
	}
	if err == nil {
		var fd int
		fd, err = unix.Open(leaf, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) // not os.Open, which would poll it
		if err != nil {
			err = &Error{Dir: leaf, Op: "open", Err: err}
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

// LimitMemory bounds the memory of the group and all below it: no more than limit, no swap, and the end of all if it
// is exceeded, since a part of an actor is none. The latter two files are not on all kernels.
func (g *Group) LimitMemory(limit int64) error {
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

// Dir returns the directory.
func (g *Group) Dir() string { return g.dir }

// Descriptor is for SysProcAttr.CgroupFD: the place where the process is born. It is open until Born.
func (g *Group) Descriptor() int { return int(g.leaf.Fd()) }

// Kill sends SIGKILL to all in the group and below it. It does not wait.
func (g *Group) Kill() error { return kill(g.dir) }

// End kills all in the group, waits until they have gone, at most as long as patience, and removes it.
func (g *Group) End(patience time.Duration) error { return End(g.dir, patience) }

// Born closes what only the birth needed.
func (g *Group) Born() {
	if g != nil && g.leaf != nil {
		_ = g.leaf.Close()
		g.leaf = nil
	}
}

// Discard removes the group of a process that was not born.
func (g *Group) Discard() {
	if g != nil {
		g.Born()
		_ = removeGroup(g.dir)
	}
}

// OOMKills returns how many processes the kernel has killed for memory; false if it does not count. The leaf's count is
// of the actor's own process and helpers, the group's would be of the actors below it, too.
func (g *Group) OOMKills() (int64, bool) {
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
