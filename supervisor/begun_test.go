package supervisor_test

import (
	"context"
	"errors"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// A call that was begun gets the end of its actor, also when that is the end of
// the whole tree: it must not look like a call that may be made again.
func TestBegunCallsOfATreeThatEnds(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		run := func(name string, spec supervisor.Spec, path, how string, want actor.Reason) {
			t.Run(name, func(t *testing.T) {
				for range 10 {
					spec.Defaults = defaults
					tree := start(t, ctx, spec)
					_, err := endBy.Call(ctx, ref(t, tree, path), how)
					var x *actor.ExitError
					if !errors.As(err, &x) || x.Begun != actor.BegunYes || x.Reason != want || errors.Is(err, actor.ErrStopped) {
						t.Fatalf("%v", err)
					}
					<-tree.Done()
				}
			})
		}
		once := supervisor.Spec{Intensity: supervisor.NoRestarts, Children: []supervisor.Child{{Name: "a", Run: players.With(0)}}}
		run("gave up", once, "a", "ouch", actor.ReasonPanic)
		run("gave up in a nested one", supervisor.Spec{Intensity: supervisor.NoRestarts, Children: []supervisor.Child{{Name: "n", Run: once}}}, "n/a", "ouch", actor.ReasonPanic)
		run("gave up in a process of its own", supervisor.Spec{Intensity: supervisor.NoRestarts, Children: []supervisor.Child{
			{Name: "p", Run: bands.With(band{InProcess: defaults.InProcess})}}}, "p/first", "canceled", actor.ReasonError)
		run("shut down", supervisor.Spec{AutoShutdown: supervisor.AutoShutdownAny, Children: []supervisor.Child{
			{Name: "a", Run: players.With(0), Restart: supervisor.Temporary, Significant: true}}}, "a", "normal", actor.ReasonNormal)
	})
}
