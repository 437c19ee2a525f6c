package supervisor_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// Calls to the actors of a tree that gave up, and admin calls to the tree, say
// that it did, and how its child ended last: of a root, of a nested supervisor
// that is not restarted, of one in a process of its own, of a tree of an actor.
func TestCallersLearnOfGivingUp(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		mayNot := func(children ...supervisor.Child) supervisor.Spec {
			return supervisor.Spec{Intensity: supervisor.NoRestarts, Defaults: defaults, Children: children}
		}
		gaveUp := func(err error, child string) {
			t.Helper()
			var g *supervisor.GaveUpError
			if !errors.Is(err, actor.ErrNotRunning) || !errors.As(err, &g) || g.Child != child || g.Exit == nil || g.Exit.Reason != actor.ReasonPanic {
				t.Fatalf("%v", err)
			}
		}
		tree := start(t, ctx, mayNot(
			supervisor.Child{Name: "a", Run: players.With(0)},
			supervisor.Child{Name: "n", Run: mayNot(supervisor.Child{Name: "b", Run: players.With(0)}, supervisor.Child{Name: "c", Run: players.With(0)}), Restart: supervisor.Transient},
			supervisor.Child{Name: "p", Run: bands.With(band{InProcess: defaults.InProcess}), Restart: supervisor.Transient},
		))
		a, b, c, first := ref(t, tree, "a"), ref(t, tree, "n/b"), ref(t, tree, "n/c"), ref(t, tree, "p/first")
		n, err := tree.Supervisor("n")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = endBy.Call(ctx, c, "ouch")
		<-n.Done()
		_, err = add.Call(ctx, b, 1)
		gaveUp(err, "/n/c")
		_, err = add.Call(ctx, c, 1)
		gaveUp(err, "/n/c")
		gaveUp(n.StopChild(ctx, "b"), "/n/c")
		if err := tree.RestartChild(ctx, "n"); err != nil {
			t.Fatal(err)
		}
		must(t, 1)(add.Call(ctx, b, 1))
		if err := tree.StopChild(ctx, "n"); err != nil {
			t.Fatal(err)
		}
		if _, err = add.Call(ctx, b, 1); strings.Contains(err.Error(), "gave up") {
			t.Fatalf("stopped by hand: %v", err)
		}

		_, _ = endBy.Call(ctx, first, "ouch")
		if _, err = add.Call(ctx, first, 1); !errors.Is(err, actor.ErrNotRunning) || !strings.Contains(err.Error(), "gave up") || !strings.Contains(err.Error(), "/p/first") {
			t.Fatalf("%v", err)
		}

		_, _ = endBy.Call(ctx, a, "ouch")
		_, err = add.Call(ctx, a, 1)
		gaveUp(err, "/a")
		_, err = add.Call(ctx, first, 1)
		if !errors.Is(err, actor.ErrNotRunning) || !strings.Contains(err.Error(), "gave up") {
			t.Fatalf("%v", err)
		}
		<-tree.Done()
		_, err = add.Call(ctx, a, 1)
		gaveUp(err, "/a")
		gaveUp(tree.StopChild(ctx, "a"), "/a")
		gaveUp(tree.StartChild(ctx, supervisor.Child{Name: "x", Run: players.With(0)}), "/a")
	})
}
