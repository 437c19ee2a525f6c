package main

import (
	"context"
	"fmt"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// flood is casts of one type.
type flood struct {
	name  string
	lane  lane
	spins bool // its floor is the raw ring, not the socketpair
	size  func() (int, error)
	cast  func(ctx context.Context, to actor.Ref[subject]) error
}

// floodOf is casts of a value by a method that counts it.
func floodOf[T any](name string, l lane, spins bool, method *actor.Method[subject, T, actor.None], v T) flood {
	return flood{name: name, lane: l, spins: spins,
		size: func() (int, error) { return castSize(method.Name(), &v) },
		cast: func(ctx context.Context, to actor.Ref[subject]) error { return method.Cast(ctx, to, v) },
	}
}

func (f flood) floor() (send func(int) (time.Duration, error), end func(), err error) {
	size, err := f.size()
	if err != nil {
		return nil, nil, err
	}
	if !f.spins {
		s, err := newStream(size)
		if err != nil {
			return nil, nil, err
		}
		return timed(s.send), s.close, nil
	}
	r, err := newRawRing(size, 0)
	if err != nil {
		return nil, nil, err
	}
	return func(n int) (time.Duration, error) {
		if err := r.caller.WakeStream(); err != nil {
			return 0, err
		}
		return timed(r.send)(n)
	}, r.close, nil
}

func timed(f func(int) error) func(int) (time.Duration, error) {
	return func(n int) (time.Duration, error) {
		start := time.Now()
		err := f(n)
		return time.Since(start), err
	}
}

// open measures casts from the first sent to the last handled: the call behind
// them is begun after all of them.
func (f flood) open(ctx context.Context, b *bed) (session, error) {
	s, err := b.on(ctx, f.lane)
	if err != nil {
		return nil, err
	}
	floor, end, err := f.floor()
	if err != nil {
		return nil, err
	}
	measure := func(ctx context.Context) (map[string]reading, error) {
		raw, err := floor(b.casts)
		if err != nil {
			return nil, err
		}
		took, err := timed(func(n int) error { return f.send(ctx, s, n) })(b.casts)
		return map[string]reading{f.name: {rate(b.casts, took), rate(b.casts, raw)}}, err
	}
	return sessionFuncs{measure, end}, nil
}

// send sends n casts and returns when all were handled.
func (f flood) send(ctx context.Context, s *stage, n int) error {
	for range n {
		if err := f.cast(ctx, s.ref); err != nil {
			return err
		}
	}
	got, err := counted.Call(ctx, s.ref, actor.None{})
	if err == nil && got != n {
		err = fmt.Errorf("casts: %d of %d were handled", got, n)
	}
	return err
}

func rate(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }
