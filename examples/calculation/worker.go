package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/shm"
)

// size is the number of elements of each array.
const size = 1 << 16

// desk is what a worker works on: the arguments of its constructor. The arrays
// belong to main, which makes them and outlives all incarnations of the
// worker; a worker sees them for as long as it lives.
type desk struct {
	In, Out shm.Array[float64] // shared: the messages say whose turn it is
	Pace    time.Duration      // how long a calculation takes
}

// worker is the backend.
type worker struct {
	in, out []float64
	pace    time.Duration
}

func newWorker(_ context.Context, d desk) (*worker, error) {
	in, err := d.In.Slice()
	if err != nil {
		return nil, fmt.Errorf("input array: %w", err)
	}
	out, err := d.Out.Slice()
	if err != nil {
		return nil, fmt.Errorf("output array: %w", err)
	}
	if len(in) != len(out) {
		return nil, fmt.Errorf("input of %d elements, output of %d", len(in), len(out))
	}
	return &worker{in, out, d.Pace}, nil
}

// Calculate puts the square roots of the input into the output. It takes its
// time, as calculations do.
func (w *worker) Calculate(ctx context.Context, _ actor.None) (actor.None, error) {
	for i, x := range w.in {
		w.out[i] = math.Sqrt(x)
	}
	select {
	case <-time.After(w.pace):
		return actor.None{}, nil
	case <-ctx.Done(): // the caller has given up, or the worker is asked to stop
		return actor.None{}, context.Cause(ctx)
	}
}

var (
	workers   = actor.Define("worker", newWorker)
	calculate = actor.DefineMethod(workers, "calculate", (*worker).Calculate)
)

// Worker is the frontend: a worker and its desk, as main sees them.
type Worker struct {
	actor.Ref[worker]
	desk
	round int
	calc  *actor.Future[actor.None] // the calculation under way
}

// Start writes the next input and sends "calculate". Nothing is copied.
func (w *Worker) Start(ctx context.Context) {
	w.round++
	for i := range w.In.Data() {
		w.In.Data()[i] = float64(w.round * i)
	}
	w.calc = calculate.Go(ctx, w.Ref, actor.None{})
}

// Ready is closed when the calculation has ended.
func (w *Worker) Ready() <-chan struct{} { return w.calc.Done() }

// Result reads the result from the shared memory: here, its sum.
func (w *Worker) Result() (float64, error) {
	if _, err := w.calc.Result(); err != nil {
		return 0, err
	}
	sum := 0.0
	for _, y := range w.Out.Data() {
		sum += y
	}
	return sum, nil
}
