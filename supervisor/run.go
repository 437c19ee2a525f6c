package supervisor

import (
	"context"
	"errors"
	"slices"

	"github.com/understudy-go/understudy/actor"
)

// Run is a service's main function: it starts the tree, lets it live until ctx
// ends or the process gets a signal to end, and stops it in order. It returns nil
// then; otherwise why the tree could not be started, or why it gave up. An
// auto-shutdown is no error.
//
// While Run runs it answers SIGINT, SIGTERM and SIGHUP for the whole system: the
// actors' processes do nothing on them. Each stops the tree, but SIGHUP calls
// [Options.Reload] instead if that is set. After the first one, a second SIGINT
// has its usual meaning. What the process ignored before (nohup) stays ignored.
// In an actor Run knows no signals: its ctx ends when the actor does.
func Run(ctx context.Context, spec Spec, opts ...Options) error {
	if _, inside := actor.ScopeOf(ctx); inside {
		return run(ctx, spec, nil, opts)
	}
	var reload func(context.Context)
	if len(opts) == 1 {
		opts = slices.Clone(opts)
		reload, opts[0].Reload = opts[0].Reload, nil
	}
	s := answerSignals(reload != nil)
	defer s.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go s.stopOn(ctx, cancel)
	return run(ctx, spec, func() { s.reloadOn(ctx, reload) }, opts)
}

// run is Run without signals. started, if not nil, runs beside the tree.
func run(ctx context.Context, spec Spec, started func(), opts []Options) error {
	t, err := Start(ctx, spec, opts...)
	if err != nil {
		if cut := (*cutError)(nil); errors.As(err, &cut) {
			return nil
		}
		return err
	}
	if started != nil {
		go started()
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
