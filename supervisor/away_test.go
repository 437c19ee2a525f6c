package supervisor_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/supervisor"
)

var crews = supervisor.Define("crew", func(_ context.Context, start int) (supervisor.Spec, error) {
	return supervisor.Spec{Intensity: 10, Children: []supervisor.Child{
		{Name: "first", Run: players.With(start)},
		{Name: "group", Run: supervisor.Spec{Children: []supervisor.Child{{Name: "deep", Run: players.With(start)}}}},
	}}, nil
})

func names(tree *supervisor.Tree) (all []string) {
	for c := range tree.Children() {
		all = append(all, c.Name)
	}
	return all
}

// A supervisor in its own process is administered as one in ours.
func TestSupervisorOfAnotherProcess(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree := start(t, ctx, supervisor.Spec{Intensity: 10, Defaults: defaults, Children: []supervisor.Child{{Name: "own", Run: crews.With(1)}}})
		own, err := tree.Supervisor("own")
		if err != nil {
			t.Fatal(err)
		}
		if own.Path() != "/own" || own.Count() != (supervisor.Counts{Specs: 2, Active: 2, Supervisors: 1, Actors: 1}) || own.Err() != nil {
			t.Fatalf("%s: %+v, %v", own.Path(), own.Count(), own.Err())
		}
		for c := range own.Children() {
			if !c.Running || c.Path != "/own/"+c.Name || c.Name == "first" && (c.PID == 0 || c.Kind != "player") {
				t.Fatalf("%+v", c)
			}
		}
		add10 := supervisor.Child{Name: "x", Run: players.With(10), Restart: supervisor.Transient, InProcess: defaults.InProcess}
		if err := own.StartChild(ctx, add10); err != nil {
			t.Fatal(err)
		}
		must(t, 11)(add.Call(ctx, ref(t, own, "x"), 1))
		if c, err := own.Child("x"); err != nil || c.Restart != supervisor.Transient {
			t.Fatalf("%+v, %v", c, err)
		}
		for what, err := range map[error]error{
			supervisor.ErrAlreadyStarted: own.StartChild(ctx, add10),
			actor.ErrNameTaken:           own.StartChild(ctx, add10),
			supervisor.ErrRunning:        own.DeleteChild(ctx, "x"),
			actor.ErrNotFound:            own.StopChild(ctx, "nobody"),
			errRefused:                   own.StartChild(ctx, supervisor.Child{Name: "y", Run: players.With(refuses), InProcess: defaults.InProcess}),
			supervisor.ErrBadSpec:        own.StartChild(ctx, supervisor.Child{Name: "a/b", Run: players.With(1)}),
		} {
			if what == errRefused {
				if err == nil {
					t.Error("a child that refuses was started")
				}
			} else if !errors.Is(err, what) {
				t.Errorf("%v, want %v", err, what)
			}
		}
		if err := own.KillChild(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		must(t, 10)(add.Call(ctx, ref(t, own, "x"), 0)) // its replacement
		for _, step := range []func(context.Context, string) error{own.StopChild, own.RestartChild, own.StopChild, own.DeleteChild} {
			if err := step(ctx, "x"); err != nil {
				t.Fatal(err)
			}
		}

		// Nested supervisors, there and sent there.
		group, err := tree.Supervisor("own/group")
		if err != nil {
			t.Fatal(err)
		}
		if n := names(group); len(n) != 1 || n[0] != "deep" {
			t.Fatalf("%v", n)
		}
		err = own.StartChild(ctx, supervisor.Child{Name: "sent", Run: supervisor.Spec{Defaults: defaults, Children: []supervisor.Child{{Name: "one", Run: players.With(3)}}}})
		if err != nil {
			t.Fatal(err)
		}
		must(t, 4)(add.Call(ctx, ref(t, own, "sent/one"), 1))
		if _, err := tree.Supervisor("own/nothing"); !errors.Is(err, actor.ErrNotFound) {
			t.Fatal(err)
		}

		// A later incarnation is another tree.
		if err := tree.KillChild(ctx, "own"); err != nil {
			t.Fatal(err)
		}
		<-own.Done()
		must(t, 1)(add.Call(ctx, ref(t, tree, "own/first"), 0))
		if err := own.StopChild(ctx, "first"); !errors.Is(err, actor.ErrNotRunning) {
			t.Fatalf("a call to its predecessor: %v", err)
		}
		again, err := tree.Supervisor("own")
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		if err := again.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		stop(t, ctx, tree)
	})
}

// Arrays among a child's arguments do not travel to another supervisor.
func TestArraysDoNotTravelToASupervisor(t *testing.T) {
	ctx := bounded(t)
	tree := start(t, ctx, supervisor.Spec{Children: []supervisor.Child{{Name: "own", Run: crews.With(1)}}})
	own, err := tree.Supervisor("own")
	if err != nil {
		t.Fatal(err)
	}
	values, err := shm.New[float64](2)
	if err != nil {
		t.Fatal(err)
	}
	values.Freeze()
	defer values.Release()
	if err := own.StartChild(ctx, supervisor.Child{Name: "l", Run: libraries.With(shelves{Values: values})}); !errors.Is(err, supervisor.ErrBadSpec) {
		t.Fatal(err)
	}
	stop(t, ctx, tree)
}

// Boss has the actor administer its own supervisor.
func (p *player) Boss(ctx context.Context, name string) (string, error) {
	tree, err := supervisor.TreeOf(ctx)
	if err != nil {
		return "", err
	}
	if err := tree.StartChild(ctx, supervisor.Child{Name: name, Run: players.With(7), InProcess: true}); err != nil {
		return "", err
	}
	return tree.Path(), nil
}

var boss = actor.DefineMethod(players, "boss", (*player).Boss)

// A ctx leads to the tree, whichever process has it.
func TestTreeOf(t *testing.T) {
	if _, err := supervisor.TreeOf(t.Context()); !errors.Is(err, actor.ErrNotFound) {
		t.Fatal(err)
	}
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree := start(t, ctx, supervisor.Spec{Defaults: defaults, Children: []supervisor.Child{
			{Name: "a", Run: players.With(1)},
			{Name: "sub", Run: supervisor.Spec{Children: []supervisor.Child{{Name: "b", Run: players.With(1)}}}},
			{Name: "own", Run: crews.With(1)},
		}})
		for path, want := range map[string]string{"a": "/", "sub/b": "/sub", "own/first": "/own", "own/group/deep": "/own/group"} {
			at, err := boss.Call(ctx, ref(t, tree, path), "extra")
			if err != nil || at != want {
				t.Fatalf("%s: %q, %v", path, at, err)
			}
			must(t, 7)(add.Call(ctx, players.Ref(tree, want+"/extra"), 0))
		}
		stop(t, ctx, tree)
	})
}

// The exit event of a supervisor's process says what LastExit says.
func TestExitEventOfASupervisor(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree := start(t, ctx, supervisor.Spec{Defaults: defaults, Children: []supervisor.Child{
			{Name: "p", Run: bands.With(band{InProcess: defaults.InProcess}), Restart: supervisor.Temporary},
			{Name: "t", Run: bands.With(band{InProcess: defaults.InProcess}), Restart: supervisor.Transient}}})
		events, done := iter.Pull(tree.Events(ctx))
		defer done()
		_, _ = endBy.Call(ctx, ref(t, tree, "t/first"), "ouch") // it gives up
		e := next(t, events, actor.EventExited, "/t")
		settled(t, ctx, tree, "t")
		c, err := tree.Child("t")
		if err != nil || e.Exit.Reason != actor.ReasonShutdown || c.LastExit.Reason != e.Exit.Reason {
			t.Fatalf("the event says %v, LastExit %v (%v)", e.Exit, c.LastExit, err)
		}
		stop(t, ctx, tree)
	})
}
