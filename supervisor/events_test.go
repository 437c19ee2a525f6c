package supervisor_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// The events of the start itself can be watched, also of one that fails, and none
// comes after the end. Started gets the tree that Run runs.
func TestEventsOfTheStart(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		var seen []string
		options := supervisor.Options{Logger: quiet, Events: func(e actor.Event) { seen = append(seen, string(e.Type)+" "+e.Path) }}
		options.Started = func(tree *supervisor.Tree) {
			must(t, 41)(add.Call(ctx, ref(t, tree, "a"), 1))
			go tree.Stop(context.WithoutCancel(ctx))
		}
		spec := supervisor.Spec{Defaults: defaults, Children: []supervisor.Child{{Name: "a", Run: players.With(40)}}}
		if err := supervisor.Run(ctx, spec, options); err != nil {
			t.Fatal(err)
		}
		if s := strings.Join(seen, ", "); !strings.HasPrefix(s, "starting /a, ready /a") || !strings.Contains(s, "exited /a") {
			t.Fatal(s)
		}
		seen = nil
		spec.Children = append(spec.Children, supervisor.Child{Name: "b", Run: players.With(refuses)})
		if _, err := supervisor.Start(ctx, spec, options); err == nil {
			t.Fatal("started")
		}
		if s := strings.Join(seen, ", "); !strings.Contains(s, "start failed /b") || !strings.Contains(s, "exited /a") {
			t.Fatal(s)
		}
	})
}

// Of a template, a dynamic child takes its arguments only, wherever the supervisor
// runs.
func TestSpawn(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		template := defaults
		template.Restart = supervisor.Temporary
		tree := start(t, ctx, supervisor.Spec{Defaults: defaults, Children: []supervisor.Child{
			{Name: "pool", Run: supervisor.Spec{Strategy: supervisor.Dynamic, Defaults: template}},
			{Name: "own", Run: crews.With(1)},
		}})
		for _, name := range []string{"pool", "own"} {
			pool, err := tree.Supervisor(name)
			if err != nil {
				t.Fatal(err)
			}
			before := pool.Count().Specs
			a, err := supervisor.Spawn(ctx, pool, players, 1)
			if err != nil {
				t.Fatal(err)
			}
			b, err := supervisor.Spawn(ctx, pool, players, 2)
			if err != nil {
				t.Fatal(err)
			}
			must(t, 1)(add.Call(ctx, a, 0))
			must(t, 2)(add.Call(ctx, b, 0))
			if _, err := supervisor.Spawn(ctx, pool, players, ignores); !errors.Is(err, actor.ErrIgnore) {
				t.Fatal(err)
			}
			for c := range pool.Children() {
				if name == "pool" && c.Restart != supervisor.Temporary {
					t.Fatalf("%+v", c)
				}
			}
			if n := pool.Count().Specs - before; name == "pool" && n != 2 {
				t.Fatalf("%d more children", n)
			}
		}
		stop(t, ctx, tree)
	})
}
