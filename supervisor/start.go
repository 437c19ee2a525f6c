package supervisor

import (
	"context"
	"errors"
	"fmt"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// Start checks the spec, starts its children one after another, each when the
// one before it is ready, and returns when all are. ctx bounds the starting
// only; the tree lives until [Tree.Stop], or until it ends by itself.
//
// All faults of the spec are reported together, before anything is started.
// If a child cannot be started, those that came up are stopped in reverse order,
// and the error is a [*StartError] that names the child and wraps the cause.
//
// Outside of actors it makes a system, which ends with the tree; at most one
// Options says how the whole system works.
// Called in an actor, with a ctx of its constructor, Run or handlers, the tree
// belongs to the actor: its paths are below the actor's, and it is stopped when
// the actor ends; it has the Options of the system, and can have none of its own.
//
// The children's arguments are encoded by Start, once. What cannot be encoded is
// one of the faults.
func Start(ctx context.Context, spec Spec, opts ...Options) (*Tree, error) {
	scope, below := actor.ScopeOf(ctx)
	if below {
		return startInside(ctx, scope, spec, opts, false)
	}
	o, err := theOptions(opts)
	p, faults := makePlan("/", spec, Child{}, o.MaxMessage)
	if err := errors.Join(err, faults); err != nil {
		if p != nil {
			p.release()
		}
		return nil, err
	}
	if ctx.Err() != nil {
		p.release()
		return nil, &cutError{"/", context.Cause(ctx)}
	}
	sys, end, err := o.open()
	if err != nil {
		p.release()
		return nil, fmt.Errorf("start supervisor: %w", err)
	}
	t := newTree("/", p, sys, sys)
	t.close = end
	inside.add(t)
	if err := t.await(ctx); err != nil {
		return nil, err
	}
	if o.Started != nil {
		o.Started(t)
	}
	return t, nil
}

// startInside is Start in an actor. own says that the actor is nothing else
// than this supervisor.
func startInside(ctx context.Context, scope actor.Scope, spec Spec, opts []Options, own bool) (*Tree, error) {
	at, sys := join(scope.Path(), spec.Name), runtime.SystemOf(scope)
	p, err := makePlan(at, spec, Child{series: join(runtime.SeriesOf(scope), spec.Name)}, sys.MaxMessage())
	if len(opts) > 0 {
		err = errors.Join(err, fmt.Errorf("%w: supervisor %s: only the root of a system has Options: an actor's tree cannot", ErrBadSpec, at))
	}
	if err == nil {
		err = p.checkFree(sys, at)
	}
	if err == nil && ctx.Err() != nil {
		err = &cutError{at, context.Cause(ctx)}
	}
	if err != nil {
		if p != nil {
			p.release()
		}
		return nil, err
	}
	t := newTree(at, p, sys, sys)
	t.own, t.actor = own, scope.Path()
	inside.add(t)
	t.detach = runtime.Attach(scope, func(ctx context.Context) { _ = t.Stop(ctx) })
	if err := t.await(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

// await starts the tree and returns when it is up, or has failed and nothing
// of it is left.
func (t *Tree) await(ctx context.Context) error {
	t.start()
	release := context.AfterFunc(ctx, func() { t.inbox.post(startCut{&cutError{t.path, context.Cause(ctx)}}) })
	defer release()
	<-t.ready
	if t.startErr != nil {
		<-t.done
	}
	return t.startErr
}

// cutError: the ctx of Start ended before all children were up.
type cutError struct {
	path string
	err  error
}

func (e *cutError) Error() string {
	return fmt.Sprintf("start of supervisor %s was cut short: %v", e.path, e.err)
}
func (e *cutError) Unwrap() error { return e.err }
