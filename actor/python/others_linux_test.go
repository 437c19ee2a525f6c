package python_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/actor/python"
	"github.com/understudy-go/understudy/supervisor"
)

// TestReferences: Python calls what came in a message, over a connection of its own.
func TestReferences(t *testing.T) {
	b := newBed(t, supervisor.Child{Name: "a", Run: Workers.With(workerArgs{})}, supervisor.Child{Name: "b", Run: Workers.With(workerArgs{})})
	a, other := b.ref("a"), b.ref("b")
	equal(t, "ask", 5)(Ask.Call(b.ctx, a, askArgs{Other: other, N: 5}))
	equal(t, "ask again", 10)(Ask.Call(b.ctx, a, askArgs{Other: other, N: 5}))
	equal(t, "the other", 10)(Count.Call(b.ctx, other, actor.None{}))
	equal(t, "an array to a sibling", 20.0)(AskSum.Call(b.ctx, a, askArgs{Other: other, N: 10}))
	must[actor.None](t)(Tell.Call(b.ctx, a, askArgs{Other: other, N: 3000}))
	equal(t, "casts, then a call", 3015)(Ask.Call(b.ctx, a, askArgs{Other: other, N: 5}))
	equal(t, "a declared exception", "OutOfPaint: OutOfPaint: the tin is empty")(AskFail.Call(b.ctx, a, askFailArgs{Other: other, What: "declared"}))
	equal(t, "an exception", "ValueError: ValueError: no such paint")(AskFail.Call(b.ctx, a, askFailArgs{Other: other, What: "value"}))
	equal(t, "a death", "died")(AskFail.Call(b.ctx, a, askFailArgs{Other: other, What: "exit"}))
	equal(t, "its replacement", 5)(Ask.Call(b.ctx, a, askArgs{Other: other, N: 5}))
	if _, err := AskMe.Call(b.ctx, a, a); !errors.Is(err, actor.ErrCallCycle) {
		t.Errorf("a call of oneself: %v", err)
	}
}

// TestCallerDies: the end of a caller cancels what it waited for, and nothing else.
func TestCallerDies(t *testing.T) {
	b := newBed(t, supervisor.Child{Name: "a", Run: Workers.With(workerArgs{})}, supervisor.Child{Name: "b", Run: Workers.With(workerArgs{})})
	a, other := b.ref("a"), b.ref("b")
	pid := must[int](t)(Pid.Call(b.ctx, other, actor.None{}))
	for i, m := range []struct{ method, printed string }{{"wait", "waiting"}, {"sleep", "sleeping"}} {
		f := must[*actor.Future[actor.None]](t)(AskWait.Go(b.ctx, a, askFailArgs{Other: other, What: m.method}), nil)
		b.record(m.printed)
		if err := b.tree.KillChild(b.ctx, "a"); err != nil {
			t.Fatal(err)
		}
		var x *actor.ExitError
		if _, err := f.Result(); !errors.As(err, &x) {
			t.Errorf("the caller's own call: %v", err)
		}
		equal(t, "cancelled", i+1)(Count.Call(b.ctx, other, actor.None{}))
	}
	equal(t, "the same process", pid)(Pid.Call(b.ctx, other, actor.None{}))
}

// TestBusy: while a method computes, pings are answered and further messages wait.
func TestBusy(t *testing.T) {
	b := newBed(t, supervisor.Child{Name: "w", Run: Workers.With(workerArgs{}), Watchdog: 200 * time.Millisecond})
	w := b.ref("w")
	f := must[*actor.Future[string]](t)(Spin.Go(b.ctx, w, 1.5), nil)
	g := must[*actor.Future[int]](t)(Add.Go(b.ctx, w, two{A: 2, B: 2}), nil)
	equal(t, "spin", "done")(f.Result())
	equal(t, "what waited", 4)(g.Result())
}

func TestLog(t *testing.T) {
	b := newBed(t)
	must[actor.None](t)(Say.Call(b.ctx, b.ref("w"), "blurred"))
	r := b.record("blurred")
	if r["level"] != slog.LevelWarn || r["path"] != "/w" || r["radius"] != int64(3) || r["took"] != 2*time.Second {
		t.Errorf("a record: %v", r)
	}
	if r = b.record("from logging"); r["level"] != slog.LevelError || r["logger"] != "lib" {
		t.Errorf("a record of package logging: %v", r)
	}
}

// TestFork: a process that a worker forked does not keep the wire open, and ends with it.
func TestFork(t *testing.T) {
	b := newBed(t)
	w := b.ref("w")
	pid := must[int](t)(Fork.Call(b.ctx, w, actor.None{}))
	if _, err := Fail.Call(b.ctx, w, "abort"); err == nil {
		t.Error("it survived")
	}
	equal(t, "its replacement", 1)(Add.Call(b.ctx, w, two{A: 1, B: 1}))
	if fd, err := unix.PidfdOpen(pid, 0); err == nil {
		defer unix.Close(fd)
		if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience/time.Millisecond)); n == 0 {
			t.Error("what it forked lives on")
		}
	}
}

func TestProcess(t *testing.T) {
	b := newBed(t, supervisor.Child{Name: "w", Run: Workers.With(workerArgs{}), Process: actor.Process{CPUs: 1, Env: []string{"PAINT=blue", "MKL_NUM_THREADS=7"}}})
	w := b.ref("w")
	equal(t, "threads", "1")(Env.Call(b.ctx, w, "OMP_NUM_THREADS"))
	equal(t, "threads, said", "7")(Env.Call(b.ctx, w, "MKL_NUM_THREADS"))
	equal(t, "environment", "blue")(Env.Call(b.ctx, w, "PAINT"))
	pid := must[int](t)(Pid.Call(b.ctx, w, actor.None{}))
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	equal(t, "after a kill", 1)(Add.Call(b.ctx, w, two{A: 1, B: 1}))
}

// nowhere are kinds that cannot start.
var (
	NoInterpreter = python.Declare[worker, actor.None]("python-no-interpreter", python.Program{Script: "testdata/worker.py", Interpreter: "no-such-python"})
	NoScript      = python.Declare[worker, actor.None]("python-no-script", python.Program{Script: "testdata/nothing.py", Interpreter: interpreter})
	NoModule      = python.Declare[worker, actor.None]("python-no-module", python.Program{Module: "no_such_module", Interpreter: interpreter})
	NoLibrary     = python.Declare[worker, actor.None]("python-no-library", python.Program{Script: "testdata/worker.py", Interpreter: interpreter})
)

func TestNoStart(t *testing.T) {
	needPython(t)
	for says, k := range map[string]*actor.Kind[worker, actor.None]{"no-such-python": NoInterpreter, "nothing.py": NoScript, "no_such_module": NoModule, "understudy_worker": NoLibrary} {
		tree, err := supervisor.Start(t.Context(), supervisor.Spec{Children: []supervisor.Child{{Name: "w", Run: k.With(actor.None{})}}},
			supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
		if err == nil {
			_ = tree.Stop(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}
