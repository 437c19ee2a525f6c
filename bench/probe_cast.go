package main

import (
	"context"
	"fmt"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// openCast measures casts from the first sent to the last handled: the call
// behind them is begun after all of them.
func openCast(_ context.Context, b *bed) (session, error) {
	size, err := castSize("count", small)
	if err != nil {
		return nil, err
	}
	floor, err := newStream(size)
	if err != nil {
		return nil, err
	}
	measure := func(ctx context.Context) (map[string]reading, error) {
		start := time.Now()
		if err := floor.send(b.casts); err != nil {
			return nil, err
		}
		raw := time.Since(start)
		start = time.Now()
		for range b.casts {
			if err := count.Cast(ctx, b.ref, small); err != nil {
				return nil, err
			}
		}
		n, err := counted.Call(ctx, b.ref, actor.NoArgs{})
		if err == nil && n != b.casts {
			err = fmt.Errorf("casts: %d of %d were handled", n, b.casts)
		}
		if err != nil {
			return nil, err
		}
		return map[string]reading{"cast/rate": {rate(b.casts, time.Since(start)), rate(b.casts, raw)}}, nil
	}
	return sessionFuncs{measure, floor.close}, nil
}

func rate(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }
