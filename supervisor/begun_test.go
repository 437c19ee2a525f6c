package supervisor_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// So does one that a stop cuts off, whether the actor is on its own or a worker.
func TestBegunCallsThatAStopCutsOff(t *testing.T) {
	ctx := bounded(t)
	for name, run := range map[string]supervisor.Runnable{
		"actor": decoders.With(""),
		"pool":  supervisor.Pool{Run: decoders.With(""), Min: 1, Max: 1},
	} {
		t.Run(name, func(t *testing.T) {
			tree := start(t, ctx, supervisor.Spec{Children: []supervisor.Child{{Name: "decoders", Run: run, StopTimeout: 50 * time.Millisecond}}})
			ref, err := decoders.Lookup(tree, "decoders")
			if err != nil {
				t.Fatal(err)
			}
			fifo := t.TempDir() + "/begun"
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			call := decode.Go(ctx, ref, "hang "+fifo)
			if f, err := os.Open(fifo); err != nil { // returns when the handler opens it
				t.Fatal(err)
			} else {
				f.Close()
			}
			stop(t, ctx, tree)
			_, err = call.Result()
			var x *actor.ExitError
			if !errors.As(err, &x) || x.Begun != actor.BegunYes || x.Reason != actor.ReasonKilled || errors.Is(err, actor.ErrStopped) {
				t.Errorf("%v", err)
			}
		})
	}
}

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
