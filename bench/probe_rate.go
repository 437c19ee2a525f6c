package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// load works an actor for about so long, and returns how many operations it did
// in how much time.
type load func(ctx context.Context, to actor.Ref[subject], d time.Duration) (ops int, took time.Duration, err error)

// openRates measures a load by the default lane beside the same by the socket
// lane, by turns.
func openRates(name string, l load) func(context.Context, *bed) (session, error) {
	return func(ctx context.Context, b *bed) (session, error) {
		socket, err := b.on(ctx, socketLane)
		if err != nil {
			return nil, err
		}
		measure := func(ctx context.Context) (map[string]reading, error) {
			var ops [2]int
			var took [2]time.Duration
			for spent := time.Duration(0); spent < b.rates; spent += 2 * turn {
				for i, s := range []*stage{socket, b.stage} {
					n, d, err := l(ctx, s.ref, 2*turn)
					if err != nil {
						return nil, err
					}
					ops[i], took[i] = ops[i]+n, took[i]+d
				}
			}
			return map[string]reading{name: {rate(ops[1], took[1]), rate(ops[0], took[0])}}, nil
		}
		return sessionFuncs{measure: measure}, nil
	}
}

// callers is so many goroutines that share a link, each with one call at a time.
func callers(n int) load {
	return func(ctx context.Context, to actor.Ref[subject], d time.Duration) (int, time.Duration, error) {
		made, errs := make([]int, n), make([]error, n)
		begin := time.Now()
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				for time.Since(begin) < d && errs[i] == nil {
					errs[i] = callSmall(ctx, to)
					made[i]++
				}
			})
		}
		all.Wait()
		took, sum := time.Since(begin), 0
		for _, m := range made {
			sum += m
		}
		return sum, took, errors.Join(errs...)
	}
}

// pipelined is one caller with a window of calls under way.
func pipelined(window int) load {
	return func(ctx context.Context, to actor.Ref[subject], d time.Duration) (ops int, took time.Duration, err error) {
		under, begin := make([]*actor.Future[note], 0, window), time.Now()
		end := func(f *actor.Future[note]) {
			n, e := f.Result()
			if e == nil {
				e = checkSmall(n)
			}
			err = errors.Join(err, e)
			ops++
		}
		for i := 0; err == nil && time.Since(begin) < d; i = (i + 1) % window {
			f := change.Go(ctx, to, small)
			if len(under) < window {
				under = append(under, f)
				continue
			}
			end(under[i])
			under[i] = f
		}
		for _, f := range under {
			end(f)
		}
		return ops, time.Since(begin), err
	}
}

// streamLength is how many items one stream has: some milliseconds' worth, so
// that opening it does not count.
const streamLength = 5000

// streamed takes the items of streams, one after the other.
func streamed(ctx context.Context, to actor.Ref[subject], d time.Duration) (ops int, took time.Duration, err error) {
	begin := time.Now()
	for time.Since(begin) < d {
		n := 0
		for item, err := range tell.Open(ctx, to, streamLength) {
			if err == nil && item != small {
				err = errors.New("another item came than was sent")
			}
			if err != nil {
				return ops, 0, err
			}
			n++
		}
		if n != streamLength {
			return ops, 0, errors.New("a stream was cut short")
		}
		ops += n
	}
	return ops, time.Since(begin), nil
}
