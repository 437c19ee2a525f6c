package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// A crash restarts the actor from its arguments; references follow; the group
// comes along.
func TestRestartOfActors(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree := start(t, ctx, supervisor.Spec{
			Strategy: supervisor.RestForOne, Intensity: 10, Defaults: defaults,
			Children: []supervisor.Child{
				{Name: "a", Run: players.With(1)},
				{Name: "b", Run: players.With(10)},
				{Name: "m", Run: supervisor.Spec{Children: []supervisor.Child{{Name: "c", Run: players.With(100)}}}},
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
			if want := map[string]int{"a": 0, "b": 1, "m": 1}[info.Name]; info.Restarts != want {
				t.Errorf("%s: %d restarts, want %d", info.Name, info.Restarts, want)
			}
		}
		stop(t, ctx, tree)
		if _, err := add.Call(ctx, b, 1); !errors.Is(err, actor.ErrNotRunning) {
			t.Fatalf("call after the end: %v", err)
		}
	})
}

// What ends an actor decides, not the error value.
func TestEndsOfActors(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree := start(t, ctx, supervisor.Spec{Intensity: 10, Defaults: defaults, Children: []supervisor.Child{
			{Name: "a", Run: players.With(0), Restart: supervisor.Transient}}})
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
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree := start(t, ctx, supervisor.Spec{Intensity: supervisor.NoRestarts, Defaults: defaults, Children: []supervisor.Child{
			{Name: "a", Run: players.With(0)}, {Name: "b", Run: players.With(0)}}})
		other, err := pid.Call(ctx, ref(t, tree, "a"), actor.None{})
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
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		_, err := supervisor.Start(ctx, supervisor.Spec{Defaults: defaults, Children: []supervisor.Child{
			{Name: "a", Run: players.With(0)}, {Name: "b", Run: players.With(refuses)}}}, supervisor.Options{Logger: quiet})
		var failed *supervisor.StartError
		if !errors.As(err, &failed) || failed.Path != "/b" || !strings.Contains(err.Error(), "refused") {
			t.Fatalf("Start returned %v", err)
		}
	})
}

func TestIgnoredStart(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree := start(t, ctx, supervisor.Spec{Defaults: defaults, Children: []supervisor.Child{
			{Name: "a", Run: players.With(ignores)}, {Name: "b", Run: players.With(ignores), Restart: supervisor.Temporary}, {Name: "c", Run: players.With(0)}}})
		if n := tree.Count(); n.Specs != 2 || n.Active != 1 {
			t.Fatalf("%+v", n)
		}
		if _, err := add.Call(ctx, ref(t, tree, "a"), 1); !errors.Is(err, actor.ErrNotRunning) {
			t.Fatalf("call returned %v", err)
		}
		stop(t, ctx, tree)
	})
}

// A constructor that hangs does not hang the tree.
func TestStartTimeout(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		_, err := supervisor.Start(ctx, supervisor.Spec{Defaults: defaults, Children: []supervisor.Child{
			{Name: "a", Run: players.With(0)}, {Name: "b", Run: players.With(hangs), StartTimeout: 20 * time.Millisecond}}}, supervisor.Options{Logger: quiet})
		var failed *supervisor.StartError
		if !errors.As(err, &failed) || failed.Path != "/b" {
			t.Fatalf("Start returned %v", err)
		}
		tree := start(t, ctx, supervisor.Spec{Defaults: defaults})
		cut, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		if err := tree.StartChild(cut, supervisor.Child{Name: "c", Run: players.With(hangs)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("StartChild returned %v", err)
		}
		stop(t, ctx, tree)
	})
}

// "A kill after the timeout is reported as killed."
func TestStopTimeoutOfActors(t *testing.T) {
	ctx := bounded(t)
	tree := start(t, ctx, supervisor.Spec{Children: []supervisor.Child{
		{Name: "a", Run: stubborn.With(0), StopTimeout: 20 * time.Millisecond},
		{Name: "b", Run: stubborn.With(0), StopTimeout: supervisor.KillAtOnce},
		{Name: "c", Run: stubborn.With(0), StopTimeout: supervisor.Forever},
	}})
	within, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if err := tree.Stop(within); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Stop returned %v", err)
	}
	for c := range tree.Children() {
		if c.LastExit.Reason != actor.ReasonKilled {
			t.Errorf("%s reported as %v", c.Name, c.LastExit)
		}
	}
}

func TestAddedActors(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree := start(t, ctx, supervisor.Spec{Strategy: supervisor.Dynamic, Defaults: defaults})
		for i := range 3 {
			name := fmt.Sprint("w", i)
			if err := tree.StartChild(ctx, supervisor.Child{Name: name, Run: players.With(i), Restart: supervisor.Temporary}); err != nil {
				t.Fatal(err)
			}
			must(t, i+1)(add.Call(ctx, ref(t, tree, name), 1))
		}
		if err := tree.StartChild(ctx, supervisor.Child{Name: "w0", Run: players.With(0)}); !errors.Is(err, actor.ErrNameTaken) {
			t.Fatal(err)
		}
		if err := tree.StartChild(ctx, supervisor.Child{Name: "bad", Run: players.With(refuses)}); err == nil {
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
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree := start(t, ctx, supervisor.Spec{Intensity: 10, Defaults: defaults, Children: []supervisor.Child{
			{Name: "a", Run: players.With(0)}}})
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
		sub, err := pid.Call(ctx, ref(t, tree, "a/named/sub"), actor.None{})
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
	theTree = start(t, ctx, supervisor.Spec{Defaults: supervisor.Child{InProcess: true}, Children: []supervisor.Child{
		{Name: "a", Run: players.With(0)}, {Name: "b", Run: players.With(0)}}})
	if err := stopTree.Cast(ctx, ref(t, theTree, "b"), actor.None{}); err != nil {
		t.Fatal(err)
	}
	if err := theTree.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	for info := range theTree.Children() {
		if info.LastExit.Reason != actor.ReasonShutdown {
			t.Errorf("%s ended as %v", info.Name, info.LastExit)
		}
	}
}
