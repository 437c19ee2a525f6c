package main

import (
	"context"
	"time"
)

// nap is the pause before a call whose other side has fallen asleep: longer than
// anybody spins.
const nap = 2 * time.Millisecond

// openWake measures calls after a pause, one of each side after the other.
func openWake(ctx context.Context, b *bed) (session, error) {
	floor, err := floorOf("change", small, small)
	if err != nil {
		return nil, err
	}
	request, response, err := callSizes("change", small, small)
	if err != nil {
		floor.close()
		return nil, err
	}
	futex, err := newFutexPong(request, response)
	if err != nil {
		floor.close()
		return nil, err
	}
	end := func() {
		futex.close()
		floor.close()
	}
	socket, err := b.on(ctx, socketLane)
	if err != nil {
		end()
		return nil, err
	}
	sides := []side{floor.side(), futex.side(), b.smallCall(ctx), socket.smallCall(ctx)}
	measure := func(ctx context.Context) (map[string]reading, error) {
		found := make([]latencies, len(sides))
		for range b.naps {
			for i, s := range sides {
				if err := pause(ctx, nap); err != nil {
					return nil, err
				}
				start := time.Now()
				if err := s.op(); err != nil {
					return nil, err
				}
				found[i] = append(found[i], time.Since(start))
			}
		}
		return map[string]reading{
			"wake/ring":   {found[2].at(0.5), found[1].at(0.5)},
			"wake/socket": {found[3].at(0.5), found[0].at(0.5)},
		}, nil
	}
	return sessionFuncs{measure, end}, nil
}
