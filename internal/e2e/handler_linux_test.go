package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/supervisor"
)

// What a handler may do to its own process: its caller is told, at once and
// with the cause, and the next life serves.
func TestHandlers(t *testing.T) { overTransports(t, handlers) }

func handlers(t *testing.T, w *world) {
	for what, c := range map[string]struct {
		reason actor.Reason
		says   string
		given  runtime.Settings
		code   int
		signal syscall.Signal
		poke   syscall.Signal // sent from outside while the handler runs
		never  bool
	}{
		"panic":     {reason: actor.ReasonPanic, says: "handler panics", code: 2},
		"nil":       {reason: actor.ReasonPanic, says: "nil pointer", code: 2},
		"exit0":     {reason: actor.ReasonNormal},
		"exit3":     {reason: actor.ReasonExitCode, says: "last words", code: 3},
		"exit125":   {reason: actor.ReasonExitCode, code: 125, never: true},
		"segv":      {reason: actor.ReasonSignal, says: "SIGSEGV", signal: syscall.SIGSEGV},
		"kill":      {reason: actor.ReasonSignal, says: "killed", signal: syscall.SIGKILL},
		"close fds": {reason: actor.ReasonLost, signal: syscall.SIGKILL},
		"bomb":      {reason: actor.ReasonOutOfMemory, given: runtime.Settings{Process: actor.Process{Memory: 256 << 20}}},
		"stop":      {reason: actor.ReasonUnresponsive, given: runtime.Settings{Watchdog: 500 * time.Millisecond}, signal: syscall.SIGKILL},
		"sleep":     {reason: actor.ReasonSignal, poke: syscall.SIGKILL, signal: syscall.SIGKILL},
		"loop":      {reason: actor.ReasonSignal, poke: syscall.SIGSEGV, says: "SIGSEGV", signal: syscall.SIGSEGV},
	} {
		t.Run(what, func(t *testing.T) {
			w := w.in(t)
			path := "/" + strings.ReplaceAll(what, " ", "-")
			if c.poke != 0 {
				c.given.Mailbox.Messages = 1
			}
			i := w.launch(path, Victims.With(""), c.given)
			ref := w.victim(path)
			f := VictimDo.Go(w.ctx, ref, what)
			if c.poke != 0 {
				w.begun(ref)
				if err := unix.Kill(i.PID(), c.poke); err != nil {
					t.Fatal(err)
				}
			}
			_, err := f.Result()
			w.wait(i.Done(), "end of "+path)
			x := i.Exit()
			if x.Reason != c.reason || c.signal != x.Signal && what != "bomb" || c.code != 0 && c.code != x.Code || x.DoNotRestart != c.never {
				t.Errorf("exit: %v (%+v)", x, x)
			}
			e := exitError(t, err, path, c.reason)
			if e.Begun != actor.BegunYes || e.PID != i.PID() || !strings.Contains(err.Error(), c.says) {
				t.Errorf("call: %v", err)
			}
			i = w.launch(path, Victims.With(""))
			if got, err := VictimEcho.Call(w.ctx, ref, "and again"); err != nil || got != "and again" {
				t.Errorf("the next life: %q, %v", got, err)
			}
			w.stop(i)
		})
	}
}

// begun returns when the call sent before is in a handler's hands, who never
// returns: the mailbox has room for one message, so there is room again.
func (w *world) begun(ref actor.Ref[victim]) {
	w.Helper()
	if err := VictimCount.Cast(w.ctx, ref, 0); err != nil {
		w.Fatalf("waiting for the begin: %v", err)
	}
}

func TestStopThatHangs(t *testing.T) { overTransports(t, stopThatHangs) }

func stopThatHangs(t *testing.T, w *world) {
	i := w.launch("/stubborn", Victims.With("hang in stop"), runtime.Settings{Mailbox: actor.Mailbox{Messages: 1}})
	f := VictimDo.Go(w.ctx, w.victim("/stubborn"), "loop")
	w.begun(w.victim("/stubborn"))
	i.Stop(200 * time.Millisecond)
	w.wait(i.Done(), "the kill")
	if x := i.Exit(); x.Reason != actor.ReasonKilled || x.Signal != syscall.SIGKILL || runtime.ClassOf(x.Reason) != runtime.Shutdown {
		t.Errorf("exit: %v", x)
	}
	_, err := f.Result()
	if errors.Is(err, actor.ErrStopped) { // it was begun
		t.Errorf("call: %v", err)
	}
	exitError(t, err, "/stubborn", actor.ReasonKilled)
}

// A peer with one thread that works is not taken for dead: the watchdog watches who
// says that it answers meanwhile.
func TestWatchdogOfForeignPeers(t *testing.T) {
	for _, c := range []struct {
		caps   []string
		killed bool
	}{{[]string{"begin"}, false}, {[]string{"begin", "pings"}, true}, {nil, false}} {
		t.Run(fmt.Sprint(c.caps), func(t *testing.T) {
			w := newWorld(t)
			i := w.launch("/busy", Foreigns.With(foreignArgs{Role: "one thread", Args: c.caps}), runtime.Settings{Watchdog: 50 * time.Millisecond})
			ref, err := Foreigns.Lookup(w.sys, "/busy")
			if err != nil {
				t.Fatal(err)
			}
			got, err := ForeignDo.Call(w.ctx, ref, "work")
			if c.killed {
				exitError(t, err, "/busy", actor.ReasonUnresponsive)
			} else if err != nil || got != "done" {
				t.Errorf("%q, %v", got, err)
			}
			i.Stop(0)
			<-i.Done()
		})
	}
}

func init() {
	// one thread CAPABILITY... works for half a second when it is called, and reads
	// nothing meanwhile. Without a capability it speaks plain MessagePack-RPC.
	roles["one thread"] = func(caps []string) {
		r := newRaw(3)
		e, err := r.await("$/hello")
		if len(caps) == 0 {
			err = errors.Join(err, r.respond(e.ID, "unknown method", nil))
		} else {
			err = errors.Join(err, r.respond(e.ID, nil, helloMap(map[string]any{"caps": caps})))
			e, _ = r.await("$/start")
			err = errors.Join(err, r.respond(e.ID, nil, true))
		}
		if e, _ = r.await("do"); err == nil {
			if len(caps) > 0 {
				_ = r.notify("$/begin", codec.Params(1))
			}
			time.Sleep(500 * time.Millisecond) // its work
			_ = r.respond(e.ID, nil, "done")
		}
		_, _ = r.await("$/stop")
	}
}

// A grandchild in the actor's group ends with it; one in its own session ends
// with the system.
func TestGrandchildren(t *testing.T) {
	w := newWorld(t)
	i := w.launch("/parent", Victims.With("forks"))
	var pids []int
	for _, what := range []string{"fork", "setsid"} {
		got, err := VictimDo.Call(w.ctx, w.victim("/parent"), what)
		pid, _ := strconv.Atoi(got)
		if err != nil || pid == 0 {
			t.Fatal(got, err)
		}
		pids = append(pids, pid)
	}
	if err := unix.Kill(i.PID(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.wait(i.Done(), "end of the parent")
	goneSoon(t, pids[0])
	if err := unix.Kill(pids[1], 0); err != nil {
		t.Errorf("the grandchild in its own session ended before the system: %v", err)
	}
	// The end of the world, and leaktest behind it, see to the other.
}

// The parent-death signal comes with the end of the thread that made a child:
// it must not be that of a caller.
func TestSpawningThreadEnds(t *testing.T) {
	w := newWorld(t)
	tid := make(chan int, 1)
	var i *runtime.Instance
	go func() {
		goruntime.LockOSThread() // the thread ends with this goroutine
		i = w.begin("/orphan", Victims.With(""))
		<-i.Ready()
		tid <- unix.Gettid()
	}()
	thread := <-tid
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread)); err != nil || thread == os.Getpid() {
			break
		}
		select {
		case <-tick.C:
		case <-w.ctx.Done():
			t.Fatal("the thread lives on")
		}
	}
	for range 10 {
		if _, err := VictimEcho.Call(w.ctx, w.victim("/orphan"), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if x := w.stop(i); x.Reason != actor.ReasonShutdown {
		t.Error(x)
	}
}

// hog lowers the limit of descriptors and takes all but free of them.
func hog(t testing.TB, free int) (release func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 128, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	var held []int
	for {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		held = append(held, fd)
	}
	for ; free > 0 && len(held) > 0; free-- {
		_ = unix.Close(held[len(held)-1])
		held = held[:len(held)-1]
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			for _, fd := range held {
				_ = unix.Close(fd)
			}
			_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
		})
	}
}

// With every number of descriptors left a start either succeeds or fails for
// that reason, and when there are some again it succeeds.
func TestSpawnWithoutDescriptors(t *testing.T) {
	w := newWorld(t)
	started := 0
	for free := 0; started < 2; free++ {
		release := hog(t, free)
		i := w.begin("/poor", Victims.With(""))
		w.wait(i.Ready(), "outcome of the start")
		release()
		err := i.StartErr()
		switch {
		case err == nil:
			started++
			if got, err := VictimEcho.Call(w.ctx, w.victim("/poor"), "rich"); err != nil || got != "rich" {
				t.Errorf("with %d descriptors: %q, %v", free, got, err)
			}
			w.stop(i)
		case !errors.Is(err, syscall.EMFILE) && !errors.Is(err, actor.ErrLost):
			t.Errorf("with %d descriptors: %v", free, err)
		default:
			w.wait(i.Done(), "end of the failed start")
			names(t, err, "/poor")
			if x := i.Exit(); x.Reason != actor.ReasonStartFailed {
				t.Errorf("with %d descriptors: exit %v", free, x)
			}
		}
		if free > 40 {
			t.Fatal("no number of descriptors is enough")
		}
	}
}

// The same for a connection between two others, which the root introduces.
func TestConnectionWithoutDescriptors(t *testing.T) { overTransports(t, connectionWithoutDescriptors) }

func connectionWithoutDescriptors(t *testing.T, w *world) {
	a := w.launch("/a", Victims.With(""))
	const kept = 128 / 8 // for processes
	for free := kept; free < kept+4; free++ {
		path := fmt.Sprintf("/b%d", free)
		b := w.launch(path, Victims.With(""))
		release := hog(t, free)
		n, err := VictimAsk.Call(w.ctx, w.victim("/a"), w.victim(path))
		release()
		if free < kept+2 && (!errors.Is(err, syscall.EMFILE) || !strings.Contains(err.Error(), path)) || free >= kept+2 && (err != nil || n != 1) {
			t.Errorf("with %d descriptors: %d, %v", free, n, err)
		}
		if free < kept+2 {
			if n, err := VictimAsk.Call(w.ctx, w.victim("/a"), w.victim(path)); err != nil || n != 1 {
				t.Errorf("with descriptors again: %d, %v", n, err)
			}
		}
		w.stop(b)
	}
	w.stop(a)
}

// Descriptors that do not arrive harm the message they belong to, and no
// other: in an actor that is out of them, and here.
func TestDescriptorsLost(t *testing.T) { overTransports(t, descriptorsLost) }

func descriptorsLost(t *testing.T, w *world) {
	i := w.launch("/v", Victims.With(""), runtime.Settings{Process: actor.Process{Files: 64}})
	ref := w.victim("/v")
	send := func() (float64, error) {
		a, err := shm.New[float64](1000)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Release()
		for k := range a.Data() {
			a.Data()[k] = 2
		}
		return VictimSum.Call(w.ctx, ref, a)
	}
	if sum, err := send(); err != nil || sum != 2000 {
		t.Fatal(sum, err)
	}
	if _, err := VictimDo.Call(w.ctx, ref, "hog"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := send(); !errors.Is(err, actor.ErrLost) {
			t.Errorf("the actor is out of descriptors: %v", err)
		} else {
			names(t, err, "/v")
		}
	}
	if got, err := VictimEcho.Call(w.ctx, ref, "alive"); err != nil || got != "alive" {
		t.Error(got, err)
	}
	if _, err := VictimDo.Call(w.ctx, ref, "unhog"); err != nil {
		t.Fatal(err)
	}
	if sum, err := send(); err != nil || sum != 2000 {
		t.Errorf("with descriptors again: %v, %v", sum, err)
	}

	release := hog(t, 0)
	_, err := VictimMake.Call(w.ctx, ref, 10)
	release()
	if !errors.Is(err, actor.ErrLost) {
		t.Errorf("we are out of descriptors: %v", err)
	}
	a, err := VictimMake.Call(w.ctx, ref, 10)
	if err != nil || a.Len() != 10 || a.Data()[9] != 1 {
		t.Errorf("with descriptors again: %v", err)
	}
	a.Release()
	if x := w.stop(i); x.Reason != actor.ReasonShutdown {
		t.Error(x)
	}
}

// Under a supervisor the same actor comes back, and what was not begun when it
// died is done by its successor.
func TestSupervisedAfterFaults(t *testing.T) { overTransports(t, supervisedAfterFaults) }

func supervisedAfterFaults(t *testing.T, w *world) {
	tree, err := supervisor.Start(w.ctx, supervisor.Spec{
		Intensity: 100, Period: time.Minute,
		Children: []supervisor.Child{{Name: "v", Run: Victims.With("")}},
	}, supervisor.Options{Logger: w.sys.Logger()})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Stop(context.Background())
	ref, err := Victims.Lookup(tree, "v")
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"panic", "exit3", "kill", "segv", "exit0"} {
		f := VictimDo.Go(w.ctx, ref, what)
		g := VictimCount.Go(w.ctx, ref, 1)
		if _, err := f.Result(); err == nil {
			t.Errorf("%s: no error", what)
		} else {
			names(t, err, "/v")
		}
		if n, err := g.Result(); err != nil || n != 1 {
			t.Errorf("behind %s: %d, %v", what, n, err)
		}
	}
	_, err = VictimDo.Call(w.ctx, ref, "no such thing")
	var e *actor.RemoteError
	if !errors.As(err, &e) || errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
