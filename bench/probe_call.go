package main

import (
	"context"
	"fmt"

	"github.com/understudy-go/understudy/actor"
)

// small is the message of the call: an integer and a short string, changed and
// sent back.
var small = note{N: 1_000_000, S: "a short string"}

func openCall(_ context.Context, b *bed) (session, error) {
	floor, err := floorOf("change", small, small)
	if err != nil {
		return nil, err
	}
	measure := func(ctx context.Context) (map[string]reading, error) {
		ours, raw, err := turns(b.budget, b.smallCall(ctx), floor.side())
		if err != nil {
			return nil, err
		}
		return map[string]reading{
			"call/p50": {ours.at(0.5), raw.at(0.5)},
			"call/p99": {ours.at(0.99), raw.at(0.99)},
			"call/cpu": {ours.cpuPerOp(), raw.cpuPerOp()},
		}, nil
	}
	return sessionFuncs{measure, floor.close}, nil
}

// smallCall is also the floor of the calls by reference.
func (s *stage) smallCall(ctx context.Context) side {
	return side{peer: s.pid, op: func() error { return callSmall(ctx, s.ref) }}
}

func callSmall(ctx context.Context, to actor.Ref[subject]) error {
	n, err := change.Call(ctx, to, small)
	if err == nil {
		err = checkSmall(n)
	}
	return err
}

func checkSmall(n note) error {
	if n.N != small.N+1 || n.S != small.S {
		return fmt.Errorf("small call: the response is %v", n)
	}
	return nil
}

// floorOf is the bare exchange with as many bytes as a call has.
func floorOf(method string, req, resp any) (*pingPong, error) {
	request, response, err := callSizes(method, req, resp)
	if err != nil {
		return nil, err
	}
	return newPingPong(request, response)
}
