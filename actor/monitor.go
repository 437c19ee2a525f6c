package actor

import (
	"context"
	"fmt"
	"iter"
)

// watcher is a target whose ends can be watched.
type watcher interface {
	// Watch waits for ends after the first cursor ones; a negative cursor asks
	// where to begin. final: no more will come.
	Watch(ctx context.Context, cursor int) (next int, downs []Down, final bool, err error)
}

// Monitor returns the ends of the actor's incarnations from now on, each
// exactly once, until ctx ends or the actor is gone for good. An error, which
// is the last element, means that it is not known what becomes of the actor: the
// process that knew has ended, or ctx has. Monitor returns when the monitor is
// set up; the result may be ranged over once.
func (r Ref[K]) Monitor(ctx context.Context) iter.Seq2[Down, error] {
	to := r.to.target().(watcher)
	cursor, _, final, err := to.Watch(ctx, -1)
	return func(yield func(Down, error) bool) {
		for err == nil && !final {
			var downs []Down
			if cursor, downs, final, err = to.Watch(ctx, cursor); err != nil {
				break
			}
			for _, d := range downs {
				if r.to.pin == (Incarnation{}) || r.to.pin == d.Incarnation {
					if !yield(d, nil) {
						return
					}
				}
				if r.to.pin == d.Incarnation {
					return // it will not end twice
				}
			}
		}
		if err != nil {
			yield(Down{}, fmt.Errorf("monitoring %s: %w", r, err))
		}
	}
}
