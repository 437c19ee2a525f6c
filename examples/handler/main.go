// Handler: a manager runs as an in-process actor, a handler thread with a
// mailbox. Workers, which are processes, are added to it while it runs, and it
// serves other requests meanwhile, in order.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

func main() {
	actor.Main()
	training := flag.Duration("training", 300*time.Millisecond, "how long it takes until a new worker is ready")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second ^C ends the program at once
	if err := run(ctx, *training); err != nil {
		fmt.Fprintln(os.Stderr, "handler:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, training time.Duration) error {
	tree, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{
		{Name: "manager", Run: managers.With(actor.None{}), InProcess: true},
	}})
	if err != nil {
		return err
	}
	defer tree.Stop(context.Background())
	ref := managers.Ref(tree, "manager")
	return play(ctx, Manager{ref}, training)
}

// play is what one user of the manager does.
func play(ctx context.Context, m Manager, training time.Duration) error {
	names := []string{"ada", "bob", "cyd"}
	var hires []*actor.Future[hired]
	for i, name := range names {
		hires = append(hires, m.Hire(ctx, contract{name, training * time.Duration(i+1)}))
		roll, err := m.Roll(ctx) // served at once, even while a worker is being hired
		if err != nil {
			return err
		}
		fmt.Printf("request %d: roll: %v\n", roll.Request, roll.Workers)
	}
	for i, hire := range hires {
		h, err := hire.Result()
		if err != nil {
			return err
		}
		fmt.Printf("request %d: hired %s\n", h.Request, h.Worker.Path())

		// The reference came in a message: the connection is direct, not through the manager.
		a, err := Worker{h.Worker}.Factor(ctx, uint64(1000+i))
		if err != nil {
			return err
		}
		fmt.Printf("%s, asked directly: %d = %v\n", a.Worker, a.Number, a.Factors)
	}
	var answers []*actor.Future[Answer]
	for n := uint64(1_000_000_007); n < 1_000_000_013; n++ {
		answers = append(answers, m.Factor(ctx, n))
	}
	for _, answer := range answers {
		a, err := answer.Result()
		if err != nil {
			return err
		}
		fmt.Printf("%s, asked by the manager: %d = %v\n", a.Worker, a.Number, a.Factors)
	}
	return nil
}
