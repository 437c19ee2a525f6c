package actor_test

import (
	"context"
	"log/slog"
	"os"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// ledger says what it does.
type ledger struct{ balance int }

func newLedger(ctx context.Context, balance int) (*ledger, error) {
	actor.Logger(ctx).Info("opened", "balance", balance)
	return &ledger{balance}, nil
}

func (l *ledger) Book(ctx context.Context, amount int) (int, error) {
	l.balance += amount
	actor.Logger(ctx).Info("booked", slog.Group("entry", "amount", amount, "balance", l.balance))
	return l.balance, nil
}

var (
	ledgers = actor.Define("ledger", newLedger)
	book    = actor.DefineMethod(ledgers, "book", (*ledger).Book)
)

// What an actor logs comes out of the system's logger, under its name, whether
// it is a process or a goroutine.
func ExampleLogger() {
	ctx := context.Background()
	tree, err := supervisor.Start(ctx, supervisor.Spec{
		Children: []supervisor.Child{
			{Name: "process", Run: ledgers.With(40)},
			{Name: "goroutine", Run: ledgers.With(20), InProcess: true},
		},
	}, supervisor.Options{Logger: slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "pid" { // they are never the same
				return slog.Attr{}
			}
			return a
		},
	}))})
	if err != nil {
		panic(err)
	}
	defer tree.Stop(ctx)
	for _, id := range []string{"process", "goroutine"} {
		ref := ledgers.Ref(tree, id)
		if _, err := book.Call(ctx, ref, 2); err != nil {
			panic(err)
		}
	}
	// Output:
	// level=INFO msg=opened path=/process balance=40
	// level=INFO msg=opened path=/goroutine balance=20
	// level=INFO msg=booked path=/process entry.amount=2 entry.balance=42
	// level=INFO msg=booked path=/goroutine entry.amount=2 entry.balance=22
}
