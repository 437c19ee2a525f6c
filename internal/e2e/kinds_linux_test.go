package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/supervisor"
)

// victim does to itself whatever it is told.
type victim struct {
	n    int
	hold []*os.File
	mode string
}

var (
	Victims = actor.Define("victim", newVictim)

	VictimCount  = actor.DefineMethod(Victims, "count", func(v *victim, _ context.Context, n int) (int, error) { v.n += n; return v.n, nil })
	VictimEcho   = actor.DefineMethod(Victims, "echo", func(_ *victim, _ context.Context, s string) (string, error) { return s, nil })
	VictimDo     = actor.DefineMethod(Victims, "do", (*victim).Do)
	VictimSum    = actor.DefineMethod(Victims, "sum", (*victim).Sum)
	VictimMake   = actor.DefineMethod(Victims, "make", (*victim).Make)
	VictimAsk    = actor.DefineMethod(Victims, "ask", (*victim).Ask)
	VictimTrust  = actor.DefineMethod(Victims, "trust", (*victim).Trust)
	VictimStream = actor.DefineStream(Victims, "stream", (*victim).Stream)
)

// startChild is set by init: it names the kind that newVictim makes.
var startChild func(context.Context) error

func init() {
	startChild = func(ctx context.Context) error {
		_, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{{Name: "child", Run: Victims.With("busy")}}})
		return err
	}
}

var errStart = errors.New("the constructor's own words")

func newVictim(ctx context.Context, mode string) (*victim, error) {
	switch mode {
	case "hang":
		<-make(chan int)
	case "loop":
		spin()
	case "panic":
		panic("constructor panics")
	case "exit0":
		os.Exit(0)
	case "exit3":
		fmt.Fprintln(os.Stderr, "constructor prints")
		os.Exit(3)
	case "exit125":
		os.Exit(125)
	case "error":
		return nil, errStart
	case "prints":
		fmt.Println("I tried")
		return nil, errors.New("out of ideas")
	case "ignore":
		return nil, actor.ErrIgnore
	case "never":
		return nil, fmt.Errorf("out of business: %w", actor.ErrDoNotRestart)
	case "nil":
		return nil, nil
	case "goexit":
		actor.Exit(ctx, errStart)
	case "parent":
		return &victim{mode: mode}, startChild(ctx)
	case "busy":
		go spin()
	}
	return &victim{mode: mode}, nil
}

// spin keeps a processor busy for ever.
func spin() {
	for n := 0; ; n++ {
	}
}

// Stop hangs if the victim is of that kind.
func (v *victim) Stop(context.Context) error {
	if v.mode == "hang in stop" {
		<-make(chan int)
	}
	return nil
}

// Do is one misdeed. Those that do not end the process say how it went.
func (v *victim) Do(ctx context.Context, what string) (string, error) {
	switch what {
	case "panic":
		panic("handler panics")
	case "nil":
		var p *victim
		return p.mode, nil
	case "exit0":
		os.Exit(0)
	case "exit3":
		fmt.Fprintln(os.Stderr, "last words")
		os.Exit(3)
	case "exit125":
		os.Exit(125)
	case "segv":
		_ = unix.Kill(os.Getpid(), unix.SIGSEGV)
		<-make(chan int)
	case "kill":
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		<-ctx.Done()
	case "stop":
		_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
		<-make(chan int)
	case "wait":
		fmt.Println("waiting")
		<-ctx.Done()
		return "", context.Cause(ctx)
	case "sleep":
		<-make(chan int)
	case "loop":
		spin()
	case "bomb":
		var hold [][]byte
		for {
			b := make([]byte, 8<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			hold = append(hold, b)
			_ = hold
		}
	case "close fds":
		closeSockets()
		<-make(chan int)
	case "fork":
		return v.fork(false)
	case "setsid":
		return v.fork(true)
	case "escape":
		return escape()
	case "ignore sigterm":
		signal.Ignore(syscall.SIGTERM)
	case "hog":
		for {
			f, err := os.Open(os.DevNull)
			if err != nil {
				return err.Error(), nil
			}
			v.hold = append(v.hold, f)
		}
	case "unhog":
		for _, f := range v.hold {
			f.Close()
		}
		v.hold = nil
	case "pid":
		return fmt.Sprint(os.Getpid()), nil
	default:
		return "", fmt.Errorf("no misdeed %q", what)
	}
	return "", nil
}

// fork starts a grandchild that ignores SIGTERM and never ends by itself.
func (v *victim) fork(setsid bool) (string, error) {
	cmd := exec.Command("/bin/sh", "-c", "trap '' TERM HUP INT; echo ready; while :; do sleep 1000 & wait; done")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: setsid}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		return "", err
	}
	return fmt.Sprint(cmd.Process.Pid), nil
}

// escape starts a process that has neither its parent nor its session nor its
// environment, and never ends by itself. The answer is its pid.
func escape() (string, error) {
	cmd := exec.Command("env", "-i", "PATH="+os.Getenv("PATH"), "sh", "-c", "setsid sh -c 'echo $$; exec sleep 1000' & exit 0")
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	cmd.Stdout = w
	err = cmd.Run()
	w.Close()
	if err != nil {
		return "", err
	}
	var pid string
	_, err = fmt.Fscan(r, &pid)
	return pid, err
}

// closeSockets closes descriptor 3 and, wherever it is, the connection to the
// parent.
func closeSockets() {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		target, _ := os.Readlink("/proc/self/fd/" + e.Name())
		var fd int
		if _, err := fmt.Sscan(e.Name(), &fd); err == nil && (fd == 3 || strings.HasPrefix(target, "socket:")) {
			_ = unix.Close(fd)
		}
	}
}

// Sum adds an array up.
func (v *victim) Sum(_ context.Context, a shm.Array[float64]) (float64, error) {
	data, err := a.Slice()
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, x := range data {
		sum += x
	}
	return sum, nil
}

// Make returns an array of n ones.
func (v *victim) Make(_ context.Context, n int) (shm.Array[float64], error) {
	a, err := shm.New[float64](n)
	if err != nil {
		return a, err
	}
	for i := range a.Data() {
		a.Data()[i] = 1
	}
	return a, nil
}

// Ask counts on another victim, over a connection of its own.
func (v *victim) Ask(ctx context.Context, other actor.Ref[victim]) (int, error) {
	return VictimCount.Call(ctx, other, 1)
}

// Trust calls a program of another make, over a connection of its own.
func (v *victim) Trust(ctx context.Context, other actor.Ref[foreign]) (string, error) {
	return ForeignEcho.Call(ctx, other, "hello")
}

// Stream yields numbers until its reader leaves.
func (v *victim) Stream(_ context.Context, n int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
	}
}

// foreign is another executable: this one, in a role.
type foreign struct{ _ int }

type foreignArgs struct {
	Role string
	Args []string
	Path string   // an executable of its own
	Env  []string // in addition
}

var (
	Foreigns     = actor.Declare[foreign, foreignArgs]("foreign")
	ForeignEcho  = actor.DeclareMethod[string, string](Foreigns, "echo")
	ForeignSum   = actor.DeclareMethod[shm.Array[float64], float64](Foreigns, "sum")
	ForeignMake  = actor.DeclareMethod[int, shm.Array[float64]](Foreigns, "make")
	ForeignDo    = actor.DeclareMethod[string, string](Foreigns, "do")
	ForeignLeave = actor.DeclareMethod[actor.None, any](Foreigns, "leave")
	ForeignList  = actor.DeclareStream[int, int](Foreigns, "list")
)

func init() {
	actor.External(Foreigns, func(a foreignArgs) *exec.Cmd {
		if a.Path != "" {
			return exec.Command(a.Path, a.Args...)
		}
		cmd := roleCommand(self, a.Role, a.Args...)
		cmd.Env = append(cmd.Env, a.Env...)
		return cmd
	})
}

func (w *world) foreign(path string) actor.Ref[foreign] {
	w.Helper()
	r, err := Foreigns.Lookup(w.sys, path)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// names demands that an error names the actor: in its words, or, if the words
// are those of the actor itself, in its fields.
func names(t testing.TB, err error, path string) {
	t.Helper()
	var e *actor.RemoteError
	if errors.As(err, &e) && e.Path == path {
		return
	}
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %q does not name %s", err, path)
	}
}

// goneSoon waits for a process's end by handle.
func goneSoon(t testing.TB, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(p, int(patience/time.Millisecond))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n == 0 {
			t.Errorf("process %d lives on", pid)
		}
		return
	}
}
