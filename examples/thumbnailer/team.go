package main

import (
	"context"
	"errors"
	"path"
	"strconv"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// teamChild is a supervisor of n actors like worker, named "1" to "n".
//
// They work on what strangers send, so a crash is nothing special and costs a
// restart. If there are more than so many within ten seconds, it is not the
// images: then the team gives up, and is started anew.
func teamChild(name string, n, restarts int, worker supervisor.Child) supervisor.Child {
	spec := supervisor.Spec{Intensity: restarts, Period: 10 * time.Second}
	for i := range n {
		worker.Name = strconv.Itoa(i + 1)
		spec.Children = append(spec.Children, worker)
	}
	return supervisor.Child{Name: name, Run: spec}
}

// team holds the clients of those workers of one kind that have nothing to do.
// One that was killed stays in the team: the next request for it waits until
// its replacement is there.
type team[C any] chan C

func newTeam[K, A, C any](scope actor.Scope, id string, n int, kind *actor.Kind[K, A], client func(actor.Ref[K]) C) (team[C], error) {
	t := make(team[C], n)
	var errs []error
	for i := range n {
		ref, err := kind.Lookup(scope, path.Join(id, strconv.Itoa(i+1)))
		errs = append(errs, err)
		t <- client(ref)
	}
	return t, errors.Join(errs...)
}

// ask waits for a worker of the team, until ctx ends, and gives it a job.
func ask[C, R any](ctx context.Context, t team[C], job func(C) (R, error)) (R, error) {
	select {
	case worker := <-t:
		defer func() { t <- worker }()
		return job(worker)
	case <-ctx.Done():
		var none R
		return none, context.Cause(ctx)
	}
}
