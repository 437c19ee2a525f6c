package supervisor

import (
	"context"
	"errors"
	"fmt"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/orphans"
)

// RunOption changes what [Run] does with the process that it runs in.
type RunOption func(*runSettings)

// runSettings are what Run changes in its process, until the tree has ended.
type runSettings struct {
	subreap bool
	reaper  *orphans.Reaper
}

// Subreaper makes the process the parent of orphans, in init's place, while Run
// runs: what the actors' own descendants leave behind becomes a child of this
// process, is reaped when it ends, and killed with the tree. It is for a
// service that is the first process of a container, or whose init does not reap,
// and in which Run is main: it concerns the whole process, and a library has no
// business with it.
//
// Children that the program starts itself, with os/exec or otherwise, are left
// alone: nothing is reaped that is not known to descend from an actor of this
// tree. That is known from its control group (see [actor.Cgroups]) or its
// oom_score_adj, which is one more in the actors' processes than in this one; a
// descendant that has changed both may stay a zombie. Orphans of the
// program's own children become children of this process as well, as the system
// cannot tell them apart, and reaping them is the program's.
//
// There can be one such Run in a process, and none in an actor. It needs Linux.
func Subreaper(r *runSettings) { r.subreap = true }

// prepare changes the process.
func (r *runSettings) prepare(sys *actor.System) (err error) {
	if r.subreap {
		r.reaper, err = orphans.StartReaper(sys.ID())
	}
	return err
}

// restore changes it back, after the end of the tree.
func (r *runSettings) restore() error {
	if r.reaper == nil {
		return nil
	}
	return r.reaper.Close()
}

// Run is a service's main function: it starts the tree, lets it live until ctx
// ends, and stops it in order. It returns nil then; otherwise why the tree
// could not be started, or why it gave up. An auto-shutdown is no error.
//
// ctx is all it knows of signals: make it with [signal.NotifyContext], whose
// stop function, called as soon as ctx ends, gives the second ^C its usual
// meaning.
func Run(ctx context.Context, spec Spec, opts ...RunOption) (err error) {
	var r runSettings
	for _, o := range opts {
		o(&r)
	}
	if _, inside := actor.ScopeOf(ctx); inside && r.subreap {
		return fmt.Errorf("%w: an actor cannot be a subreaper: it is for the root of a system", ErrBadSpec)
	}
	defer func() {
		if failed := r.restore(); err == nil {
			err = failed
		}
	}()
	t, err := start(ctx, spec, r.prepare)
	if err != nil {
		if cut := (*cutError)(nil); errors.As(err, &cut) {
			return nil
		}
		return err
	}
	select {
	case <-t.done:
	case <-ctx.Done():
		if err := t.Stop(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
	return t.Err()
}
