package process

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/sys"
)

func TestExitCode(t *testing.T) {
	leaktest.Check(t)
	s := serve(t, nil)
	s.tell("exit 7")
	st := ended(t, s.Process)
	if st.Code != 7 || st.Signal != 0 || st.Unknown || st.Killed || st.Crash != "" || st.OutOfMemory || st.Success() {
		t.Errorf("status %+v", st)
	}
	if st.MaxRSS == 0 {
		t.Error("no resource usage")
	}
	if s.Kill() != ErrDone || !errors.Is(s.Signal(unix.SIGTERM), os.ErrProcessDone) {
		t.Error("a signal to the dead was not refused")
	}
}

func TestSuccess(t *testing.T) {
	leaktest.Check(t)
	if st := ended(t, start(t, role("exit"))); !st.Success() || st.String() != "exit code 0" {
		t.Errorf("status %+v", st)
	}
}

func TestPanicLeavesCrashText(t *testing.T) {
	leaktest.Check(t)
	s := serve(t, nil)
	s.tell("panic the roof fell in")
	st := ended(t, s.Process)
	if st.Code != 2 {
		t.Errorf("status %v", st)
	}
	for _, want := range []string{"panic: the roof fell in", "goroutine ", "main_linux_test.go"} {
		if !strings.Contains(st.Crash, want) {
			t.Errorf("crash text lacks %q:\n%s", want, st.Crash)
		}
	}
	if !strings.Contains(strings.Join(st.Stderr, "\n"), "goroutine ") {
		t.Errorf("stderr tail: %q", st.Stderr)
	}
}

func init() {
	orders["deadly-lock"] = func(string) string { new(sync.Mutex).Unlock(); return "" }
}

// A fatal error cannot be recovered from, and its reason is printed before the runtime begins to copy.
func TestFatalErrorNamesItsReason(t *testing.T) {
	leaktest.Check(t)
	s := serve(t, nil)
	s.tell("deadly-lock")
	st := ended(t, s.Process)
	if st.Code != 2 || !strings.HasPrefix(st.Crash, "fatal error: sync: unlock of unlocked mutex\n") || !strings.Contains(st.Crash, "goroutine ") {
		t.Errorf("status %v, crash text:\n%s", st, st.Crash)
	}
}

func TestSegfault(t *testing.T) {
	leaktest.Check(t)
	s := serve(t, nil)
	s.ask("ping") // the runtime's handlers are in place
	if err := s.Signal(unix.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	st := ended(t, s.Process)
	if st.Code != 2 || !strings.Contains(st.Crash, "SIGSEGV") {
		t.Errorf("status %+v", st)
	}
}

func TestKilledByOthersAndByUs(t *testing.T) {
	leaktest.Check(t)
	other := serve(t, nil)
	other.ask("ping")
	watchPID(t, other.PID()).kill()
	if st := ended(t, other.Process); st.Signal != unix.SIGKILL || st.Code != -1 || st.Killed {
		t.Errorf("killed by somebody else: %+v", st)
	}
	ours := serve(t, nil)
	if err := ours.Kill(); err != nil {
		t.Fatal(err)
	}
	if st := ended(t, ours.Process); st.Signal != unix.SIGKILL || !st.Killed || st.String() != "signal: killed" {
		t.Errorf("killed by us: %+v", st)
	}
}

func init() {
	// A grandchild in the servant's process group; in a session of its own, deaf to SIGTERM, holding our stdout.
	orders["grandchild"] = func(string) string { return spawnHelper(exec.Command("sleep", "1000")) }
	orders["runaway"] = func(string) string {
		cmd := exec.Command("sh", "-c", `trap "" TERM; echo ready; exec sleep 1000`)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		return spawnHelper(cmd)
	}
}

func spawnHelper(cmd *exec.Cmd) string {
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	return strconv.Itoa(cmd.Process.Pid)
}

func TestGroupDiesWithItsLeader(t *testing.T) {
	leaktest.Check(t)
	s := serve(t, nil)
	grandchild := watchPID(t, s.askNumber("grandchild"))
	if pgid, _ := unix.Getpgid(grandchild.pid); pgid != s.PID() {
		t.Fatalf("grandchild's group is %d, not %d", pgid, s.PID())
	}
	s.tell("exit 0") // an orderly end: nobody kills the leader
	if st := ended(t, s.Process); !st.Success() {
		t.Errorf("status %v", st)
	}
	grandchild.dead()
}

func TestDescendantHoldingStdoutDoesNotDelayDone(t *testing.T) {
	leaktest.Check(t)
	var mu sync.Mutex
	var lines []string
	ready := make(chan struct{})
	s := serve(t, func(c *Command) {
		c.Output = func(_ Stream, line []byte, _ bool) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, string(line))
			if string(line) == "ready" {
				close(ready)
			}
		}
	})
	runaway := watchPID(t, s.askNumber("runaway"))
	<-ready
	s.ask("print last words")
	s.tell("exit 3")
	if st := ended(t, s.Process); st.Code != 3 {
		t.Errorf("status %v", st)
	}
	if !runaway.lives() {
		t.Error("the descendant is gone: the test shows nothing")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(lines) != 2 || lines[1] != "last words" {
		t.Errorf("output %q", lines)
	}
	runaway.kill()
	runaway.dead()
}

func TestStartErrors(t *testing.T) {
	leaktest.Check(t)
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("not a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("changed my mind")
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	closed, other, err := SocketPair()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = closed.Close(), other.Close()
	tests := []struct {
		name string
		ctx  context.Context
		cmd  Command
		want error
		op   string
	}{
		{"missing", t.Context(), Command{Title: "prog: /a #1", Path: filepath.Join(dir, "none")}, fs.ErrNotExist, "exec"},
		{"not executable", t.Context(), Command{Path: plain}, fs.ErrPermission, "exec"},
		{"no program", t.Context(), Command{Path: garbage}, unix.ENOEXEC, "exec"},
		{"no directory", t.Context(), Command{Path: "/bin/true", Dir: filepath.Join(dir, "none")}, fs.ErrNotExist, "chdir"},
		{"NUL in title", t.Context(), Command{Title: "a\x00b"}, unix.EINVAL, "exec"},
		{"cancelled", cancelled, Command{Path: "/bin/true"}, cause, "not begun"},
		{"closed file", t.Context(), Command{Path: "/bin/true", Files: []*os.File{closed}}, os.ErrClosed, "file socket to child"},
		{"negative limit", t.Context(), Command{Path: "/bin/true", Limits: Limits{Memory: -1}}, unix.EINVAL, "limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Start(tt.ctx, tt.cmd)
			var start *StartError
			if p != nil || !errors.Is(err, tt.want) || !errors.As(err, &start) {
				t.Fatalf("got %v, %v", p, err)
			}
			if start.Op != tt.op || start.Path == "" || !strings.Contains(err.Error(), start.Path) {
				t.Errorf("error %v, step %q", err, start.Op)
			}
		})
	}
}

func init() {
	// The program's file is replaced while it runs; it then starts itself.
	roles["reborn"] = func() int {
		path := os.Args[1]
		if err := os.Remove(path); err != nil {
			return 10
		}
		if len(os.Args) > 2 {
			if err := os.WriteFile(path, []byte("#!/bin/false\n"), 0o755); err != nil {
				return 11
			}
		}
		p, err := Start(context.Background(), Command{Env: append([]string{envRole + "=exit"}, os.Environ()...)})
		if err != nil {
			os.Stderr.WriteString(err.Error())
			return 12
		}
		if st := p.Status(); !st.Success() {
			os.Stderr.WriteString(st.String())
			return 13
		}
		return 0
	}
}

func TestDeletedAndReplacedExecutable(t *testing.T) {
	leaktest.Check(t)
	for _, extra := range [][]string{nil, {"replace"}} {
		path := filepath.Join(t.TempDir(), "program")
		in, err := os.Open(sys.SelfImage)
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(out, in)
		if err := errors.Join(err, in.Close(), out.Close()); err != nil {
			t.Fatal(err)
		}
		cmd := role("reborn")
		cmd.Path, cmd.Args = path, append([]string{path}, extra...)
		if st := ended(t, start(t, cmd)); !st.Success() {
			t.Errorf("%v: %v %q", extra, st, st.Stderr)
		}
	}
}

// Whoever waits for all children steals exit codes; that must not hang anything.
func TestReapedBySomebodyElse(t *testing.T) {
	leaktest.Check(t)
	s := serve(t, nil)
	stolen := make(chan bool)
	go func() {
		pid, err := syscall.Wait4(s.PID(), nil, 0, nil)
		stolen <- pid == s.PID() && err == nil
	}()
	s.tell("exit 5")
	st := ended(t, s.Process)
	if got := <-stolen; got != st.Unknown {
		t.Errorf("stolen %v, status %+v", got, st)
	}
	if st.Unknown == (st.Code == 5) || st.Success() {
		t.Errorf("status %+v", st)
	}
}

// The parent-death signal must follow the process: no thread's end may kill a child, neither that of the one that
// asked for it nor of any other that runs goroutines.
func TestChildOutlivesEveryOtherThread(t *testing.T) {
	leaktest.Check(t)
	var s *servant
	var wg sync.WaitGroup
	ending := make(chan int, 100)
	wg.Go(func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		ending <- unix.Gettid()
		s = serve(t, nil)
	})
	wg.Wait()
	all := make(chan struct{})
	for range cap(ending) - 1 { // as many as take every thread there is, if it can be had
		wg.Go(func() {
			runtime.LockOSThread()
			ending <- unix.Gettid()
			<-all
		})
	}
	for len(ending) < cap(ending) {
		runtime.Gosched()
	}
	close(all)
	wg.Wait()
	for range cap(ending) {
		thread := <-ending
		until(t, "the thread ends", func() bool {
			_, err := os.Stat("/proc/self/task/" + strconv.Itoa(thread))
			return err != nil || thread == os.Getpid() // the main thread is parked instead
		})
	}
	if s.ask("ping") != "pong" {
		t.Error("no answer")
	}
}

func TestNoThreadPerChild(t *testing.T) {
	leaktest.Check(t)
	const children = 50
	before := threads(t)
	var all []*servant
	for range children {
		all = append(all, serve(t, nil))
	}
	for _, s := range all {
		s.ask("ping")
	}
	if after := threads(t); after-before > 10 {
		t.Errorf("%d threads for %d children", after-before, children)
	}
	for _, s := range all {
		s.tell("exit 0")
	}
	for _, s := range all {
		ended(t, s.Process)
	}
}

func threads(t *testing.T) int {
	t.Helper()
	tasks, err := sys.NumericEntries("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

func TestStartsAndKillsAtTheSameTime(t *testing.T) {
	leaktest.Check(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 3 {
				p, err := Start(t.Context(), role("exit"))
				if err != nil {
					t.Error(err)
					return
				}
				wg.Go(func() { _ = p.Kill() })
				wg.Go(func() { _ = p.Signal(unix.SIGTERM) })
				wg.Go(func() { <-p.Done() })
			}
		})
	}
	wg.Wait()
}

// A killed parent gives no grace: its children go with it, by the kernel's word alone.
func TestChildDiesWithItsParent(t *testing.T) {
	leaktest.Check(t)
	parent := serve(t, nil)
	child := watchPID(t, parent.askNumber("child"))
	if !child.lives() {
		t.Fatal("no child")
	}
	if err := parent.Kill(); err != nil { // the child leads its own group, so this does not reach it
		t.Fatal(err)
	}
	child.dead()
}

func init() {
	// The answer is the child's pid.
	orders["child"] = func(string) string {
		p, err := Start(context.Background(), role("sleeper"))
		if err != nil {
			return err.Error()
		}
		return strconv.Itoa(p.PID())
	}
}
