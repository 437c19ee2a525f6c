package supervisor_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"syscall"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// KillChild ends an actor that hangs; what waited for it goes to its successor,
// what had begun fails.
func TestKillChildOfActors(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree := start(t, ctx, supervisor.Spec{Intensity: 10, Defaults: defaults, Children: []supervisor.Child{
			{Name: "a", Run: players.With(40), Restart: supervisor.Transient},
			{Name: "p", Run: bands.With(band{InProcess: defaults.InProcess}), Restart: supervisor.Transient}}})
		a := ref(t, tree, "a")
		must(t, 40)(add.Call(ctx, a, 0))
		begun := actor.NewInbox[int](tree, 1)
		defer begun.Close()
		hanging := hang.Go(ctx, a, begun.Ref())
		select {
		case <-begun.C():
		case <-ctx.Done():
			t.Fatal("never begun")
		}
		waiting := add.Go(ctx, a, 2)
		if err := tree.KillChild(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		var exit *actor.ExitError
		if _, err := hanging.Result(); !errors.As(err, &exit) || exit.Signal != syscall.SIGKILL || exit.Begun != actor.BegunYes {
			t.Fatalf("what had begun: %v", err)
		}
		must(t, 42)(waiting.Result())
		if c, err := tree.Child("a"); err != nil || c.Restarts != 1 || c.LastExit.Reason != actor.ReasonSignal {
			t.Fatalf("%+v, %v", c, err)
		}
		if err := tree.KillChild(ctx, "p"); err != nil {
			t.Fatal(err)
		}
		must(t, 2)(add.Call(ctx, ref(t, tree, "p/first"), 2))
		stop(t, ctx, tree)
	})
}

// Hang says that it has begun and waits for the end of the actor.
func (p *player) Hang(ctx context.Context, begun actor.InboxRef[int]) (int, error) {
	if err := begun.Send(ctx, 1); err != nil {
		return 0, err
	}
	<-ctx.Done()
	return 0, ctx.Err()
}

var hang = actor.DefineMethod(players, "hang", (*player).Hang)

// KillOther kills the actor that ref refers to.
func (p *player) KillOther(ctx context.Context, ref actor.Ref[player]) (int, error) {
	return 0, ref.Kill(ctx)
}

var killOther = actor.DefineMethod(players, "kill other", (*player).KillOther)

// Ref.Kill ends an incarnation wherever it is supervised: here, in another
// process, or above the actor that asks.
func TestRefKill(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree := start(t, ctx, supervisor.Spec{Intensity: 10, Defaults: defaults, Children: []supervisor.Child{
			{Name: "a", Run: players.With(40)}, {Name: "b", Run: players.With(10)},
			{Name: "p", Run: bands.With(band{InProcess: defaults.InProcess})}}})
		b, events := ref(t, tree, "b"), tree.Events(ctx)
		next2, done := iter.Pull(events)
		defer done()
		for path, kill := range map[string]func(actor.Ref[player]) error{
			"a":       func(r actor.Ref[player]) error { return r.Kill(ctx) },
			"p/first": func(r actor.Ref[player]) error { return r.Kill(ctx) },
			"b":       func(r actor.Ref[player]) error { return r.Kill(ctx) },
			"a by b":  func(r actor.Ref[player]) error { _, err := killOther.Call(ctx, b, r); return err },
			"p/first by b": func(r actor.Ref[player]) error {
				_, err := killOther.Call(ctx, b, r)
				return err
			},
		} {
			path, _, _ := strings.Cut(path, " ")
			r := ref(t, tree, path)
			pinned, err := r.Pin(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := kill(pinned); err != nil {
				t.Fatal(err)
			}
			if e := next(t, next2, actor.EventExited, "/"+path); e.Exit.Reason != actor.ReasonSignal || e.Exit.Signal != syscall.SIGKILL {
				t.Fatalf("%s ended with %v", path, e.Exit)
			}
			if _, err := add.Call(ctx, r, 1); err != nil { // its replacement
				t.Fatal(err)
			}
			if err := kill(pinned); !errors.Is(err, actor.ErrNotRunning) {
				t.Fatalf("killed twice: %v", err)
			}
			if path == "a" {
				if err := kill(r); err != nil { // whoever it is now
					t.Fatal(err)
				}
				next(t, next2, actor.EventExited, "/"+path)
				if _, err := add.Call(ctx, r, 1); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := players.Ref(tree, "nobody").Kill(ctx); !errors.Is(err, actor.ErrNotFound) {
			t.Fatal(err)
		}
		if err := (actor.Ref[player]{}).Kill(ctx); !errors.Is(err, actor.ErrUnbound) {
			t.Fatal(err)
		}
		stop(t, ctx, tree)
	})
}
