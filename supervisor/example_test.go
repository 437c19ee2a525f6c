package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// clerk is a backend that does its work until it is told to fail.
type clerk struct{ desk int }

func newClerk(_ context.Context, desk int) (*clerk, error) { return &clerk{desk}, nil }

func (c *clerk) Stamp(ctx context.Context, form string) (string, error) {
	if form == "" {
		actor.Exit(ctx, errors.New("no form"))
	}
	return fmt.Sprintf("%s, stamped at desk %d", form, c.desk), nil
}

var (
	clerks = actor.Define("clerk", newClerk)
	stamp  = actor.DefineMethod(clerks, "stamp", (*clerk).Stamp)
)

// A tree of two processes below a nested supervisor: when the first has to be
// restarted, so is the second, which was started after it.
func ExampleStart() {
	ctx := context.Background()
	tree, err := supervisor.Start(ctx, supervisor.Spec{
		Children: []supervisor.Child{
			{Name: "office", Run: supervisor.Spec{
				Strategy: supervisor.RestForOne,
				Children: []supervisor.Child{
					{Name: "front", Run: clerks.With(1)},
					{Name: "back", Run: clerks.With(2), Restart: supervisor.Transient},
				},
			}},
		},
	}, supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tree.Stop(ctx)

	front := clerks.Ref(tree, "office/front")
	fmt.Println(stamp.Call(ctx, front, "A 38"))

	_, err = stamp.Call(ctx, front, "") // it ends, and the call with it
	var end *actor.ExitError
	fmt.Println(errors.As(err, &end), end.Reason, end.Begun)

	fmt.Println(stamp.Call(ctx, front, "B 52")) // waits for the replacement
	// Output:
	// A 38, stamped at desk 1 <nil>
	// true error yes
	// B 52, stamped at desk 1 <nil>
}

// A service lives until its context ends. main would make it with
// signal.NotifyContext.
func ExampleRun() {
	ctx, stop := context.WithCancel(context.Background())
	stop() // at once, for the example
	err := supervisor.Run(ctx, supervisor.Spec{
		Children: []supervisor.Child{{Name: "clerk", Run: clerks.With(1)}},
	}, supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
	fmt.Println(err)
	// Output: <nil>
}

// Children may be added while the tree runs.
func ExampleTree_StartChild() {
	ctx := context.Background()
	tree, err := supervisor.Start(ctx, supervisor.Spec{
		Strategy: supervisor.Dynamic,
		Defaults: supervisor.Child{InProcess: true, Restart: supervisor.Temporary},
	}, supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tree.Stop(ctx)
	for desk := range 3 {
		clerk := supervisor.Child{Name: fmt.Sprint("clerk-", desk), Run: clerks.With(desk)}
		if err := tree.StartChild(ctx, clerk); err != nil {
			fmt.Println(err)
		}
	}
	for c := range tree.Children() {
		fmt.Println(c.Path, c.Kind, c.State)
	}
	fmt.Println(tree.Count().Active)
	// Output:
	// /clerk-0 clerk running
	// /clerk-1 clerk running
	// /clerk-2 clerk running
	// 3
}
