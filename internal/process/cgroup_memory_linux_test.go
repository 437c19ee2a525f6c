package process

import (
	"errors"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/cgroup"
	"github.com/understudy-go/understudy/internal/leaktest"
)

func init() {
	roles["bomber"] = func() int { orders["bomb"](""); return 0 }
	// The memory of a descendant, which no limit of its own bounds.
	orders["child-bomb"] = func(string) string {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = []string{envRole + "=bomber"}
		return errorText(cmd.Run())
	}
}

// memoryGroups are groups whose memory can be limited: in a group of its own below a delegated one the tests have them.
func memoryGroups(t *testing.T) *cgroup.Groups {
	t.Helper()
	c := newGroups(t, newSystem(t))
	if !c.LimitsMemory() {
		t.Skipf("needs the memory controller in %s", c.Dir())
	}
	return c
}

// What a descendant takes beyond the limit ends the actor, for that reason, and nobody else.
func TestGroupMemoryIsOfAllDescendants(t *testing.T) {
	leaktest.Check(t)
	c := memoryGroups(t)
	other := serve(t, func(cmd *Command) { cmd.Cgroups, cmd.Group, cmd.Limits = c, "other", Limits{Memory: 1 << 30} })
	if got := fileOf(t, c.Dir(), "other", "memory.max"); got != strconv.Itoa(1<<30) {
		t.Errorf("memory.max %s", got)
	}
	// RLIMIT_DATA would hold for the child as well: the group's limit alone.
	s := serve(t, func(cmd *Command) { cmd.Cgroups, cmd.Group = c, "one" })
	if err := os.WriteFile(path.Join(c.Dir(), "one", "memory.max"), []byte(strconv.Itoa(256<<20)), 0); err != nil {
		t.Fatal(err)
	}
	s.tell("child-bomb")
	if st := ended(t, s.Process); !st.OutOfMemory || st.Signal != unix.SIGKILL || st.Killed {
		t.Errorf("status %v", st)
	}
	if !gone(path.Join(c.Dir(), "one")) {
		t.Error("its group is left")
	}
	if other.ask("ping") != "pong" {
		t.Error("the other one suffered")
	}
	if err := other.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if st := ended(t, other.Process); st.OutOfMemory {
		t.Errorf("an ordinary end: %v", st)
	}
}

// The groups of an actor's own children are inside its limit and have their own.
func TestNestedGroupMemory(t *testing.T) {
	leaktest.Check(t)
	c := memoryGroups(t)
	s := serve(t, func(cmd *Command) { cmd.Cgroups, cmd.Group, cmd.Limits = c, "parent", Limits{Memory: 1 << 30} })
	dir := s.ask("groups")
	if got := fileOf(t, dir, "cgroup.subtree_control"); !strings.Contains(got, "memory") {
		t.Errorf("the actor gives %q on", got)
	}
	child := watchPID(t, s.askNumber("grouped child"))
	if got := fileOf(t, dir, "child", "memory.max"); got != strconv.Itoa(512<<20) {
		t.Errorf("memory.max of the child: %s", got)
	}
	if err := unix.Kill(child.pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "the child's group goes", func() bool { return gone(path.Join(dir, "child")) })
	if s.ask("ping") != "pong" {
		t.Error("the parent suffered")
	}
}

func fileOf(t *testing.T, name ...string) string {
	t.Helper()
	data, err := os.ReadFile(path.Join(name...))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}
