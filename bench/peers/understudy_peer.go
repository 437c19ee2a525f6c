package main

import (
	"context"
	"fmt"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/bench/peers/internal/harness"
	"github.com/understudy-go/understudy/bench/peers/internal/work"
	"github.com/understudy-go/understudy/supervisor"
)

// callPeer is this process calling an actor.
type callPeer struct{ *bed }

func startCall(lane string, fields supervisor.Child) func(context.Context) (harness.Peer, error) {
	return func(ctx context.Context) (harness.Peer, error) {
		b, err := makeBed(ctx, 1, lane, fields)
		if err != nil {
			return nil, err
		}
		return callPeer{b}, nil
	}
}

func (p callPeer) Round(n int, pause time.Duration) ([]time.Duration, error) {
	ctx := context.Background()
	return harness.Loop(n, pause, func(i int) error { return callChange(ctx, p.refs[0], i) })
}

// Stream casts. The call behind the casts is begun after all of them.
func (p callPeer) Stream(n int) (time.Duration, error) {
	ctx, begin := context.Background(), time.Now()
	for i := range n {
		if err := count.Cast(ctx, p.refs[0], work.Request(i)); err != nil {
			return 0, err
		}
	}
	got, err := counted.Call(ctx, p.refs[0], actor.None{})
	if err == nil && got != n {
		err = fmt.Errorf("%d of %d casts were handled", got, n)
	}
	return time.Since(begin), err
}

// siblingPeer is an actor calling another one. The loop and the clock are in
// the actor that calls.
type siblingPeer struct{ *bed }

func startSibling(lane string) func(context.Context) (harness.Peer, error) {
	return func(ctx context.Context) (harness.Peer, error) {
		b, err := makeBed(ctx, 2, lane, supervisor.Child{})
		if err != nil {
			return nil, err
		}
		return siblingPeer{b}, nil
	}
}

func (p siblingPeer) Round(n int, pause time.Duration) ([]time.Duration, error) {
	return drive.Call(context.Background(), p.refs[0], errand{To: p.refs[1], Trips: n, Pause: pause})
}
