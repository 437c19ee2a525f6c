package supervisor_test

import (
	"context"
	"errors"
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
