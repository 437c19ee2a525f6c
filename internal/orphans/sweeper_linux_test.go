package orphans

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/leaktest"
)

// ownSweeper is the servant's when it plays the root of a system.
var ownSweeper *Sweeper

func init() {
	orders["sweeper"] = func(system string) string {
		g, err := StartSweeper(system, nil)
		if err != nil {
			return err.Error()
		}
		ownSweeper = g
		return strconv.Itoa(g.PID())
	}
	orders["no-replacement"] = func(string) string { sweeperBackoffMin = time.Hour; return "ok" }
	orders["sweeper-pid"] = func(string) string { return strconv.Itoa(ownSweeper.PID()) }
	orders["close-sweeper"] = func(string) string { return fmt.Sprint(ownSweeper.Close()) }
	// As if the shell had opened them for the root.
	orders["inherit"] = func(string) string {
		_ = unix.Dup3(2, 600, 0)
		return fmt.Sprint(unix.Dup3(2, 20, 0), unix.Dup3(2, 27, 0))
	}
	// A process that left session and group, is deaf to SIGTERM, and whose parent is not us for long.
	orders["escapee"] = func(system string) string {
		cmd := exec.Command("sh", "-c", `setsid sh -c 'trap "" TERM HUP INT; echo $$; exec sleep 1000' 2>/dev/null & exit 0`)
		cmd.Env = append([]string{SystemTag(system)}, os.Environ()...)
		return firstLine(cmd)
	}
}

// firstLine returns what cmd says first; its end, and not that of its descendants, is awaited.
func firstLine(cmd *exec.Cmd) string {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err.Error()
	}
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	line, err := bufio.NewReader(out).ReadString('\n') // and not to its end: a descendant holds it
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(line)
}

func newSystem(t testing.TB) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

func TestSweeperSweepsAfterTheRoot(t *testing.T) {
	leaktest.Check(t)
	system, other := newSystem(t), newSystem(t)
	root := serve(t, nil)
	sweeper := watchPID(t, root.askNumber("sweeper "+system))
	ours := watchPID(t, root.askNumber("escapee "+system))
	theirs := watchPID(t, root.askNumber("escapee "+other))
	// What closes terminals and stops services does not stop a sweeper whose root lives.
	until(t, "the sweeper ignores signals", func() bool { return ignores(sweeper.pid, unix.SIGTERM) })
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGINT} {
		if err := unix.PidfdSendSignal(sweeper.fd, sig, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	if root.ask("ping"); !sweeper.lives() || !ours.lives() {
		t.Fatal("it died before its time")
	}
	if err := root.Kill(); err != nil {
		t.Fatal(err)
	}
	ours.dead()
	sweeper.dead()
	if !theirs.lives() {
		t.Error("a process of another system was killed")
	}
	theirs.kill()
	theirs.dead()
}

// ignores reads SigIgn of proc_pid_status(5).
func ignores(pid int, sig syscall.Signal) bool {
	_, rest, _ := strings.Cut(readProc(pid, "status"), "SigIgn:")
	line, _, _ := strings.Cut(rest, "\n")
	mask, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	return err == nil && mask&(1<<(sig-1)) != 0
}

func TestKilledSweeperIsReplaced(t *testing.T) {
	leaktest.Check(t)
	system := newSystem(t)
	root := serve(t, nil)
	first := watchPID(t, root.askNumber("sweeper "+system))
	ours := watchPID(t, root.askNumber("escapee "+system))
	first.kill()
	first.dead()
	var next int
	until(t, "a new sweeper", func() bool {
		next = root.askNumber("sweeper-pid")
		return next != 0 && next != first.pid
	})
	second := watchPID(t, next)
	if !ours.lives() {
		t.Error("the old sweeper's end was taken for the root's")
	}
	if err := root.Kill(); err != nil {
		t.Fatal(err)
	}
	ours.dead()
	second.dead()
}

func TestSweeperCloseSweepsAndReaps(t *testing.T) {
	leaktest.Check(t)
	system := newSystem(t)
	root := serve(t, nil)
	sweeper := watchPID(t, root.askNumber("sweeper "+system))
	ours := watchPID(t, root.askNumber("escapee "+system))
	for range 2 { // the second time is no different
		if answer := root.ask("close-sweeper"); answer != "<nil>" {
			t.Error(answer)
		}
		if sweeper.lives() || ours.lives() {
			t.Error("Close returned before its work was done")
		}
	}
	if _, err := os.Stat("/proc/" + strconv.Itoa(sweeper.pid)); err == nil {
		t.Error("the sweeper was not reaped")
	}
	if answer := root.ask("sweeper-pid"); answer != "0" {
		t.Errorf("pid after Close: %s", answer)
	}
	if root.ask("ping") != "pong" {
		t.Error("the root is gone")
	}
}

// A sweeper that dies just before Close, or in the middle of it, must not leave its work undone.
func TestCloseOfADeadSweeperSweeps(t *testing.T) {
	leaktest.Check(t)
	system := newSystem(t)
	root := serve(t, nil)
	sweeper := watchPID(t, root.askNumber("sweeper "+system))
	ours := watchPID(t, root.askNumber("escapee "+system))
	sweeper.kill()
	if answer := root.ask("close-sweeper"); answer != "<nil>" {
		t.Error(answer)
	}
	if ours.lives() {
		t.Error("nobody swept")
	}
	sweeper.dead()
}

func TestCloseBetweenSweepersSweeps(t *testing.T) {
	leaktest.Check(t)
	system := newSystem(t)
	root := serve(t, nil)
	root.ask("no-replacement")
	sweeper := watchPID(t, root.askNumber("sweeper "+system))
	ours := watchPID(t, root.askNumber("escapee "+system))
	sweeper.kill()
	until(t, "the sweeper is missed", func() bool { return root.askNumber("sweeper-pid") == 0 })
	if answer := root.ask("close-sweeper"); answer != "<nil>" {
		t.Error(answer)
	}
	if ours.lives() {
		t.Error("nobody swept")
	}
}

func TestSweeperIsIsolated(t *testing.T) {
	leaktest.Check(t)
	t.Setenv(EnvSystem, newSystem(t)) // of a system above
	g, err := StartSweeper(newSystem(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	pid := g.PID()
	watchPID(t, pid)
	if env := readProc(pid, "environ"); strings.Contains(env, EnvSystem+"=") || strings.Contains(env, "UNDERSTUDY_CRASH_FD") {
		t.Errorf("environment %q", env)
	}
	if sid, err := unix.Getsid(pid); err != nil || sid != pid {
		t.Errorf("session %d, %v", sid, err)
	}
	// The kernel lays out the arguments a moment after our part of the exec has ended.
	until(t, "the title", func() bool { return strings.Contains(readProc(pid, "cmdline"), ": orphan sweeper") })
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// What the root inherited is not the sweeper's: it would outlive the root in it.
func TestSweeperInheritsNothing(t *testing.T) {
	leaktest.Check(t)
	system := newSystem(t)
	root := serve(t, nil)
	if answer := root.ask("inherit"); answer != "<nil> <nil>" {
		t.Fatal(answer)
	}
	pid := root.askNumber("sweeper " + system)
	watchPID(t, pid)
	until(t, "it is the sweeper", func() bool { return ignores(pid, unix.SIGTERM) })
	for _, fd := range []int{20, 27, 600} {
		if target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd)); err == nil {
			t.Errorf("it has descriptor %d, %s", fd, target)
		}
	}
}

func TestSweeperRefusals(t *testing.T) {
	leaktest.Check(t)
	for _, system := range []string{"", "a\x00b"} {
		if g, err := StartSweeper(system, nil); err == nil {
			t.Errorf("%q: %v", system, g.Close())
		}
	}
	t.Setenv(envSweeper, "x")
	if g, err := StartSweeper(newSystem(t), nil); err == nil {
		t.Errorf("a sweeper that missed its call started another: %v", g.Close())
	} else if !strings.Contains(err.Error(), "actor.Main") {
		t.Errorf("error %v", err)
	}
}

func TestHasEntry(t *testing.T) {
	block := []byte("A=1\x00UNDERSTUDY_SYSTEM=abc\x00B=2\x00")
	for entry, want := range map[string]bool{
		"UNDERSTUDY_SYSTEM=abc": true, "UNDERSTUDY_SYSTEM=ab": false, "UNDERSTUDY_SYSTEM=abcd": false, "SYSTEM=abc": false,
		"B=2": true, "A=1": true,
	} {
		if hasEntry(block, []byte(entry)) != want {
			t.Errorf("%q", entry)
		}
	}
}
