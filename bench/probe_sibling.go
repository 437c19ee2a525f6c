package main

import (
	"context"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// openSibling measures an actor that calls its sibling, beside the call that
// their parent makes to the same actor.
func openSibling(ctx context.Context, b *bed) (session, error) {
	if err := b.tree.StartChild(ctx, supervisor.Child{Name: "sibling", Run: subjects.With(actor.None{})}); err != nil {
		return nil, err
	}
	ref := subjects.Ref(b.tree, "sibling")
	sibling, err := driverOf(ctx, ref, b.ref)
	if err != nil {
		return nil, err
	}
	measure := func(ctx context.Context) (map[string]reading, error) {
		ours, parent, err := turns(b.budget, sibling, b.smallCall(ctx))
		return map[string]reading{"sibling/p50": {ours.at(0.5), parent.at(0.5)}}, err
	}
	return sessionFuncs{measure, func() { b.dismiss(ctx, "sibling") }}, nil
}
