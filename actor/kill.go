package actor

import (
	"context"
	"fmt"
)

// killer is a target whose incarnations can be killed.
type killer interface {
	Kill(ctx context.Context, pin Incarnation) error
}

// Kill ends one incarnation by force, SIGKILL for a process, and returns when it
// is reaped: the one that r is pinned to, or else the present one. Its supervisor
// then does what it does after a crash. Messages that the actor had not begun
// wait for the next incarnation, if there is one. It is [ErrNotRunning] if the
// incarnation does not run. A kill goes on when ctx ends.
func (r Ref[K]) Kill(ctx context.Context) error {
	if err := r.to.target().(killer).Kill(ctx, r.to.pin); err != nil {
		return fmt.Errorf("kill %s: %w", r, err)
	}
	return nil
}
