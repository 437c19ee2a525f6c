package supervisor

import (
	"context"
	"errors"
)

// Run is a service's main function: it starts the tree, lets it live until ctx
// ends, and stops it in order. It returns nil then; otherwise why the tree
// could not be started, or why it gave up. An auto-shutdown is no error.
//
// ctx is all it knows of signals: make it with [signal.NotifyContext], whose
// stop function, called as soon as ctx ends, gives the second ^C its usual
// meaning.
func Run(ctx context.Context, spec Spec, opts ...Options) error {
	t, err := Start(ctx, spec, opts...)
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
