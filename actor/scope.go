package actor

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// scope is an actor as a place where names are looked up and children live.
type scope struct{ h *host }

func (s scope) System() *System { return s.h.sys }
func (s scope) Path() string    { return s.h.path }

type ctxKey struct{}

// fromContext returns the actor and the message that ctx belongs to: both nil
// outside of actors, the message alone outside of handlers.
func fromContext(ctx context.Context) (*host, *invocation) {
	switch v := ctx.Value(ctxKey{}).(type) {
	case *invocation:
		return v.h, v
	case *host:
		return v, nil
	}
	return nil, nil
}

// invocationOf returns the message that ctx belongs to, if any.
func invocationOf(ctx context.Context) *invocation {
	_, inv := fromContext(ctx)
	return inv
}

// ScopeOf returns the actor that ctx belongs to; in an actor's process, the
// actor itself whatever ctx is. It is false outside of actors.
func ScopeOf(ctx context.Context) (Scope, bool) {
	if h, _ := fromContext(ctx); h != nil {
		return scope{h}, true
	}
	if h := mainHost.Load(); h != nil {
		return scope{h}, true
	}
	return nil, false
}

// contextError is ctx's error together with its cause, if that says more.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// Self returns the reference to the actor that ctx belongs to. It panics
// outside of an actor, or in an actor of another kind.
func Self[K, A any](ctx context.Context, k *Kind[K, A]) Ref[K] {
	s, ok := ScopeOf(ctx)
	if !ok {
		panic("actor.Self: the context does not belong to an actor")
	}
	h := s.(scope).h
	if h.kind != k.core {
		panic("actor.Self: actor " + h.path + " is of kind " + h.kind.name + ", not " + k.core.name)
	}
	return Ref[K]{address{sys: h.sys, path: h.path, kind: h.kind.name}}
}

// Attach has stop called, before the actor of the scope ends, with a context
// that ends with the actor's stop timeout. Supervisors that an actor starts
// hang on it in this way. The function returned detaches.
func Attach(s Scope, stop func(context.Context)) (detach func()) {
	sc, ok := s.(scope)
	if !ok {
		return func() {}
	}
	return sc.h.attach(stop)
}

// Timer is a message to be sent later.
type Timer struct{ t *time.Timer }

// Stop keeps the message from being sent. It is false when it was sent
// already, or the timer was stopped.
func (t *Timer) Stop() bool { return t.t.Stop() }

// After casts v to ref when d has passed, unless the actor that ctx belongs to
// has ended by then. The end of a handler's ctx does not matter.
func After[K, Req, Resp any](ctx context.Context, d time.Duration, ref Ref[K], m *Method[K, Req, Resp], v Req) *Timer {
	if s, ok := ScopeOf(ctx); ok {
		ctx = s.(scope).h.ctx
	} else {
		ctx = context.WithoutCancel(ctx)
	}
	return &Timer{time.AfterFunc(d, func() {
		if ctx.Err() == nil {
			_ = m.Cast(ctx, ref, v) // a cast that cannot be delivered is a dead letter already
		}
	})}
}
