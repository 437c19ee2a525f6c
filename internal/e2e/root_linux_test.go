package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/supervisor"
)

// rootTimeout is what the design promises: nothing is left of a system so long
// after its root was killed.
const rootTimeout = 2 * time.Second

// envTransport names the root's transport, if it is not to be the usual one.
const envTransport = "E2E_TRANSPORT"

func init() {
	// root is a service that is told what to do on its standard input, a line at
	// a time, and answers each with a line.
	roles["root"] = func([]string) {
		if err := root(); err != nil {
			fmt.Println("root:", err)
			os.Exit(8)
		}
	}
}

func root() error {
	ctx := context.Background()
	var children []supervisor.Child
	for _, id := range []string{"sleeping", "ignoring", "looping", "grandparent", "plain"} {
		children = append(children, supervisor.Child{Name: id, Run: Victims.With("")})
	}
	children = append(children, supervisor.Child{Name: "nested", Run: Victims.With("parent")}, supervisor.Child{Name: "foreign", Run: Foreigns.With(foreignArgs{Role: "plain"})})
	spec := supervisor.Spec{Children: children, Intensity: 100}
	o := supervisor.Options{Logger: slog.New(slog.DiscardHandler)}
	for _, l := range transports {
		if l.name == os.Getenv(envTransport) {
			o.Transport = l.transport
		}
	}
	if os.Getenv(envGroups) != "" {
		o.Cgroups = "required"
	}
	tree, err := supervisor.Start(ctx, spec, o)
	if err != nil {
		return err
	}
	do := func(id, what string) *actor.Future[string] {
		ref, err := Victims.Lookup(tree, id)
		if err != nil {
			panic(err)
		}
		return VictimDo.Go(ctx, ref, what)
	}
	_, err1 := do("ignoring", "ignore sigterm").Result()
	_, err2 := do("grandparent", "setsid").Result()
	_, err3 := do("grandparent", "fork").Result()
	child, err4 := Victims.Lookup(tree, "nested/child")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	// The actor two levels below ignores SIGTERM as well, and has a grandchild.
	for _, what := range []string{"ignore sigterm", "setsid"} {
		if _, err := VictimDo.Call(ctx, child, what); err != nil {
			return err
		}
	}
	do("sleeping", "sleep")
	do("ignoring", "loop")
	do("looping", "loop")
	VictimDo.Go(ctx, child, "sleep")
	fmt.Println("ready", runtime.SystemOf(tree).ID())

	plain, err := Victims.Lookup(tree, "plain")
	talker, err2 := Victims.Lookup(tree, "grandparent")
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		what, arg, _ := strings.Cut(commands.Text(), " ")
		switch what {
		case "chat":
			VictimChat.Go(ctx, plain, chat{With: talker, Diary: arg})
			fmt.Println("they chat")
		case "escape":
			fmt.Println(VictimDo.Call(ctx, plain, "escape"))
		case "restart":
			_, err := VictimDo.Call(ctx, plain, "kill")
			n, err2 := VictimCount.Call(ctx, plain, 5)
			fmt.Println("restarted", actor.ReasonSignal == reasonOf(err), n, err2)
		}
	}
	return commands.Err()
}

func reasonOf(err error) actor.Reason {
	if x, ok := exitOf(err); ok {
		return x.Reason
	}
	return -1
}

// service is a root that runs.
type service struct {
	testing.TB
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	system string
}

func startRoot(t testing.TB, exe string) *service {
	t.Helper()
	s := &service{TB: t, cmd: roleCommand(exe, "root")}
	s.cmd.Stderr = os.Stderr
	in, err1 := s.cmd.StdinPipe()
	out, err2 := s.cmd.StdoutPipe()
	if err := errors.Join(err1, err2, s.cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.kill() })
	// A root that hangs is killed, and its reader sees the end.
	timer := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	t.Cleanup(func() { timer.Stop() })
	s.in, s.out = in, bufio.NewReader(out)
	line := s.line()
	if _, err := fmt.Sscanf(line, "ready %s", &s.system); err != nil {
		t.Fatalf("the root says %q", line)
	}
	return s
}

func (s *service) line() string {
	s.Helper()
	line, err := s.out.ReadString('\n')
	if err != nil {
		s.Fatalf("the root says %q, %v", line, err)
	}
	return strings.TrimSpace(line)
}

func (s *service) command(what, want string) {
	s.Helper()
	if _, err := fmt.Fprintln(s.in, what); err != nil {
		s.Fatal(err)
	}
	if got := s.line(); got != want {
		s.Errorf("%s: the root says %q, want %q", what, got, want)
	}
}

func (s *service) kill() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

// carriers returns the living processes that have entry in their environment.
func carriers(entry string) (pids []int) {
	dirs, _ := os.ReadDir("/proc")
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile("/proc/" + d.Name() + "/environ")
		if err == nil && bytes.Contains(append([]byte{0}, append(env, 0)...), []byte("\x00"+entry+"\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (s *service) members() []int  { return carriers("UNDERSTUDY_SYSTEM=" + s.system) }
func (s *service) sweepers() []int { return carriers("UNDERSTUDY_SWEEPER=" + s.system) }

// endsWithin demands that nothing of the system lives a while from now.
func (s *service) endsWithin(d time.Duration) {
	s.Helper()
	deadline := time.Now().Add(d)
	for {
		left := s.members()
		if len(left) == 0 {
			return
		}
		for _, pid := range left {
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				continue
			}
			p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			_, _ = unix.Poll(p, int(max(0, time.Until(deadline).Milliseconds())))
			_ = unix.Close(fd)
		}
		if time.Now().After(deadline) {
			for _, pid := range s.members() {
				line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				s.Errorf("%v after the root's end process %d lives: %s", d, pid, bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
			}
			return
		}
	}
}

// minMembers: seven children, one below one of them, three grandchildren.
const minMembers = 11

func TestRootKilled(t *testing.T) {
	for _, transport := range []string{"usual", "ring"} {
		t.Run(transport, func(t *testing.T) { rootKilled(t, transport) })
	}
}

func rootKilled(t *testing.T, transport string) {
	leaktest.Check(t)
	t.Setenv(envTransport, transport)
	s := startRoot(t, self)
	if got := s.members(); len(got) < minMembers {
		t.Fatalf("%d processes, want at least %d", len(got), minMembers)
	}
	s.kill()
	s.endsWithin(rootTimeout)
}

// Killed at any moment, also while it starts its children.
func TestRootKilledEarly(t *testing.T) {
	leaktest.Check(t)
	mark := "E2E_EARLY=" + t.Name()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, wanted := range []int{1, 4, 8} {
		cmd := roleCommand(self, "root")
		cmd.Env = append(cmd.Env, mark)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(patience)
		for len(carriers(mark)) <= wanted && time.Now().Before(deadline) {
			<-tick.C
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		deadline = time.Now().Add(rootTimeout)
		left := carriers(mark)
		for len(left) > 0 && time.Now().Before(deadline) {
			<-tick.C
			left = carriers(mark)
		}
		if len(left) > 0 {
			t.Errorf("killed when it had %d processes: %v live on", wanted, left)
		}
	}
}

// The orphan sweeper is replaced when somebody kills it, and the new one does its
// duty.
func TestSweeperKilled(t *testing.T) {
	leaktest.Check(t)
	s := startRoot(t, self)
	first := s.sweepers()
	if len(first) != 1 {
		t.Fatalf("sweepers: %v", first)
	}
	if err := unix.Kill(first[0], unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for second := s.sweepers(); len(second) != 1 || second[0] == first[0]; second = s.sweepers() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the sweeper was not replaced")
		}
	}
	s.command("restart", "restarted true 5 <nil>")
	s.kill()
	s.endsWithin(rootTimeout)
}

// The executable may be deleted, or another one put in its place, while the
// tree runs: what is started again is what was started.
func TestExecutableDeletedAndReplaced(t *testing.T) {
	leaktest.Check(t)
	image, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(t.TempDir(), "service")
	if err := os.WriteFile(exe, image, 0o700); err != nil {
		t.Fatal(err)
	}
	s := startRoot(t, exe)
	if err := os.Remove(exe); err != nil {
		t.Fatal(err)
	}
	s.command("restart", "restarted true 5 <nil>")
	if err := os.WriteFile(exe, []byte("#!/bin/sh\nexit 99\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.command("restart", "restarted true 5 <nil>")
	s.kill()
	s.endsWithin(rootTimeout)
}
