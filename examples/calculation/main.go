// Calculation: two workers with a shared input and a shared output array each.
// "calculate" goes out; when it is done the result is read from the shared
// memory, and the worker is started again at once. ^C stops all in order.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/supervisor"
)

func main() {
	actor.Main()
	pace := flag.Duration("pace", 700*time.Millisecond, "how long a calculation of worker-1 takes; worker-2 takes three times as long")
	idle := flag.Duration("idle", time.Second, "a tick when nothing has happened for so long")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second ^C ends the program at once
	if err := run(ctx, *pace, *idle); err != nil {
		fmt.Fprintln(os.Stderr, "calculation:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, pace, idle time.Duration) error {
	first, err := newDesk(pace)
	if err != nil {
		return err
	}
	defer first.release()
	second, err := newDesk(3 * pace)
	if err != nil {
		return err
	}
	defer second.release()
	tree, err := supervisor.Start(ctx, supervisor.Spec{
		Intensity: 3,
		Children: []supervisor.Child{
			{Name: "worker-1", Run: workers.With(first)},
			{Name: "worker-2", Run: workers.With(second)},
		},
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop before everything was up
		}
		return err
	}
	told := tellEnds(tree)
	err = loop(ctx, tree, first, second, idle)
	fmt.Println("stopping")
	err = errors.Join(err, tree.Stop(context.Background()), tree.Err())
	<-told
	fmt.Println("all stopped")
	return err
}

// newDesk makes the arrays that main shares with one worker.
func newDesk(pace time.Duration) (desk, error) {
	in, err := shm.NewShared[float64](size)
	if err != nil {
		return desk{}, err
	}
	out, err := shm.NewShared[float64](size)
	if err != nil {
		in.Release()
		return desk{}, err
	}
	return desk{in, out, pace}, nil
}

func (d desk) release() {
	d.In.Release()
	d.Out.Release()
}

// loop keeps both workers at work until ctx ends. When several things have
// happened, select takes one of them at random, so that none is always first.
func loop(ctx context.Context, tree *supervisor.Tree, first, second desk, idle time.Duration) error {
	ref1 := workers.Ref(tree, "worker-1")
	ref2 := workers.Ref(tree, "worker-2")
	worker1, worker2 := &Worker{Ref: ref1, desk: first}, &Worker{Ref: ref2, desk: second}
	worker1.Start(ctx)
	worker2.Start(ctx)
	for {
		select {
		case <-worker1.Ready():
			report(worker1)
			worker1.Start(ctx)
		case <-worker2.Ready():
			report(worker2)
			worker2.Start(ctx)
		case <-time.After(idle):
			fmt.Println("tick")
		case <-tree.Done(): // it gave up; run knows why
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// report prints what became of a calculation. A worker that died in the midst
// of one costs that calculation: its replacement does the next.
func report(w *Worker) {
	sum, err := w.Result()
	if errors.Is(err, context.Canceled) {
		return // we are being stopped
	}
	if err != nil {
		fmt.Printf("%s: calculation %d failed: %v\n", w.Path(), w.round, err)
		return
	}
	fmt.Printf("%s: calculation %d: the roots sum up to %.1f\n", w.Path(), w.round, sum)
}

// tellEnds prints a message for each worker that ends, until the system does.
func tellEnds(tree *supervisor.Tree) (done <-chan struct{}) {
	events, told := tree.Events(context.Background()), make(chan struct{})
	go func() {
		defer close(told)
		for e := range events {
			if e.Type == actor.EventExited {
				fmt.Printf("%s (pid %d) ended: %v\n", e.Path, e.PID, e.Exit)
			}
		}
	}()
	return told
}
