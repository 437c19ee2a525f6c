package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
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

// Arguments of players that do not start.
const (
	refuses = -1
	ignores = -2
	hangs   = -3
)

func newPlayer(ctx context.Context, start int) (*player, error) {
	switch start {
	case refuses:
		return nil, errRefused
	case ignores:
		return nil, fmt.Errorf("not today: %w", actor.ErrIgnore)
	case hangs:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &player{n: start}, nil
}

func (p *player) Add(_ context.Context, n int) (int, error) { p.n += n; return p.n, nil }

func (p *player) PID(context.Context, actor.None) (int, error) { return os.Getpid(), nil }

func (p *player) End(ctx context.Context, how string) (int, error) {
	switch how {
	case "normal":
		actor.Exit(ctx, nil)
	case "canceled":
		actor.Exit(ctx, fmt.Errorf("inner: %w", context.Canceled))
	case "do not restart":
		actor.Exit(ctx, fmt.Errorf("enough: %w", actor.ErrDoNotRestart))
	}
	panic(how)
}

// Spawn starts a tree below the actor and calls a child in it.
func (p *player) Spawn(ctx context.Context, name string) (int, error) {
	tree, err := supervisor.Start(ctx, supervisor.Spec{Name: name, Children: []supervisor.Child{{Name: "sub", Run: players.With(40)}}})
	if err != nil {
		return 0, err
	}
	sub, err := players.Lookup(tree, "sub")
	if err != nil {
		return 0, err
	}
	return add.Call(ctx, sub, 2)
}

// StopTree stops the tree that the actor is part of.
func (p *player) StopTree(ctx context.Context, _ actor.None) (int, error) {
	return 0, theTree.Stop(ctx)
}

var theTree *supervisor.Tree

var (
	players  = actor.Define("player", newPlayer)
	add      = actor.DefineMethod(players, "add", (*player).Add)
	pid      = actor.DefineMethod(players, "pid", (*player).PID)
	endBy    = actor.DefineMethod(players, "end", (*player).End)
	spawn    = actor.DefineMethod(players, "spawn", (*player).Spawn)
	stopTree = actor.DefineMethod(players, "stop tree", (*player).StopTree)
)

// quiet keeps what the actors of the tests say out of the tests' output.
var quiet = slog.New(slog.DiscardHandler)

// bounded returns a ctx for one test, at the end of which nothing may be left.
func bounded(t *testing.T) context.Context {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // the first to be registered is the last to run
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// inBothModes runs a test with processes and with goroutines.
func inBothModes(t *testing.T, test func(t *testing.T, ctx context.Context, defaults supervisor.Child)) {
	for name, defaults := range map[string]supervisor.Child{"process": {}, "in-process": {InProcess: true}} {
		t.Run(name, func(t *testing.T) {
			test(t, bounded(t), defaults)
		})
	}
}

func start(t *testing.T, ctx context.Context, spec supervisor.Spec) *supervisor.Tree {
	t.Helper()
	tree, err := supervisor.Start(ctx, spec, supervisor.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Stop(context.Background()) })
	return tree
}

func ref(t *testing.T, tree actor.Scope, path string) actor.Ref[player] {
	t.Helper()
	r, err := players.Lookup(tree, path)
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
			if c.Name == id && c.State == "stopped" {
				return
			}
		}
		runtime.Gosched()
	}
	t.Fatalf("%s was not left stopped", id)
}

// mule does not stop when asked.
type mule struct{}

func (mule) Stop(context.Context) error { select {} }

var stubborn = actor.Define("mule", func(context.Context, int) (*mule, error) { return &mule{}, nil })
