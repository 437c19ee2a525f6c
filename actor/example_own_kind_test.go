package actor_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// A walker counts down: its handler calls the next walker, whose kind is its own.
type walker struct{}

func newWalker(context.Context, actor.None) (*walker, error) { return &walker{}, nil }

type step struct {
	Left int
	Next []actor.Ref[walker]
}

func (*walker) Walk(ctx context.Context, s step) (int, error) {
	if len(s.Next) == 0 {
		return s.Left, nil
	}
	return walk.Call(ctx, s.Next[0], step{s.Left - 1, s.Next[1:]})
}

// With walk defined in one line, Go would report an initialization cycle: walk
// refers to Walk, and Walk to walk. Declared here and implemented in init, it
// does not.
var (
	walkers = actor.Declare[walker, actor.None]("walker")
	walk    = actor.DeclareMethod[step, int](walkers, "walk")
)

func init() { actor.Implement(walkers, newWalker, actor.ImplementMethod(walk, (*walker).Walk)) }

// A handler that calls its own kind.
func ExampleDefineMethod_ownKind() {
	ctx := context.Background()
	tree, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{
		{Name: "ann", Run: walkers.With(actor.None{})}, {Name: "ben", Run: walkers.With(actor.None{})},
	}}, supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	defer tree.Stop(ctx)
	next := []actor.Ref[walker]{walkers.Ref(tree, "ben")}
	fmt.Println(walk.Call(ctx, walkers.Ref(tree, "ann"), step{Left: 2, Next: next}))
	// Output: 1 <nil>
}
