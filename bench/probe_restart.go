package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// openRestart measures what a caller sees of a crash: from SIGKILL to the reply
// of the replacement, to a call that was made at once and waited for it.
func openRestart(ctx context.Context, b *bed) (session, error) {
	if err := b.tree.StartChild(ctx, supervisor.Child{Name: "victim", Run: subjects.With(actor.None{})}); err != nil {
		return nil, err
	}
	ref := subjects.Ref(b.tree, "victim")
	measure := func(ctx context.Context) (map[string]reading, error) {
		var ours, raw latencies
		for range b.spawns {
			p, took, err := startBare()
			if err != nil {
				return nil, err
			}
			p.close()
			raw = append(raw, took)
			if took, err = killAndCall(ctx, ref); err != nil {
				return nil, err
			}
			ours = append(ours, took)
		}
		return map[string]reading{"restart/reply": {ours.at(0.5), raw.at(0.5)}}, nil
	}
	return sessionFuncs{measure, func() { b.dismiss(ctx, "victim") }}, nil
}

func killAndCall(ctx context.Context, ref actor.Ref[subject]) (time.Duration, error) {
	old, err := pid.Call(ctx, ref, actor.None{})
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := killHard(old); err != nil {
		return 0, fmt.Errorf("killing process %d: %w", old, err)
	}
	for {
		now, err := pid.Call(ctx, ref, actor.None{})
		var died *actor.ExitError
		switch {
		case errors.As(err, &died): // it had begun the call: what is in hand at a crash is not repeated
		case err != nil:
			return 0, err
		case now != old: // else it replied with its last breath
			return time.Since(start), nil
		}
	}
}
