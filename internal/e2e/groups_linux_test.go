package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/runtime"
)

// envGroups makes the root demand control groups.
const envGroups = "E2E_GROUPS"

// What an actor started and what left its parent, its session and its
// environment dies with the root, by its control group.
func TestRootWithGroupsKilled(t *testing.T) {
	leaktest.Check(t)
	probe, err := runtime.NewSystem(runtime.SystemOptions{Cgroups: runtime.CgroupsRequired})
	if errors.Is(err, actor.ErrNoCgroup) {
		t.Skipf("needs a cgroup v2 hierarchy that can be written: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := probe.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Setenv(envGroups, "required")
	s := startRoot(t, self)
	if _, err := fmt.Fprintln(s.in, "escape"); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscanf(s.line(), "%d <nil>", &pid); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err != nil || len(carriers("UNDERSTUDY_SYSTEM="+s.system)) < minMembers {
		t.Fatalf("environment %q, %v", env, err)
	}
	s.kill()
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for deadline := time.Now().Add(patience); ; {
		n, err := unix.Poll(poll, int(time.Until(deadline).Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if n != 1 || err != nil {
			t.Errorf("what escaped lives on: %v", err)
		}
		break
	}
	s.endsWithin(rootTimeout)
}
