package actor

import (
	"context"
	"time"

	"github.com/understudy-go/understudy/internal/port"
)

// Scope is where names are looked up: a supervisor's tree, or, with [ScopeOf],
// an actor. Only this library implements it.
type Scope interface {
	// Path returns the path of the supervisor or the actor.
	Path() string
	// System leads to what carries the messages.
	System() port.System
}

// actorOf returns the actor that ctx belongs to, or whose process this is, or
// nil.
func actorOf(ctx context.Context) port.Actor {
	switch v := ctx.Value(port.ContextKey{}).(type) {
	case port.Invocation:
		return v.Actor()
	case port.Actor:
		return v
	}
	if r := port.Installed(); r != nil {
		return r.Self()
	}
	return nil
}

// ScopeOf returns the actor that ctx belongs to; in an actor's process, the
// actor itself whatever ctx is. It is false outside of actors.
func ScopeOf(ctx context.Context) (Scope, bool) {
	if a := actorOf(ctx); a != nil {
		return a, true
	}
	return nil, false
}

// Self returns the reference to the actor that ctx belongs to. It panics
// outside of an actor, or in an actor of another kind.
func Self[K, A any](ctx context.Context, k *Kind[K, A]) Ref[K] {
	a := actorOf(ctx)
	if a == nil {
		panic("actor.Self: the context does not belong to an actor")
	}
	if a.Kind() != k.kind {
		panic("actor.Self: actor " + a.Path() + " is of kind " + a.Kind().Name + ", not " + k.kind.Name)
	}
	return Ref[K]{address{to: a.System().Target(a.Path(), k.kind.Name)}}
}

// Timer is a message to be sent later.
type Timer struct{ t *time.Timer }

// Stop keeps the message from being sent. It is false when it was sent
// already, or the timer was stopped.
func (t *Timer) Stop() bool { return t.t.Stop() }

// After casts v to ref when d has passed, unless the actor that ctx belongs to
// has ended by then. The end of a handler's ctx does not matter.
func After[K, Req, Resp any](ctx context.Context, d time.Duration, ref Ref[K], m *Method[K, Req, Resp], v Req) *Timer {
	if a := actorOf(ctx); a != nil {
		ctx = a.Context()
	} else {
		ctx = context.WithoutCancel(ctx)
	}
	return &Timer{time.AfterFunc(d, func() {
		if ctx.Err() == nil {
			_ = m.Cast(ctx, ref, v) // a cast that cannot be delivered is a dead letter already
		}
	})}
}
