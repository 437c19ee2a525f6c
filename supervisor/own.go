package supervisor

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// Kind is a kind of supervisor that runs in a process of its own: see [Define].
type Kind[A any] struct{ kind *actor.Kind[role, A] }

// Define defines a kind of supervisor that runs in a process of its own, or
// wherever [OwnProcess] puts it. spec is called in that process, at each start;
// only its argument travels. Like [actor.Define] it belongs in a package
// variable, so that it is known in all processes of the program.
func Define[A any](name string, spec func(ctx context.Context, args A) (Spec, error)) *Kind[A] {
	return &Kind[A]{actor.Define(name, func(ctx context.Context, args A) (*role, error) {
		sp, err := spec(ctx, args)
		if err != nil {
			return nil, err
		}
		tree, err := startTree(ctx, sp, nil, true) // attaches to the actor whose ctx this is
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

// Name returns the name of the kind.
func (k *Kind[A]) Name() string { return k.kind.Name() }

// OwnProcess is a child that is a supervisor in a process of its own: a crash
// of its process, or of an in-process actor in it, is one failure to its parent.
// Its children's paths are below its own. As for every supervisor, there is no
// time limit for its start and stop unless an option says so.
func OwnProcess[A any](kind *Kind[A], id string, args A, opts ...actor.Option) Child {
	return Child{id: id, opts: opts, body: ownBody{kind.kind.Blueprint(args)}}
}

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

type ownBody struct{ blueprint actor.Blueprint }

func (b ownBody) kind() string { return b.blueprint.Kind() }

func (b ownBody) prepare(_ string, defaults, opts []actor.Option) (launcher, actor.Settings, error) {
	// Of the defaults for actors only those of its process are meant for it.
	forSupervisors := func(s *actor.Settings) {
		s.Restart, s.Significant, s.Backoff = actor.Permanent, false, actor.Backoff{}
		forever := actor.Forever
		s.StopTimeout, s.StartTimeout = &forever, time.Duration(math.MaxInt64)
	}
	bp := b.blueprint.With(append(defaults[:len(defaults):len(defaults)], forSupervisors), opts)
	return ownLauncher{actorLauncher{bp}}, *bp.Settings(), bp.Validate()
}

type ownLauncher struct{ actorLauncher }

func (l ownLauncher) launch(parent *Tree, path string) instance {
	return ownProcess{parent.System().Launch(path, l.blueprint)}
}

// ownProcess is an incarnation of a supervisor's process.
type ownProcess struct{ *actor.Instance }

// Exit reports the end as a supervisor's. That its tree gave up, or shut down
// by itself, the process has said with the error, or without one, that Run
// returned; nothing else in it can say so, and an exit code is another reason.
func (p ownProcess) Exit() actor.ExitStatus {
	x := p.Instance.Exit()
	if x.Reason == actor.ReasonError || x.Reason == actor.ReasonNormal {
		x.Reason = actor.ReasonShutdown
	}
	return x
}
