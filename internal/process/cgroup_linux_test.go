package process

import (
	"context"
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
	// A process in a session of its own, whose parent is not us for long.
	orders["stranger"] = func(string) string {
		cmd := exec.Command("env", "-i", "PATH="+os.Getenv("PATH"), "sh", "-c",
			`setsid sh -c 'echo $$; exec sleep 1000' 2>/dev/null & exit 0`)
		return firstLine(cmd)
	}
	orders["groups"] = func(string) string {
		c, err := cgroup.Inherited()
		if err != nil {
			return err.Error()
		}
		ownGroups = c
		return c.Dir()
	}
	// A child in a group of its own.
	orders["grouped"] = func(name string) string {
		cmd := role("sleeper")
		cmd.Cgroups, cmd.Group = ownGroups, name
		if ownGroups.LimitsMemory() {
			cmd.Limits.Memory = 512 << 20
		}
		p, err := Start(context.Background(), cmd)
		if err != nil {
			return err.Error()
		}
		return strconv.Itoa(p.PID())
	}
	orders["own-group"] = func(string) string {
		return groupOf(os.Getpid())
	}
}

// ownGroups are the servant's.
var ownGroups *cgroup.Groups

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// newGroups opens groups for a system, or skips the test.
func newGroups(t testing.TB, system string) *cgroup.Groups {
	t.Helper()
	c, err := cgroup.Open(system, cgroup.Required)
	if errors.Is(err, cgroup.ErrNone) {
		t.Skipf("needs a cgroup v2 hierarchy that can be written: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func groupOf(pid int) string {
	own, _ := cgroup.UnifiedGroup([]byte(readProc(pid, "cgroup")))
	return own
}

func gone(dir string) bool {
	_, err := os.Stat(dir)
	return errors.Is(err, os.ErrNotExist)
}

func TestChildIsBornInItsGroup(t *testing.T) {
	leaktest.Check(t)
	c := newGroups(t, newSystem(t))
	s := serve(t, func(cmd *Command) { cmd.Cgroups, cmd.Group = c, "one" })
	if own := s.ask("own-group"); !strings.HasSuffix(own, path.Join(path.Base(c.Dir()), "one", "self")) {
		t.Errorf("it is in %q", own)
	}
	if got := s.ask("getenv " + cgroup.Env); got != "false " {
		t.Errorf("what the actor executes would be told of the group: %q", got)
	}
	// Two of a name are not to be had.
	cmd := role("exit")
	cmd.Cgroups, cmd.Group = c, "one"
	if p, err := Start(bounded(t), cmd); !errors.Is(err, cgroup.ErrNone) || !errors.Is(err, os.ErrExist) {
		t.Errorf("a second one: %v, %v", p, err)
	}
	s.tell("exit 3")
	if st := ended(t, s.Process); st.Code != 3 || st.OutOfMemory {
		t.Errorf("status %v", st)
	}
	if !gone(path.Join(c.Dir(), "one")) {
		t.Error("its group is left")
	}
	if err := c.Close(); err != nil || !gone(c.Dir()) {
		t.Errorf("Close: %v", err)
	}
}

// Neither a session nor a clean environment nor another parent gets a process out of its group.
func TestGroupEndsWhatLeftEverythingElse(t *testing.T) {
	leaktest.Check(t)
	c := newGroups(t, newSystem(t))
	s := serve(t, func(cmd *Command) { cmd.Cgroups, cmd.Group = c, "one" })
	stranger := watchPID(t, s.askNumber("stranger"))
	if env := readProc(stranger.pid, "environ"); strings.Contains(env, "UNDERSTUDY_SYSTEM") || strings.Contains(env, envRole) {
		t.Fatalf("environment %q", env)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if st := ended(t, s.Process); st.Signal != unix.SIGKILL || !st.Killed || st.OutOfMemory {
		t.Errorf("status %v", st)
	}
	if stranger.lives() {
		t.Error("it lives when its actor is done")
	}
	if !gone(path.Join(c.Dir(), "one")) {
		t.Error("the group is left")
	}
}

// An actor's own children have groups inside the actor's, and end with it.
func TestNestedGroups(t *testing.T) {
	leaktest.Check(t)
	c := newGroups(t, newSystem(t))
	s := serve(t, func(cmd *Command) { cmd.Cgroups, cmd.Group = c, "parent" })
	if got, want := s.ask("groups"), path.Join(c.Dir(), "parent"); got != want {
		t.Fatalf("the parent's groups are in %q, want %q", got, want)
	}
	child := watchPID(t, s.askNumber("grouped child"))
	if own := groupOf(child.pid); !strings.HasSuffix(own, "/parent/child/"+"self") {
		t.Errorf("the child is in %q", own)
	}
	if err := s.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ended(t, s.Process)
	if child.lives() || !gone(path.Join(c.Dir(), "parent")) {
		t.Error("the child or its group is left")
	}
}

// What cannot be placed is born outside in silence, unless groups are required.
func TestGroupThatTakesNoProcess(t *testing.T) {
	leaktest.Check(t)
	for _, required := range []bool{false, true} {
		c := newGroups(t, newSystem(t))
		if !required {
			c.Optional()
		}
		// A threaded group makes its siblings' new children "domain invalid": they take no process.
		if err := os.WriteFile(path.Join(c.Dir(), "cgroup.type"), []byte("threaded"), 0); err != nil {
			t.Skipf("needs threaded groups: %v", err)
		}
		cmd := role("exit")
		cmd.Cgroups, cmd.Group = c, "one"
		p, err := Start(bounded(t), cmd)
		if required {
			if !errors.Is(err, cgroup.ErrNone) || !errors.Is(err, unix.EOPNOTSUPP) {
				t.Errorf("required: %v", err)
			}
		} else if err != nil {
			t.Errorf("automatic: %v", err)
		} else if st := ended(t, p); !st.Success() || !c.Failed() {
			t.Errorf("automatic: %v", st)
		}
		if !gone(path.Join(c.Dir(), "one")) {
			t.Error("the group is left")
		}
	}
}

func TestExecErrorIsNotTheGroups(t *testing.T) {
	leaktest.Check(t)
	c := newGroups(t, newSystem(t))
	cmd := Command{Path: "/nonexistent/program", Cgroups: c, Group: "one"}
	if _, err := Start(bounded(t), cmd); !errors.Is(err, os.ErrNotExist) || errors.Is(err, cgroup.ErrNone) {
		t.Errorf("error %v", err)
	}
	if !gone(path.Join(c.Dir(), "one")) {
		t.Error("the group is left")
	}
}

func TestCgroupsNever(t *testing.T) {
	c, err := cgroup.Open(newSystem(t), cgroup.Never)
	if c != nil || err != nil || c.Dir() != "" || c.Required() || c.LimitsMemory() || c.Close() != nil {
		t.Errorf("%v, %v", c, err)
	}
}
