package supervisor

import (
	"context"
	"errors"
	"math"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/internal/seal"
)

// Kind is a kind of supervisor that runs in a process of its own: see [Define].
type Kind[A any] struct{ kind *actor.Kind[role, A] }

// Define defines a kind of supervisor that runs in a process of its own. spec
// is called in that process, at each start; only its argument travels. Like
// [actor.Define] it belongs in a package variable, so that it is known in all
// processes of the program.
func Define[A any](name string, spec func(ctx context.Context, args A) (Spec, error)) *Kind[A] {
	return &Kind[A]{actor.Define(name, func(ctx context.Context, args A) (*role, error) {
		sp, err := spec(ctx, args)
		if err != nil {
			return nil, err
		}
		scope, _ := actor.ScopeOf(ctx) // there is one: a constructor's ctx
		tree, err := startInside(ctx, scope, sp, nil, true)
		if err != nil {
			return nil, childsWish(err)
		}
		return &role{tree}, nil
	})}
}

// childsWish returns the error of a start so that it says nothing about the
// supervisor itself: that a child of it asked not to be restarted, or to be
// ignored, concerns the child alone.
func childsWish(err error) error {
	if errors.Is(err, actor.ErrDoNotRestart) || errors.Is(err, actor.ErrIgnore) {
		return errors.New(err.Error())
	}
	return err
}

// With returns a supervisor of the kind with these arguments, for a [Child] to
// run in a process of its own: a crash of its process, or of an in-process
// actor in it, is one failure to its parent. Its children's paths are below its
// own. As for every supervisor, there is no time limit for its start and stop
// unless the child has one. The arguments are encoded once, when the child is
// checked.
func (k *Kind[A]) With(args A) Runnable { return ownBody{runtime.RoleOf(k.kind.With(args))} }

// role is the actor that is a supervisor.
type role struct{ tree *Tree }

// Run ends when the tree does. The tree is attached to the actor, which stops
// it when it is asked to end itself.
func (r *role) Run(ctx context.Context) error {
	select {
	case <-r.tree.Done():
		return r.tree.Err()
	case <-ctx.Done():
		return nil
	}
}

// ownBody is a child that is a supervisor in a process of its own.
type ownBody struct{ role port.Role }

func (b ownBody) kind() string { return kindName(b.role) }

// Runnable makes an ownBody the Run of a [Child].
func (ownBody) Runnable(seal.Seal) any { return nil }

// prepare: of the defaults for actors only those that concern the process are
// meant for it.
func (b ownBody) prepare(_ string, p *plan, c Child) (launcher, Child, error) {
	c = c.orProcess(p.defaults)
	timed := c
	timed.supervisor = true
	if timed.StartTimeout == 0 {
		timed.StartTimeout = math.MaxInt64
	}
	l, err := newActorLauncher(b.role, timed, c.stopTimeout(Forever), p.max)
	if err != nil {
		return nil, c, err
	}
	return ownLauncher{l}, c, nil
}

type ownLauncher struct{ actorLauncher }

func (l ownLauncher) launch(parent *Tree, path string) instance {
	return ownProcess{parent.system.Launch(path, l.role)}
}

// ownProcess is an incarnation of a supervisor's process.
type ownProcess struct{ *runtime.Instance }
