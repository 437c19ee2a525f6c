package actor

import (
	"context"
	"errors"
	"fmt"

	"github.com/understudy-go/understudy/internal/port"
)

// What a message to a pool (supervisor.Pool) can be told besides the errors of
// any message. Both come in a [*PoolError].
var (
	// ErrNoWorker: the pool has no worker that could handle the message, and gets
	// none. It is an ErrNotRunning.
	ErrNoWorker = fmt.Errorf("no worker (%w)", ErrNotRunning)
	// ErrQuarantined: the message's key has killed too many workers.
	ErrQuarantined = errors.New("input is quarantined")
)

// PoolError is why a pool did not give a message to a worker.
type PoolError struct {
	Path string      // of the pool
	Err  error       // ErrNoWorker or ErrQuarantined
	Exit *ExitStatus // how the last worker ended, or the last one that the key has killed; nil if not known
}

func (e *PoolError) Error() string {
	text := "pool " + e.Path + ": " + e.Err.Error()
	if e.Exit != nil {
		text += ": the last worker ended: " + e.Exit.String()
	}
	return text
}

func (e *PoolError) Unwrap() error { return e.Err }

// WithKey returns a context whose messages to a pool carry the key, such as a
// hash of their input: a key that has killed workers can be refused. See
// supervisor.Quarantine. Of a key at most 64 bytes count.
func WithKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, port.PoolKey{}, key[:min(len(key), 64)])
}

// WithOrder returns a context whose messages to a pool have an order: those with
// the same key are handled one after another, as they were sent.
func WithOrder(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, port.OrderKey{}, key)
}

// Repeatable declares that the method may be begun more than once for one
// message: a pool with a Retry tries it again when a worker died with it. It
// returns m, so that it can stand in the method's declaration.
func (m *Method[K, Req, Resp]) Repeatable() *Method[K, Req, Resp] {
	m.kind.SetRepeatable(m.name)
	return m
}
