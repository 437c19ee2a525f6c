package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

func TestMain(m *testing.M) { actor.TestMain(m) }

// player is an actor that does as it is told.
type player struct{ n int }

var errRefused = errors.New("refused")

func newPlayer(_ context.Context, start int) (*player, error) {
	if start < 0 {
		return nil, errRefused
	}
	return &player{n: start}, nil
}

func (p *player) Add(_ context.Context, n int) (int, error) { p.n += n; return p.n, nil }

func (p *player) PID(context.Context, actor.NoArgs) (int, error) { return os.Getpid(), nil }

func (p *player) End(_ context.Context, how string) (int, error) {
	switch how {
	case "normal":
		actor.Exit(nil)
	case "canceled":
		actor.Exit(fmt.Errorf("inner: %w", context.Canceled))
	case "do not restart":
		actor.Exit(fmt.Errorf("enough: %w", actor.ErrDoNotRestart))
	}
	panic(how)
}

// Spawn starts a tree below the actor and calls a child in it.
func (p *player) Spawn(ctx context.Context, name string) (int, error) {
	tree, err := supervisor.Start(ctx, supervisor.Spec{Name: name, Children: []supervisor.Child{supervisor.Actor(players, "sub", 40)}})
	if err != nil {
		return 0, err
	}
	sub, err := players.Ref(tree, "sub")
	if err != nil {
		return 0, err
	}
	return add.Call(ctx, sub, 2)
}

// StopTree stops the tree that the actor is part of.
func (p *player) StopTree(ctx context.Context, _ actor.NoArgs) (int, error) {
	return 0, theTree.Stop(ctx)
}

var theTree *supervisor.Tree

var (
	players  = actor.Define("player", newPlayer)
	add      = actor.Handle(players, "add", (*player).Add)
	pid      = actor.Handle(players, "pid", (*player).PID)
	endBy    = actor.Handle(players, "end", (*player).End)
	spawn    = actor.Handle(players, "spawn", (*player).Spawn)
	stopTree = actor.Handle(players, "stop tree", (*player).StopTree)
)

// leaks: what a test may leave behind. The thread that spawns processes is one
// for the life of the program.
func leaks() []goleak.Option {
	return []goleak.Option{goleak.IgnoreCurrent(),
		goleak.IgnoreTopFunction("github.com/understudy-go/understudy/internal/process.(*spawner).run")}
}

// quiet keeps what the actors of the tests say out of the tests' output.
var quiet = slog.New(slog.DiscardHandler)

// bounded returns a ctx for one test, at the end of which nothing may be left.
func bounded(t *testing.T) context.Context {
	before := leaks()
	t.Cleanup(func() { goleak.VerifyNone(t, before...) }) // the first to be registered is the last to run
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// inBothModes runs a test with processes and with goroutines.
func inBothModes(t *testing.T, test func(t *testing.T, ctx context.Context, defaults []actor.Option)) {
	for name, defaults := range map[string][]actor.Option{"process": nil, "in-process": {actor.InProcess()}} {
		t.Run(name, func(t *testing.T) {
			test(t, bounded(t), defaults)
		})
	}
}

func start(t *testing.T, ctx context.Context, spec supervisor.Spec) *supervisor.Tree {
	t.Helper()
	spec.Logger = quiet
	tree, err := supervisor.Start(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Stop(context.Background()) })
	return tree
}

func ref(t *testing.T, tree *supervisor.Tree, path string) actor.Ref[player] {
	t.Helper()
	r, err := players.Ref(tree, path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func must[T any](t *testing.T, want T) func(got T, err error) {
	t.Helper()
	return func(got T, err error) {
		t.Helper()
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%v, %v; want %v", got, err, want)
		}
	}
}

func stop(t *testing.T, ctx context.Context, tree *supervisor.Tree) {
	t.Helper()
	if err := tree.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

// next returns the next event of that type.
func next(t *testing.T, events func() (actor.Event, bool), what actor.EventType, path string) actor.Event {
	t.Helper()
	for {
		e, ok := events()
		if !ok {
			t.Fatalf("no event %q of %s", what, path)
		}
		if e.Type == what && e.Path == path {
			return e
		}
	}
}

// settled waits until the supervisor has dealt with the end of a child, and
// fails if that does not leave it stopped.
func settled(t *testing.T, ctx context.Context, tree *supervisor.Tree, id string) {
	t.Helper()
	for ctx.Err() == nil {
		for c := range tree.Children() {
			if c.ID == id && c.State == supervisor.StateStopped {
				return
			}
		}
		runtime.Gosched()
	}
	t.Fatalf("%s was not left stopped", id)
}

// A crash restarts the actor from its arguments; references follow; the group
// comes along.
func TestRestartOfActors(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults []actor.Option) {
		tree := start(t, ctx, supervisor.Spec{
			Strategy: supervisor.RestForOne, Intensity: 10, Defaults: defaults,
			Children: []supervisor.Child{
				supervisor.Actor(players, "a", 1),
				supervisor.Actor(players, "b", 10),
				supervisor.Nested("m", supervisor.Spec{Children: []supervisor.Child{supervisor.Actor(players, "c", 100)}}),
			},
		})
		a, b, c := ref(t, tree, "a"), ref(t, tree, "b"), ref(t, tree, "m/c")
		for _, r := range []actor.Ref[player]{a, b, c} {
			if _, err := add.Call(ctx, r, 1); err != nil {
				t.Fatal(err)
			}
		}
		var exit *actor.ExitError
		if _, err := endBy.Call(ctx, b, "ouch"); !errors.As(err, &exit) || exit.Reason != actor.ReasonPanic {
			t.Fatalf("the call that crashed it returned %v", err)
		}
		must(t, 11)(add.Call(ctx, b, 1)) // waits for the replacement
		must(t, 101)(add.Call(ctx, c, 1))
		must(t, 3)(add.Call(ctx, a, 1)) // untouched
		for info := range tree.Children() {
			if want := map[string]int{"a": 0, "b": 1, "m": 1}[info.ID]; info.Restarts != want {
				t.Errorf("%s: %d restarts, want %d", info.ID, info.Restarts, want)
			}
		}
		stop(t, ctx, tree)
		if _, err := add.Call(ctx, b, 1); !errors.Is(err, actor.ErrStopped) && !errors.Is(err, actor.ErrNotRunning) {
			t.Fatalf("call after the end: %v", err)
		}
	})
}

// What ends an actor decides, not the error value.
func TestEndsOfActors(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults []actor.Option) {
		tree := start(t, ctx, supervisor.Spec{Intensity: 10, Defaults: defaults, Children: []supervisor.Child{
			supervisor.Actor(players, "a", 0, supervisor.Transient)}})
		events, done := iter.Pull(tree.Events(ctx))
		defer done()
		go func() { _ = endBy.Cast(ctx, ref(t, tree, "a"), "canceled") }()
		if e := next(t, events, actor.EventExited, "/a"); e.Exit.Reason != actor.ReasonError || !strings.Contains(e.Exit.Err.Error(), "inner") {
			t.Fatalf("reported as %v", e.Exit)
		}
		next(t, events, actor.EventReady, "/a")
		_ = endBy.Cast(ctx, ref(t, tree, "a"), "normal")
		if e := next(t, events, actor.EventExited, "/a"); e.Exit.Reason != actor.ReasonNormal {
			t.Fatalf("reported as %v", e.Exit)
		}
		settled(t, ctx, tree, "a") // not restarted
		if err := tree.RestartChild(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		if err := tree.DeleteChild(ctx, "a"); !errors.Is(err, supervisor.ErrRunning) {
			t.Fatal(err)
		}
		_ = endBy.Cast(ctx, ref(t, tree, "a"), "do not restart")
		if e := next(t, events, actor.EventExited, "/a"); !e.Exit.DoNotRestart {
			t.Fatalf("reported as %+v", e.Exit)
		}
		settled(t, ctx, tree, "a")
		if err := tree.StopChild(ctx, "a"); err != nil { // is nil all the same
			t.Fatal(err)
		}
		if err := tree.DeleteChild(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		stop(t, ctx, tree)
	})
}

// The give-up path: the tree ends by itself, everything is reaped, Err says why.
func TestGiveUpOfActors(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults []actor.Option) {
		tree := start(t, ctx, supervisor.Spec{Intensity: supervisor.NoRestarts, Defaults: defaults, Children: []supervisor.Child{
			supervisor.Actor(players, "a", 0), supervisor.Actor(players, "b", 0)}})
		other, err := pid.Call(ctx, ref(t, tree, "a"), actor.NoArgs{})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = endBy.Call(ctx, ref(t, tree, "b"), "ouch")
		var gaveUp *supervisor.GaveUpError
		if err := tree.Wait(ctx); !errors.As(err, &gaveUp) || gaveUp.Child != "/b" {
			t.Fatalf("ended with %v", err)
		}
		if other != os.Getpid() && syscall.Kill(other, 0) == nil {
			t.Fatalf("process %d lives", other)
		}
	})
}

func TestFailedStartOfActors(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults []actor.Option) {
		_, err := supervisor.Start(ctx, supervisor.Spec{Logger: quiet, Defaults: defaults, Children: []supervisor.Child{
			supervisor.Actor(players, "a", 0), supervisor.Actor(players, "b", -1)}})
		var failed *supervisor.StartError
		if !errors.As(err, &failed) || failed.Path != "/b" || !strings.Contains(err.Error(), "refused") {
			t.Fatalf("Start returned %v", err)
		}
	})
}

func TestSpawn(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults []actor.Option) {
		tree := start(t, ctx, supervisor.Spec{Strategy: supervisor.Dynamic, Defaults: defaults})
		for i := range 3 {
			r, err := supervisor.Spawn(ctx, tree, players, fmt.Sprint("w", i), i, supervisor.Temporary)
			if err != nil {
				t.Fatal(err)
			}
			must(t, i+1)(add.Call(ctx, r, 1))
		}
		if _, err := supervisor.Spawn(ctx, tree, players, "w0", 0); !errors.Is(err, actor.ErrNameTaken) {
			t.Fatal(err)
		}
		if _, err := supervisor.Spawn(ctx, tree, players, "bad", -1); err == nil {
			t.Fatal("no error")
		}
		if n := tree.Count(); n.Active != 3 || n.Specs != 3 {
			t.Fatalf("%+v", n)
		}
		stop(t, ctx, tree)
	})
}

// A tree that an actor starts hangs on the actor: below its path, and gone with
// it.
func TestTreeOfAnActor(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults []actor.Option) {
		tree := start(t, ctx, supervisor.Spec{Intensity: 10, Defaults: defaults, Children: []supervisor.Child{
			supervisor.Actor(players, "a", 0)}})
		a := ref(t, tree, "a")
		for _, name := range []string{"", "named"} {
			must(t, 42)(spawn.Call(ctx, a, name))
		}
		if _, err := spawn.Call(ctx, a, "named"); err == nil || !strings.Contains(err.Error(), "name taken") {
			t.Fatalf("a second tree with the same paths: %v", err)
		}
		for _, path := range []string{"a/sub", "a/named/sub"} {
			must(t, 43)(add.Call(ctx, ref(t, tree, path), 1)) // from the root, too
		}
		sub, err := pid.Call(ctx, ref(t, tree, "a/named/sub"), actor.NoArgs{})
		if err != nil {
			t.Fatal(err)
		}
		events, done := iter.Pull(tree.Events(ctx))
		defer done()
		if err := tree.StopChild(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		if e := next(t, events, actor.EventExited, "/a/named/sub"); e.Exit.Reason != actor.ReasonShutdown {
			t.Fatalf("reported as %v", e.Exit)
		}
		if sub != os.Getpid() && syscall.Kill(sub, 0) == nil {
			t.Fatalf("process %d lives", sub)
		}
		if err := tree.RestartChild(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		must(t, 42)(spawn.Call(ctx, a, "named"))
		stop(t, ctx, tree)
	})
}

// "Stop ... from inside a handler."
func TestStopFromInside(t *testing.T) {
	ctx := bounded(t)
	theTree = start(t, ctx, supervisor.Spec{Defaults: []actor.Option{actor.InProcess()}, Children: []supervisor.Child{
		supervisor.Actor(players, "a", 0), supervisor.Actor(players, "b", 0)}})
	if err := stopTree.Cast(ctx, ref(t, theTree, "b"), actor.NoArgs{}); err != nil {
		t.Fatal(err)
	}
	if err := theTree.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	for info := range theTree.Children() {
		if info.LastExit.Reason != actor.ReasonShutdown {
			t.Errorf("%s ended as %v", info.ID, info.LastExit)
		}
	}
}

func TestRun(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults []actor.Option) {
		spec := func(start int) supervisor.Spec {
			return supervisor.Spec{Logger: quiet, Intensity: supervisor.NoRestarts, Defaults: defaults, Children: []supervisor.Child{supervisor.Actor(players, "a", start)}}
		}
		// An ordered stop by ctx.
		running, cancel := context.WithCancel(ctx)
		ready := make(chan struct{})
		s := spec(0)
		s.Children = append(s.Children, supervisor.Actor(heralds, "herald", 0, actor.InProcess()))
		heralded = func() { close(ready) }
		result := make(chan error, 1)
		go func() { result <- supervisor.Run(running, s) }()
		<-ready
		cancel()
		if err := <-result; err != nil {
			t.Fatalf("Run returned %v", err)
		}
		// A ctx that has ended already.
		if err := supervisor.Run(running, spec(0)); err != nil {
			t.Fatalf("Run returned %v", err)
		}
		// A failing start.
		if err := supervisor.Run(ctx, spec(-1)); err == nil {
			t.Fatal("Run returned nil")
		}
		// Giving up.
		s = spec(0)
		s.Children = append(s.Children, supervisor.Actor(doomed, "doomed", 0))
		var gaveUp *supervisor.GaveUpError
		if err := supervisor.Run(ctx, s); !errors.As(err, &gaveUp) {
			t.Fatalf("Run returned %v", err)
		}
		// A faulty spec.
		s.Period = -1
		if err := supervisor.Run(ctx, s); !errors.Is(err, supervisor.ErrBadSpec) {
			t.Fatalf("Run returned %v", err)
		}
	})
}

// herald calls heralded when it is up.
type herald struct{}

var heralded func()

func (herald) Run(ctx context.Context) error { heralded(); <-ctx.Done(); return nil }

var heralds = actor.Define("herald", func(context.Context, int) (*herald, error) { return &herald{}, nil })

// doom ends with an error as soon as it is up.
type doom struct{}

func (doom) Run(context.Context) error { return errRefused }

var doomed = actor.Define("doom", func(context.Context, int) (*doom, error) { return &doom{}, nil })
