package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// Calls to the actors of a supervisor that ends and is started again by its
// parent wait, whether it is nested, an actor of this process, or a process of
// its own, whether it gave up, shut down by itself, or is restarted with its
// group, and whether the caller is here or in an actor beside it. What had begun
// fails with an ExitError.
func TestCallsWaitForSupervisor(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		b := band{InProcess: defaults.InProcess}
		spec, err := bandSpec(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		for name, p := range map[string]supervisor.Child{"own": {Name: "p", Run: bands.With(b)}, "nested": {Name: "p", Run: spec}} {
			t.Run(name, func(t *testing.T) {
				tree := start(t, ctx, supervisor.Spec{Strategy: supervisor.RestForOne, Intensity: 1000, Defaults: defaults, Children: []supervisor.Child{
					{Name: "beside", Run: players.With(0)}, {Name: "leader", Run: players.With(0)}, p}})
				first, leader := ref(t, tree, "p/first"), ref(t, tree, "leader")
				for i := range 12 {
					switch i % 3 {
					case 0: // its supervisor gives up
						_, _ = endBy.Call(ctx, first, "ouch")
					case 1: // it shuts down by itself
						_ = endBy.Cast(ctx, ref(t, tree, "p/job"), "normal")
					case 2: // it is restarted with its group
						_, _ = endBy.Call(ctx, leader, "ouch")
					}
					for n := range 40 {
						_, err := add.Call(ctx, first, 1)
						if err == nil {
							_, err = viaBeside(ctx, ref(t, tree, "beside"), first)
						}
						var exit *actor.ExitError
						if err != nil && !(errors.As(err, &exit) && exit.Begun == actor.BegunYes) {
							t.Fatalf("round %d, call %d: %v", i, n, err)
						}
					}
				}
				stop(t, ctx, tree)
				if _, err := add.Call(ctx, first, 1); !errors.Is(err, actor.ErrNotRunning) {
					t.Fatalf("after the end: %v", err)
				}
			})
		}
	})
}

// ... and fail when it does not come back.
func TestCallsToEndedSupervisor(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		b := band{InProcess: defaults.InProcess}
		tree := start(t, ctx, supervisor.Spec{Defaults: defaults, Children: []supervisor.Child{
			{Name: "gave up", Run: bands.With(b), Restart: supervisor.Transient},
			{Name: "temporary", Run: bands.With(b), Restart: supervisor.Temporary},
			{Name: "stopped", Run: bands.With(b)},
		}})
		for _, id := range []string{"gave up", "temporary"} {
			first := ref(t, tree, id+"/first")
			_, _ = endBy.Call(ctx, first, "ouch")
			if _, err := add.Call(ctx, first, 1); !errors.Is(err, actor.ErrNotRunning) {
				t.Fatalf("%s: %v", id, err)
			}
		}
		first := ref(t, tree, "stopped/first")
		if err := tree.StopChild(ctx, "stopped"); err != nil {
			t.Fatal(err)
		}
		if _, err := add.Call(ctx, first, 1); !errors.Is(err, actor.ErrNotRunning) {
			t.Fatal(err)
		}
		if err := tree.RestartChild(ctx, "stopped"); err != nil {
			t.Fatal(err)
		}
		must(t, 1)(add.Call(ctx, first, 1))
	})
}

// viaBeside has another actor make the call.
func viaBeside(ctx context.Context, beside, to actor.Ref[player]) (int, error) {
	n, err := relay.Call(ctx, beside, to)
	if err != nil {
		err = fmt.Errorf("from beside: %w", err)
	}
	return n, err
}

// Relay calls another player.
func (p *player) Relay(ctx context.Context, to actor.Ref[player]) (int, error) {
	return add.Call(ctx, to, 1)
}

var relay = actor.DefineMethod(players, "relay", (*player).Relay)
