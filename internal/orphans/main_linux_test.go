package orphans

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/process"
)

// envRole makes the re-exec'ed test binary play a child's part instead of running tests.
const envRole = "ORPHANS_TEST_ROLE"

// roles are the parts; what a role returns is its exit code.
var roles = map[string]func() int{}

func TestMain(m *testing.M) {
	RunSweeperIfAsked()
	if name := os.Getenv(envRole); name != "" {
		role, ok := roles[name]
		if !ok {
			fmt.Fprintf(os.Stderr, "no role %q\n", name)
			os.Exit(97)
		}
		process.ChildSetup()
		os.Exit(role())
	}
	os.Exit(m.Run())
}

// bounded ends a test that waits for something that does not come.
func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// role returns the command that has this test binary play a part. The race detector would sleep for a second at
// each exit.
func role(name string, env ...string) process.Command {
	env = append(env, envRole+"="+name, "GORACE=atexit_sleep_ms=0")
	return process.Command{Title: "test: /" + name + " #1", Env: append(env, os.Environ()...)}
}

// start starts a child that does not outlive the test.
func start(t testing.TB, cmd process.Command) *process.Process {
	t.Helper()
	p, err := process.Start(bounded(t), cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill(); <-p.Done() })
	return p
}

// ended waits for the end.
func ended(t testing.TB, p *process.Process) process.Status {
	t.Helper()
	select {
	case <-p.Done():
		return p.Status()
	case <-bounded(t).Done():
		t.Fatalf("child %d has not ended", p.PID())
		return process.Status{}
	}
}

// servant is a child that does what it is told over descriptor 3, one line at a time.
type servant struct {
	*process.Process
	t      testing.TB
	socket *os.File
	lines  *bufio.Reader
}

// serve starts a servant; edit may change the command first.
func serve(t testing.TB, edit func(*process.Command)) *servant {
	t.Helper()
	parent, child, err := process.SocketPair()
	if err != nil {
		t.Fatal(err)
	}
	cmd := role("servant")
	cmd.Files = []*os.File{child}
	if edit != nil {
		edit(&cmd)
	}
	t.Cleanup(func() { _ = parent.Close() })
	p := start(t, cmd)
	_ = child.Close()
	return &servant{Process: p, t: t, socket: parent, lines: bufio.NewReader(parent)}
}

// tell sends an order and does not wait.
func (s *servant) tell(order string) {
	s.t.Helper()
	if _, err := io.WriteString(s.socket, order+"\n"); err != nil {
		s.t.Fatalf("tell %q: %v", order, err)
	}
}

// ask sends an order and returns the answer.
func (s *servant) ask(order string) string {
	s.t.Helper()
	s.tell(order)
	_ = s.socket.SetReadDeadline(time.Now().Add(30 * time.Second))
	answer, err := s.lines.ReadString('\n')
	if err != nil {
		s.t.Fatalf("ask %q: %v (stderr: %q)", order, err, s.Tail(process.Stderr))
	}
	return strings.TrimSuffix(answer, "\n")
}

// askNumber is ask for an answer that is a number.
func (s *servant) askNumber(order string) int {
	s.t.Helper()
	n, err := strconv.Atoi(s.ask(order))
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// orders are what a servant can do. A new one is a file's init away.
var orders = map[string]func(arg string) string{
	"ping": func(string) string { return "pong" },
	"exit": func(arg string) string { code, _ := strconv.Atoi(arg); os.Exit(code); return "" },
	"getenv": func(arg string) string {
		value, ok := os.LookupEnv(arg)
		return fmt.Sprintf("%v %s", ok, value)
	},
}

func init() {
	roles["exit"] = func() int { return 0 }
	roles["sleeper"] = func() int { select {} }
	roles["servant"] = func() int {
		socket := os.NewFile(3, "orders")
		lines := bufio.NewScanner(socket)
		for lines.Scan() {
			name, arg, _ := strings.Cut(lines.Text(), " ")
			order, ok := orders[name]
			if !ok {
				return 98
			}
			if _, err := fmt.Fprintln(socket, order(arg)); err != nil {
				return 99
			}
		}
		return 0
	}
}

// handle is a process that is not our child.
type handle struct {
	t   testing.TB
	pid int
	fd  int
}

// watchPID gets hold of a process that is known to live.
func watchPID(t testing.TB, pid int) handle {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("pidfd_open %d: %v", pid, err)
	}
	t.Cleanup(func() { _ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); _ = unix.Close(fd) })
	return handle{t, pid, fd}
}

// dead waits for the death.
func (h handle) dead() {
	h.t.Helper()
	if awaitDeaths([]int{h.fd}, 30*time.Second) != 0 {
		h.t.Fatalf("process %d lives: %s", h.pid, readProc(h.pid, "cmdline"))
	}
}

func (h handle) lives() bool { return awaitDeaths([]int{h.fd}, 0) == 1 }

func (h handle) kill() {
	h.t.Helper()
	if err := unix.PidfdSendSignal(h.fd, unix.SIGKILL, nil, 0); err != nil {
		h.t.Fatal(err)
	}
}

func readProc(pid int, name string) string {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), name))
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// until polls for what has no event to wait for.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ctx := bounded(t)
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
