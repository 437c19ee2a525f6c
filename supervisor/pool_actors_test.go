package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// decoder is a worker that does as its input says.
type decoder struct{ id string }

// decoders' argument is how they start.
func newDecoder(ctx context.Context, how string) (*decoder, error) {
	s, _ := actor.ScopeOf(ctx)
	switch how {
	case "refuses":
		return nil, errRefused
	case "hangs":
		<-ctx.Done()
		return nil, ctx.Err()
	case "dies":
		panic("in the constructor")
	}
	if len(how) > 0 && how[0] == '/' { // a file that must not be there
		if _, err := os.Stat(how); err == nil {
			return nil, errRefused
		}
	}
	return &decoder{id: s.Path()}, nil
}

// Decode returns the worker's path.
func (d *decoder) Decode(ctx context.Context, input string) (string, error) {
	switch input {
	case "panic":
		panic(input)
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "segv":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		select {}
	case "exit":
		os.Exit(3)
	case "hang":
		select {}
	case "wait": // until its caller gives up
		<-ctx.Done()
		return "", context.Cause(ctx)
	case "error":
		return "", errRefused
	case "leak":
		leaked = append(leaked, make([]byte, 8<<20))
		for i := range leaked[len(leaked)-1] {
			leaked[len(leaked)-1][i] = 1
		}
	case "self": // calls its own pool
		s, _ := actor.ScopeOf(ctx)
		parent := s.Path()[:len("/decoders")]
		return callSelf(ctx, s, parent)
	}
	if fifo, ok := strings.CutPrefix(input, "hang "); ok { // says so first
		if f, err := os.OpenFile(fifo, os.O_WRONLY, 0); err == nil {
			f.Close()
		}
		select {}
	}
	if len(input) > 0 && input[0] == '/' { // waits until the file is there
		for {
			if _, err := os.Stat(input); err == nil {
				return d.id, nil
			}
			select {
			case <-ctx.Done():
				return "", context.Cause(ctx)
			case <-time.After(time.Millisecond):
			}
		}
	}
	return d.id, nil
}

var leaked [][]byte

var callSelf func(context.Context, actor.Scope, string) (string, error)

func init() {
	callSelf = func(ctx context.Context, s actor.Scope, path string) (string, error) {
		return decode.Call(ctx, decoders.Ref(s, path), "self")
	}
}

func (d *decoder) Count(_ context.Context, n int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
	}
}

var (
	decoders  = actor.Define("decoder", newDecoder)
	decode    = actor.DefineMethod(decoders, "decode", (*decoder).Decode)
	decodeAny = actor.DefineMethod(decoders, "decode again", (*decoder).Decode).Repeatable()
	counting  = actor.DefineStream(decoders, "count", (*decoder).Count)
)

// pooled starts a tree with a pool of decoders.
func pooled(t *testing.T, ctx context.Context, defaults supervisor.Child, p supervisor.Pool) (*supervisor.Tree, actor.Ref[decoder]) {
	t.Helper()
	if p.Run == nil {
		p.Run = decoders.With("")
	}
	tree := start(t, ctx, supervisor.Spec{Intensity: supervisor.NoRestarts, Defaults: defaults, Children: []supervisor.Child{{Name: "decoders", Run: p}}})
	return tree, decoders.Ref(tree, "decoders")
}

// gate is a file that handlers wait for.
func gate(t *testing.T) (path string, open func()) {
	path = t.TempDir() + "/gate"
	return path, func() {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Error(err)
		}
	}
}

func TestPoolServes(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree, ref := pooled(t, ctx, defaults, supervisor.Pool{Min: 2, Max: 2})
		path, open := gate(t)
		one, two := decode.Go(ctx, ref, path), decode.Go(ctx, ref, path)
		open()
		a, err := one.Result()
		b, err2 := two.Result()
		if err != nil || err2 != nil || a == b {
			t.Errorf("served by %s and %s, %v %v", a, b, err, err2)
		}
		if err := decode.Cast(ctx, ref, "x"); err != nil {
			t.Fatal(err)
		}
		n := 0
		for i, err := range counting.Open(ctx, ref, 300) {
			if err != nil || i != n {
				t.Fatalf("item %d: %d, %v", n, i, err)
			}
			n++
		}
		if n != 300 {
			t.Errorf("%d items", n)
		}
		for range counting.Open(ctx, ref, 300) {
			break
		}
		var futures []*actor.Future[string]
		for range 10 {
			futures = append(futures, decode.Go(ctx, ref, "x"))
		}
		for _, f := range futures {
			if _, err := f.Result(); err != nil {
				t.Error(err)
			}
		}
		if _, err := decode.Call(ctx, ref, "error"); !errors.Is(err, errRefused) && err == nil {
			t.Error(err)
		}
		info, err := tree.Child("decoders")
		if err != nil || info.Kind != "decoder" || len(info.Workers) != 2 || !info.Workers[0].Running {
			t.Errorf("%+v, %v", info, err)
		}
		if _, err := add.Call(ctx, players.Ref(tree, "decoders"), 1); !errors.Is(err, actor.ErrKindMismatch) {
			t.Errorf("another kind: %v", err)
		}
		stop(t, ctx, tree)
		if _, err := decode.Call(ctx, ref, "x"); !errors.Is(err, actor.ErrStopped) {
			t.Errorf("after the stop: %v", err)
		}
	})
}

// The first message finds out that the path is a pool, whatever it is.
func TestPoolIsFound(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		for _, first := range []func(actor.Ref[decoder]) error{
			func(ref actor.Ref[decoder]) error { return decode.TryCast(ref, "x") },
			func(ref actor.Ref[decoder]) error { return decode.Cast(ctx, ref, "x") },
			func(ref actor.Ref[decoder]) error { _, err := decode.Go(ctx, ref, "x").Result(); return err },
			func(ref actor.Ref[decoder]) error {
				for _, err := range counting.Open(ctx, ref, 100) {
					if err != nil {
						return err
					}
				}
				return nil
			},
		} {
			tree, ref := pooled(t, ctx, defaults, supervisor.Pool{Min: 1, Max: 1})
			if err := first(ref); err != nil {
				t.Error(err)
			}
			must(t, "/decoders/decoders-1")(decode.Call(ctx, ref, "x"))
			stop(t, ctx, tree)
		}
	})
}

// A death costs the message that the worker had begun, and no other.
func TestPoolWorkerDies(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		hows := []string{"panic"}
		if !defaults.InProcess {
			hows = []string{"panic", "kill", "segv", "exit"}
		}
		tree, ref := pooled(t, ctx, defaults, supervisor.Pool{Min: 2, Max: 2, Intensity: supervisor.NoRestarts})
		for _, how := range hows {
			var wait sync.WaitGroup
			for range 20 {
				wait.Go(func() {
					if _, err := decode.Call(ctx, ref, "x"); err != nil {
						t.Errorf("beside %s: %v", how, err)
					}
				})
			}
			for range 3 {
				wait.Go(func() {
					var exit *actor.ExitError
					if _, err := decode.Call(ctx, ref, how); !errors.As(err, &exit) || exit.Begun != actor.BegunYes {
						t.Errorf("%s: %v", how, err)
					}
				})
			}
			wait.Wait()
		}
		if !defaults.InProcess { // idle: that counts
			if _, err := decode.Call(ctx, ref, "x"); err != nil {
				t.Fatal(err)
			}
			info, _ := tree.Child("decoders")
			for _, w := range info.Workers {
				if w.Running && w.PID > 0 {
					_ = syscall.Kill(w.PID, syscall.SIGKILL)
				}
			}
			<-tree.Done()
			var g *supervisor.GaveUpError
			if err := tree.Err(); !errors.As(err, &g) || g.Child != "/decoders" || !errors.As(g.Exit.Err, &g) || g.Exit.Signal != syscall.SIGKILL {
				t.Errorf("%v", err)
			}
		}
	})
}

func TestPoolDeadline(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree, ref := pooled(t, ctx, defaults, supervisor.Pool{Min: 1, Max: 1, KillGrace: 20 * time.Millisecond})
		events, done := iter.Pull(tree.Events(ctx))
		defer done()
		if defaults.InProcess {
			t.Skip("a goroutine cannot be killed")
		}
		late, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		if _, err := decode.Call(late, ref, "hang"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		must(t, "/decoders/decoders-2")(decode.Call(ctx, ref, "x"))
		if e := next(t, events, actor.EventExited, "/decoders/decoders-1"); e.Exit.Reason != actor.ReasonDeadline || e.Exit.Err == nil {
			t.Errorf("%v", e.Exit)
		}
		// One that returns in its grace lives.
		late, cancel = context.WithTimeout(ctx, 5*time.Millisecond)
		defer cancel()
		_, _ = decode.Call(late, ref, "wait")
		must(t, "/decoders/decoders-2")(decode.Call(ctx, ref, "x"))
	})
}

func TestPoolMaxHandle(t *testing.T) {
	ctx := bounded(t)
	_, ref := pooled(t, ctx, supervisor.Child{}, supervisor.Pool{Min: 1, Max: 1, MaxHandle: 50 * time.Millisecond})
	var exit *actor.ExitError
	if _, err := decode.Call(ctx, ref, "hang"); !errors.As(err, &exit) || exit.Reason != actor.ReasonDeadline || exit.Begun != actor.BegunYes {
		t.Errorf("%v", err)
	}
	must(t, "/decoders/decoders-2")(decode.Call(ctx, ref, "x"))
	// A reader that takes its time costs no worker.
	n := 0
	for i, err := range counting.Open(ctx, ref, 200) {
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			<-time.After(100 * time.Millisecond) // longer than MaxHandle
		}
		n++
	}
	if n != 200 {
		t.Errorf("%d items", n)
	}
	must(t, "/decoders/decoders-2")(decode.Call(ctx, ref, "x"))
}

func TestPoolRetryAndQuarantine(t *testing.T) {
	ctx := bounded(t)
	_, ref := pooled(t, ctx, supervisor.Child{}, supervisor.Pool{Min: 2, Max: 2, Quarantine: supervisor.Quarantine{Deaths: 3}})
	bad := actor.WithKey(ctx, "bad input")
	var exit *actor.ExitError
	if _, err := decodeAny.Call(bad, ref, "kill"); !errors.As(err, &exit) || exit.Signal != syscall.SIGKILL {
		t.Errorf("%v", err)
	}
	// It was begun three times, and so has killed three workers.
	path, err := decode.Call(ctx, ref, "x")
	if err != nil || path == "/decoders/decoders-1" || path == "/decoders/decoders-2" {
		t.Errorf("%s, %v", path, err)
	}
	var pe *actor.PoolError
	if _, err := decode.Call(bad, ref, "x"); !errors.Is(err, actor.ErrQuarantined) || !errors.As(err, &pe) || pe.Exit == nil || pe.Exit.Signal != syscall.SIGKILL {
		t.Errorf("%v", err)
	}
	if err := decode.TryCast(ref, "x"); err != nil {
		t.Errorf("without a key: %v", err)
	}
}

func TestPoolStarts(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		for how, want := range map[string]error{"refuses": nil, "dies": nil, "hangs": nil} {
			d := defaults
			d.StartTimeout = 100 * time.Millisecond
			if how == "dies" {
				d.StartTimeout = 0
			}
			_, err := supervisor.Start(ctx, supervisor.Spec{Defaults: d, Children: []supervisor.Child{
				{Name: "decoders", Run: supervisor.Pool{Run: decoders.With(how), Min: 2, Max: 2}}}}, supervisor.Options{Logger: quiet})
			var se *supervisor.StartError
			if !errors.As(err, &se) || se.Path != "/decoders" {
				t.Errorf("%s: %v %v", how, err, want)
			}
		}
		// Without any worker the first message starts one; if that cannot be, it learns why.
		tree, ref := pooled(t, ctx, defaults, supervisor.Pool{Max: 2, Run: decoders.With("refuses"), Intensity: 2})
		var pe *actor.PoolError
		if _, err := decode.Call(ctx, ref, "x"); !errors.Is(err, actor.ErrNoWorker) || !errors.As(err, &pe) || pe.Exit == nil {
			t.Errorf("%v", err)
		}
		<-tree.Done()
		tree, ref = pooled(t, ctx, defaults, supervisor.Pool{Max: 2})
		info, _ := tree.Child("decoders")
		if len(info.Workers) != 0 {
			t.Errorf("%d workers", len(info.Workers))
		}
		must(t, "/decoders/decoders-1")(decode.Call(ctx, ref, "x"))
	})
}

func TestPoolQueue(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree, ref := pooled(t, ctx, defaults, supervisor.Pool{Min: 1, Max: 1, Queue: supervisor.Queue{Messages: 2}})
		events, done := iter.Pull(tree.Events(ctx))
		defer done()
		path, open := gate(t)
		first := decode.Go(ctx, ref, path)
		for range 2 {
			if err := decode.TryCast(ref, "x"); err != nil {
				t.Fatal(err)
			}
		}
		if err := decode.TryCast(ref, "x"); !errors.Is(err, actor.ErrMailboxFull) {
			t.Errorf("%v", err)
		}
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		if err := decode.Cast(short, ref, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if _, err := decode.Call(short, ref, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		waits := decode.Go(ctx, ref, "x")
		open()
		if _, err := first.Result(); err != nil {
			t.Error(err)
		}
		if _, err := waits.Result(); err != nil {
			t.Error(err)
		}
		// A cast that fails, and one that costs its worker, are reported.
		_ = decode.Cast(ctx, ref, "error")
		next(t, events, actor.EventCastFailed, "/decoders")
		_ = decode.Cast(ctx, ref, "panic")
		next(t, events, actor.EventDeadLetter, "/decoders")
	})
}

func TestPoolStopsWithWaiters(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		defaults.StopTimeout = 50 * time.Millisecond
		tree, ref := pooled(t, ctx, defaults, supervisor.Pool{Min: 1, Max: 1})
		path, open := gate(t)
		defer open()
		var futures []*actor.Future[string]
		for range 1000 {
			futures = append(futures, decode.Go(ctx, ref, path))
		}
		stop(t, ctx, tree)
		for i, f := range futures {
			if _, err := f.Result(); !errors.Is(err, actor.ErrStopped) && i > 0 || err == nil {
				t.Fatalf("%d: %v", i, err)
			}
		}
	})
}

func TestPoolRecyclesUnderLoad(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree, ref := pooled(t, ctx, defaults, supervisor.Pool{Min: 2, Max: 2, Intensity: supervisor.NoRestarts,
			Recycle: supervisor.Recycle{Uses: 20, Jitter: 0.5}})
		load(t, ctx, ref, 4, 50)
		if err := tree.Roll(ctx, "decoders"); err != nil {
			t.Error(err)
		}
		path, err := decode.Call(ctx, ref, "x")
		if err != nil || path == "/decoders/decoders-1" || path == "/decoders/decoders-2" {
			t.Errorf("%s, %v", path, err)
		}
	})
}

// load has so many callers make so many calls each, which all must be answered.
func load(t *testing.T, ctx context.Context, ref actor.Ref[decoder], callers, calls int) {
	t.Helper()
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			for range calls {
				if _, err := decode.Call(ctx, ref, "x"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
}

func TestPoolFreshProcessForEach(t *testing.T) {
	ctx := bounded(t)
	_, ref := pooled(t, ctx, supervisor.Child{}, supervisor.Pool{Min: 2, Max: 2, Recycle: supervisor.Recycle{Uses: 1}})
	seen := make(map[string]bool)
	for range 5 {
		path, err := decode.Call(ctx, ref, "x")
		if err != nil || seen[path] {
			t.Fatalf("%s %v", path, err)
		}
		seen[path] = true
	}
}

func TestPoolRecyclesMemory(t *testing.T) {
	ctx := bounded(t)
	tree, ref := pooled(t, ctx, supervisor.Child{}, supervisor.Pool{Min: 1, Max: 1, Recycle: supervisor.Recycle{Memory: 32 << 20}})
	events, done := iter.Pull(tree.Events(ctx))
	defer done()
	for range 8 {
		if _, err := decode.Call(ctx, ref, "leak"); err != nil {
			t.Fatal(err)
		}
	}
	if e := next(t, events, actor.EventExited, "/decoders/decoders-1"); e.Exit.Reason != actor.ReasonShutdown || e.Detail != "recycled" {
		t.Errorf("%v %q", e.Exit, e.Detail)
	}
	if path, err := decode.Call(ctx, ref, "x"); err != nil || path == "/decoders/decoders-1" {
		t.Errorf("%s, %v", path, err)
	}
}

func TestPoolGrowsAndShrinks(t *testing.T) {
	ctx := bounded(t)
	tree, ref := pooled(t, ctx, supervisor.Child{}, supervisor.Pool{Min: 1, Max: 3, IdleTimeout: 50 * time.Millisecond})
	events, done := iter.Pull(tree.Events(ctx))
	defer done()
	path, open := gate(t)
	var futures []*actor.Future[string]
	for range 3 {
		futures = append(futures, decode.Go(ctx, ref, path))
	}
	next(t, events, actor.EventReady, "/decoders/decoders-3")
	open()
	for _, f := range futures {
		if _, err := f.Result(); err != nil {
			t.Error(err)
		}
	}
	for e := range tree.Events(ctx) {
		if e.Type == actor.EventExited {
			if e.Detail != "superfluous" {
				t.Errorf("%v %q", e.Exit, e.Detail)
			}
			break
		}
	}
}

func TestPoolRollFails(t *testing.T) {
	ctx := bounded(t)
	path, open := gate(t) // while the file is there, no worker starts
	tree, ref := pooled(t, ctx, supervisor.Child{}, supervisor.Pool{Min: 2, Max: 2, Run: decoders.With(path), Intensity: supervisor.NoRestarts})
	open()
	if err := tree.Roll(ctx, "decoders"); !errors.Is(err, supervisor.ErrRollFailed) {
		t.Fatalf("%v", err)
	}
	load(t, ctx, ref, 2, 10)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := tree.Roll(ctx, "decoders"); err != nil {
		t.Fatal(err)
	}
	load(t, ctx, ref, 2, 10)
	if err := tree.Roll(ctx, "nothing"); !errors.Is(err, actor.ErrNotFound) {
		t.Error(err)
	}
}

func TestPoolOrder(t *testing.T) {
	ctx := bounded(t)
	_, ref := pooled(t, ctx, supervisor.Child{}, supervisor.Pool{Min: 3, Max: 3})
	ordered := actor.WithOrder(ctx, "k")
	path, open := gate(t)
	first := decode.Go(ordered, ref, path)
	second := decode.Go(ordered, ref, "x")
	must(t, "/decoders/decoders-2")(decode.Call(ctx, ref, "x"))
	select {
	case <-second.Done():
		t.Error("it overtook the first of its order")
	default:
	}
	open()
	if _, err := first.Result(); err != nil {
		t.Error(err)
	}
	if _, err := second.Result(); err != nil {
		t.Error(err)
	}
}

func TestPoolCallsItself(t *testing.T) {
	ctx := bounded(t)
	_, ref := pooled(t, ctx, supervisor.Child{InProcess: true}, supervisor.Pool{Min: 3, Max: 3})
	if _, err := decode.Call(ctx, ref, "self"); !errors.Is(err, actor.ErrCallCycle) {
		t.Errorf("%v", err)
	}
	load(t, ctx, ref, 2, 10)
}

// Crashes at random: each innocent call is answered right.
func TestPoolUnderCrashes(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		_, ref := pooled(t, ctx, defaults, supervisor.Pool{Min: 2, Max: 3, KillGrace: 10 * time.Millisecond, Recycle: supervisor.Recycle{Uses: 30},
			Intensity: supervisor.NoRestarts})
		bad := []string{"panic", "kill", "segv", "exit", "hang"}
		if defaults.InProcess {
			bad = bad[:1]
		}
		var wait sync.WaitGroup
		for i := range 8 {
			wait.Go(func() {
				for j := range 40 {
					if (i+j)%10 > 0 {
						if _, err := decode.Call(ctx, ref, "x"); err != nil {
							t.Errorf("innocent: %v", err)
						}
						continue
					}
					short, cancel := context.WithTimeout(ctx, 10*time.Second)
					how := bad[(i*40+j)/10%len(bad)]
					if how == "hang" {
						cancel()
						short, cancel = context.WithTimeout(ctx, 10*time.Millisecond)
					}
					_, err := decode.Call(short, ref, how)
					var exit *actor.ExitError
					if !errors.As(err, &exit) && !(how == "hang" && errors.Is(err, context.DeadlineExceeded)) {
						t.Errorf("%s: %v", how, fmt.Sprint(err))
					}
					cancel()
				}
			})
		}
		wait.Wait()
	})
}
