package main

import (
	"context"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// cost is what a message took of both sides.
type cost struct {
	cpu           float64 // seconds for a million
	caller, actor float64 // objects on the heap
}

// openCost measures what n messages take, sent by the function, by the default
// lane beside the socket lane.
func openCost(name string, send func(ctx context.Context, s *stage, n int) error) func(context.Context, *bed) (session, error) {
	return func(ctx context.Context, b *bed) (session, error) {
		socket, err := b.on(ctx, socketLane)
		if err != nil {
			return nil, err
		}
		measure := func(ctx context.Context) (map[string]reading, error) {
			ours, err := b.stage.cost(ctx, b.messages, send)
			if err != nil {
				return nil, err
			}
			floor, err := socket.cost(ctx, b.messages, send)
			return map[string]reading{
				name + "/cpu":           {ours.cpu, floor.cpu},
				name + "/allocs/caller": {ours.caller, floor.caller},
				name + "/allocs/actor":  {ours.actor, floor.actor},
			}, err
		}
		return sessionFuncs{measure: measure}, nil
	}
}

func (s *stage) cost(ctx context.Context, n int, send func(context.Context, *stage, int) error) (c cost, err error) {
	if err := send(ctx, s, familiarity); err != nil {
		return c, err
	}
	before, err := s.spent(ctx)
	if err != nil {
		return c, err
	}
	if err := send(ctx, s, n); err != nil {
		return c, err
	}
	after, err := s.spent(ctx)
	return cost{
		cpu:    (after.cpu - before.cpu).Seconds() / float64(n) * 1e6,
		caller: float64(after.caller-before.caller) / float64(n),
		actor:  float64(after.actor-before.actor) / float64(n),
	}, err
}

// spent is what both sides have used so far.
type spent struct {
	cpu           time.Duration
	caller, actor uint64
}

func (s *stage) spent(ctx context.Context) (t spent, err error) {
	if t.actor, err = mallocs.Call(ctx, s.ref, actor.None{}); err != nil {
		return t, err
	}
	t.caller = mallocsHere()
	t.cpu, err = cpuOf(s.pid)
	return t, err
}

// sendCalls makes calls, one after the other.
func sendCalls(ctx context.Context, s *stage, n int) error {
	for range n {
		if err := callSmall(ctx, s.ref); err != nil {
			return err
		}
	}
	return nil
}
