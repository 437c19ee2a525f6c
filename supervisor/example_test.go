package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

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

// silently discards what the tree would log.
var silently = supervisor.Options{Logger: slog.New(slog.DiscardHandler)}

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
	}, silently)
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
	}, silently)
	fmt.Println(err)
	// Output: <nil>
}

// Children may be added while the tree runs.
func ExampleTree_StartChild() {
	ctx := context.Background()
	tree, err := supervisor.Start(ctx, supervisor.Spec{
		Strategy: supervisor.Dynamic,
		Defaults: supervisor.Child{InProcess: true, Restart: supervisor.Temporary},
	}, silently)
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

// Nested supervisors are Specs, too. A failure of its children concerns the nested
// supervisor alone, unless it gives up; then the supervisor above restarts it.
func ExampleSpec() {
	ctx := context.Background()
	office := supervisor.Spec{
		Strategy:  supervisor.OneForAll,
		Intensity: 3, // restarts
		Period:    time.Minute,
		Children: []supervisor.Child{
			{Name: "front", Run: clerks.With(1)},
			{Name: "back", Run: clerks.With(2)},
		},
	}
	tree, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{{Name: "office", Run: office}}}, silently)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tree.Stop(ctx)
	nested, err := tree.Supervisor("office")
	if err != nil {
		fmt.Println(err)
		return
	}
	for c := range nested.Children() {
		fmt.Println(c.Path, c.State)
	}
	// Output:
	// /office/front running
	// /office/back running
}

// offices are supervisors with a process of their own, which they share with
// nothing: their children are its children.
var offices = supervisor.Define("office", func(_ context.Context, desks int) (supervisor.Spec, error) {
	var spec supervisor.Spec
	for desk := range desks {
		spec.Children = append(spec.Children, supervisor.Child{Name: fmt.Sprint("clerk-", desk), Run: clerks.With(desk)})
	}
	return spec, nil
})

// A supervisor in a process of its own.
func ExampleDefine() {
	ctx := context.Background()
	tree, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{{Name: "branch", Run: offices.With(2)}}}, silently)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tree.Stop(ctx)
	fmt.Println(stamp.Call(ctx, clerks.Ref(tree, "branch/clerk-1"), "A 38"))
	// Output: A 38, stamped at desk 1 <nil>
}

// A child that fails again and again is restarted after 10 ms, then 20 ms, and
// so on up to a minute; the supervisor does not give up.
func ExampleBackoff() {
	ctx := context.Background()
	tree, err := supervisor.Start(ctx, supervisor.Spec{
		Intensity: supervisor.Unlimited,
		Children: []supervisor.Child{{Name: "clerk", Run: clerks.With(1), Backoff: supervisor.Backoff{
			Min: 10 * time.Millisecond, Max: time.Minute, Jitter: 0.5,
		}}},
	}, silently)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tree.Stop(ctx)
	clerk := clerks.Ref(tree, "clerk")
	for range 3 {
		_, err := stamp.Call(ctx, clerk, "")
		fmt.Println(errors.As(err, new(*actor.ExitError)))
	}
	fmt.Println(stamp.Call(ctx, clerk, "A 38"))
	// Output:
	// true
	// true
	// true
	// A 38, stamped at desk 1 <nil>
}

// By default the second restart within 5 s is one too many: the supervisor gives
// up, and its end says so to callers, too.
func ExampleGaveUpError() {
	ctx := context.Background()
	tree, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{{Name: "clerk", Run: clerks.With(1)}}}, silently)
	if err != nil {
		fmt.Println(err)
		return
	}
	clerk := clerks.Ref(tree, "clerk")
	stamp.Call(ctx, clerk, "") // survived
	stamp.Call(ctx, clerk, "") // one too many
	var end *supervisor.GaveUpError
	fmt.Println(errors.As(tree.Wait(ctx), &end), end.Child, end.Intensity, end.Period)
	_, err = stamp.Call(ctx, clerk, "A 38")
	fmt.Println(errors.As(err, &end))
	// Output:
	// true /clerk 1 5s
	// true
}
