package supervisor

import (
	"context"
	"errors"
	"fmt"

	"github.com/understudy-go/understudy/actor"
)

// Start checks the spec, starts its children one after another, each when the
// one before it is ready, and returns when all are. ctx bounds the starting
// only; the tree lives until [Tree.Stop], or until it ends by itself.
//
// All faults of the spec are reported together, before anything is started.
// If a child cannot be started, those that came up are stopped in reverse order,
// and the error is a [*StartError] that names the child and wraps the cause.
//
// Outside of actors it makes an [actor.System], which ends with the tree.
// Called in an actor, with a ctx of its constructor, Run or handlers, the tree
// belongs to the actor: its paths are below the actor's, and it is stopped when
// the actor ends.
func Start(ctx context.Context, spec Spec) (*Tree, error) {
	return start(ctx, spec, func(*actor.System) error { return nil })
}

// start is Start; prepare is called with the system of a root before anything
// is started in it.
func start(ctx context.Context, spec Spec, prepare func(*actor.System) error) (*Tree, error) {
	return startTree(ctx, spec, prepare, false)
}

// startTree is start; own says that the actor whose tree it is is nothing else
// than this supervisor.
func startTree(ctx context.Context, spec Spec, prepare func(*actor.System) error, own bool) (*Tree, error) {
	at := "/"
	scope, inside := actor.ScopeOf(ctx)
	if inside {
		at = join(scope.Path(), spec.Name)
	}
	p, err := makePlan(at, spec, nil)
	if inside {
		err = errors.Join(err, spec.checkNotRoot(at))
	}
	if err != nil {
		return nil, err
	}
	if inside {
		if err := p.checkFree(scope.System(), at); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		return nil, &cutError{at, context.Cause(ctx)}
	}
	var t *Tree
	if inside {
		t = newTree(at, p, scope.System(), scope.System())
		t.own = own
		t.detach = actor.Attach(scope, func(ctx context.Context) { _ = t.Stop(ctx) })
	} else {
		sys, err := actor.NewSystem(actor.SystemOptions{Logger: spec.Logger, MaxMessage: spec.MaxMessage, Inline: spec.Inline, Lane: spec.Lane, Spin: spec.Spin, Cgroups: spec.Cgroups})
		if err != nil {
			return nil, fmt.Errorf("start supervisor: %w", err)
		}
		if err := prepare(sys); err != nil {
			return nil, errors.Join(fmt.Errorf("start supervisor: %w", err), sys.Close(context.Background()))
		}
		t = newTree(at, p, sys, sys)
		t.close = func() error { return sys.Close(context.Background()) }
	}
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
