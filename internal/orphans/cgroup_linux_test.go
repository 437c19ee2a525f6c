package orphans

import (
	"errors"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/internal/cgroup"
	"github.com/understudy-go/understudy/internal/leaktest"
)

func init() {
	// The root of a system with groups; the answer is the sweeper's pid and the directory.
	orders["root"] = func(system string) string {
		c, err := cgroup.Open(system, cgroup.Required)
		if err != nil {
			return err.Error()
		}
		ownGroups = c
		g, err := StartSweeper(system, c)
		if err != nil {
			return err.Error()
		}
		ownSweeper = g
		return strconv.Itoa(g.PID()) + " " + c.Dir()
	}
	// A process without the tag, in a session of its own, whose parent is not us for long.
	orders["stranger"] = func(string) string {
		cmd := exec.Command("env", "-i", "PATH="+os.Getenv("PATH"), "sh", "-c",
			`setsid sh -c 'echo $$; exec sleep 1000' 2>/dev/null & exit 0`)
		return firstLine(cmd)
	}
}

// ownGroups are the servant's.
var ownGroups *cgroup.Groups

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

func TestSweeperEndsTheGroup(t *testing.T) {
	leaktest.Check(t)
	for _, end := range []string{"killed", "closed", "closed without sweeper"} {
		t.Run(end, func(t *testing.T) {
			system := newSystem(t)
			_ = newGroups(t, system).Close() // or skip
			root := serve(t, nil)
			answer := root.ask("root " + system)
			number, dir, _ := strings.Cut(answer, " ")
			pid, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(answer)
			}
			sweeper := watchPID(t, pid)
			if strings.Contains(groupOf(pid), cgroup.Prefix) {
				t.Errorf("the sweeper is in its system's group, %q", groupOf(pid))
			}
			// It moves into the system's group without its tag, as what an actor starts may be.
			stranger := watchPID(t, root.askNumber("stranger"))
			leaf := path.Join(dir, "x", "self")
			if err := os.MkdirAll(leaf, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path.Join(leaf, "cgroup.procs"), []byte(strconv.Itoa(stranger.pid)), 0); err != nil {
				t.Fatal(err)
			}
			switch end {
			case "killed":
				if err := root.Kill(); err != nil {
					t.Fatal(err)
				}
			case "closed without sweeper":
				sweeper.kill()
				fallthrough
			case "closed":
				if answer := root.ask("close-sweeper"); answer != "<nil>" {
					t.Error(answer)
				}
				if stranger.lives() || !gone(dir) {
					t.Error("Close returned before its work was done")
				}
			}
			stranger.dead()
			sweeper.dead()
			until(t, "the directory goes", func() bool { return gone(dir) })
		})
	}
}
