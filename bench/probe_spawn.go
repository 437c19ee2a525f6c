package main

import (
	"context"
	"fmt"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// openSpawn measures the start of an actor under a supervisor that runs, until
// its constructor has returned and the supervisor has said so.
func openSpawn(_ context.Context, b *bed) (session, error) {
	serial := 0
	measure := func(ctx context.Context) (map[string]reading, error) {
		var ours, raw latencies
		for range b.spawns {
			p, took, err := startBare()
			if err != nil {
				return nil, err
			}
			p.close()
			raw = append(raw, took)
			serial++
			if took, err = b.spawn(ctx, fmt.Sprintf("spawned-%d", serial)); err != nil {
				return nil, err
			}
			ours = append(ours, took)
		}
		return map[string]reading{"spawn/ready": {ours.at(0.5), raw.at(0.5)}}, nil
	}
	return sessionFuncs{measure: measure}, nil
}

// spawn starts an actor, takes the time, and ends it.
func (b *bed) spawn(ctx context.Context, id string) (time.Duration, error) {
	start := time.Now()
	err := b.tree.StartChild(ctx, supervisor.Child{Name: id, Run: subjects.With(actor.None{}), Restart: supervisor.Temporary})
	took := time.Since(start)
	if err == nil {
		err = b.tree.StopChild(ctx, id) // a temporary child's spec goes with it
	}
	return took, err
}
