package actortest_test

import (
	"context"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/actor/actortest"
	"github.com/understudy-go/understudy/supervisor"
)

type counter struct{ n int }

func newCounter(_ context.Context, start int) (*counter, error) { return &counter{n: start}, nil }
func (c *counter) Add(_ context.Context, n int) (int, error)    { c.n += n; return c.n, nil }

var (
	Counters = actor.Define("counter", newCounter)
	Add      = actor.DefineMethod(Counters, "add", (*counter).Add)
)

// A test of an actor, as a process and in-process.
func ExampleEachMode() {
	_ = func(t *testing.T) {
		actortest.EachMode(t, func(t *testing.T, c actortest.Config) {
			tree := actortest.Start(t, supervisor.Spec{Children: []supervisor.Child{{Name: "hits", Run: Counters.With(40)}}}, c)
			n, err := Add.Call(t.Context(), Counters.Ref(tree, "hits"), 2)
			if err != nil || n != 42 {
				t.Errorf("%d, %v; want 42", n, err)
			}
		})
	}
}
