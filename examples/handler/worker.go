package main

import (
	"context"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// contract is what a worker is hired with.
type contract struct {
	Name     string
	Training time.Duration // how long it takes until the worker is ready
}

// worker is the backend of a process of its own that finds prime factors.
type worker struct{ name string }

func newWorker(ctx context.Context, c contract) (*worker, error) {
	select {
	case <-time.After(c.Training):
		return &worker{c.Name}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Answer is a worker's answer.
type Answer struct {
	Worker  string
	Number  uint64
	Factors []uint64
}

func (w *worker) Factor(ctx context.Context, n uint64) (Answer, error) {
	a := Answer{Worker: w.name, Number: n}
	for f := uint64(2); f*f <= n; f++ {
		for n%f == 0 {
			a.Factors = append(a.Factors, f)
			n /= f
		}
		if f%(1<<16) == 0 && ctx.Err() != nil {
			return Answer{}, context.Cause(ctx)
		}
	}
	if n > 1 {
		a.Factors = append(a.Factors, n)
	}
	return a, nil
}

var (
	workers = actor.Define("worker", newWorker)
	factor  = actor.DefineMethod(workers, "factor", (*worker).Factor)
)

// Worker is the frontend.
type Worker struct{ actor.Ref[worker] }

// Factor returns the prime factors of n in order.
func (w Worker) Factor(ctx context.Context, n uint64) (Answer, error) {
	return factor.Call(ctx, w.Ref, n)
}
