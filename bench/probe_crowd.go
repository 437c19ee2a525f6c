package main

import (
	"context"
	"fmt"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// openCrowd measures the call of an actor that has met many others, which stand
// idle, each with its link and its rings. Beside it an actor calls that knows
// one other only.
func openCrowd(ctx context.Context, b *bed) (s session, err error) {
	var children []supervisor.Child
	for i := range b.idle {
		children = append(children, supervisor.Child{Name: fmt.Sprintf("idle-%d", i), Run: subjects.With(actor.None{})})
	}
	for _, id := range []string{"popular", "partner"} {
		children = append(children, supervisor.Child{Name: id, Run: subjects.With(actor.None{})})
	}
	tree, err := startTree(ctx, ringLane, children...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			stopTree(tree)
		}
	}()
	refs := make([]actor.Ref[subject], len(children))
	for i, c := range children {
		refs[i] = subjects.Ref(tree, c.Name)
	}
	crowd, popular, partner := refs[:b.idle], refs[b.idle], refs[b.idle+1]
	if _, err := meet.Call(ctx, popular, crowd); err != nil {
		return nil, err
	}
	known, err := driverOf(ctx, popular, partner)
	if err != nil {
		return nil, err
	}
	quiet, err := openHall(ctx, ringLane, 1)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			stopTree(quiet.tree)
		}
	}()
	lonely, err := driverOf(ctx, quiet.callers[0], quiet.told[0])
	if err != nil {
		return nil, err
	}
	measure := func(context.Context) (map[string]reading, error) {
		ours, alone, err := turns(b.budget, known, lonely)
		return map[string]reading{"crowd/p50": {ours.at(0.5), alone.at(0.5)}}, err
	}
	return sessionFuncs{measure, func() {
		stopTree(quiet.tree)
		stopTree(tree)
	}}, nil
}
