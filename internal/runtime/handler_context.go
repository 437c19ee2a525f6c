package runtime

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/sys"
)

// handlerContext is the context of one message. Its users see what
// context.WithCancelCause and context.WithDeadline make of the actor's own; but
// most handlers never look at theirs, and to make those for each message costs
// more than to handle it. So they are made at the first question for what
// only they can give: Done, or a value by a key that is not ours, which is how
// package context finds out where to register a child. Until then the end is a
// matter of looking: whether it was ended, the actor ends, or the deadline
// has passed.
//
// It is part of the invocation, and handlers may keep it. So it belongs to one
// message for good, and what has ended stays so.
type handlerContext struct {
	inv      *invocation // whose actor's end is its end, too
	deadline int64       // on CLOCK_MONOTONIC, in nanoseconds; 0: none
	at       atomic.Pointer[time.Time]
	state    atomic.Pointer[contextState] // nil: it has not ended, as far as is known
}

// contextState is what became of a handlerContext: it ended, or a context of
// the standard library has taken its place, or both, in this order.
type contextState struct {
	err, cause error

	full   context.Context
	cancel context.CancelCauseFunc
}

var (
	contextReturned = &contextState{err: context.Canceled, cause: context.Canceled}
	contextLate     = &contextState{err: context.DeadlineExceeded, cause: context.DeadlineExceeded}
)

// look finds out about the end.
func (c *handlerContext) look() *contextState {
	s := c.state.Load()
	if s != nil {
		return s
	}
	switch err := c.inv.h.ctx.Err(); {
	case err != nil:
		s = &contextState{err: err, cause: context.Cause(c.inv.h.ctx)}
	case c.deadline != 0 && sys.MonotonicNow() >= c.deadline:
		s = contextLate
	default:
		return nil
	}
	c.state.CompareAndSwap(nil, s) // else another goroutine was quicker, and that counts
	return c.state.Load()
}

// end cancels it, unless it has ended.
func (c *handlerContext) end(cause error) {
	s := c.look()
	if s == nil {
		ended := contextReturned
		if cause != context.Canceled {
			ended = &contextState{err: context.Canceled, cause: cause}
		}
		if c.state.CompareAndSwap(nil, ended) {
			return
		}
		s = c.state.Load()
	}
	if s.cancel != nil {
		s.cancel(cause)
	}
}

// materialize returns the context of the standard library that takes its
// place. Once there is one, it is the only one.
func (c *handlerContext) materialize() context.Context {
	for {
		s := c.look()
		if s != nil && s.full != nil {
			return s.full
		}
		var made *contextState
		if s == nil {
			made = c.alive()
		} else {
			made = s.dead()
		}
		if c.state.CompareAndSwap(s, made) {
			return made.full
		}
		made.cancel(context.Canceled) // another goroutine was quicker
	}
}

func (c *handlerContext) alive() *contextState {
	s := new(contextState)
	s.full, s.cancel = context.WithCancelCause(c.inv.h.ctx)
	if at, ok := c.Deadline(); ok {
		cancel := s.cancel
		var stop context.CancelFunc
		s.full, stop = context.WithDeadline(s.full, at)
		s.cancel = func(cause error) { cancel(cause); stop() }
	}
	return s
}

// dead makes a context that has ended in the same way. What the actor's own
// would tell of its end does not matter any more.
func (s *contextState) dead() *contextState {
	made := new(contextState)
	if s.err == context.DeadlineExceeded {
		var stop context.CancelFunc
		made.full, stop = context.WithDeadline(context.Background(), time.Unix(0, 0))
		made.cancel = func(error) { stop() }
	} else {
		made.full, made.cancel = context.WithCancelCause(context.Background())
	}
	made.cancel(s.cause)
	return made
}

// Deadline implements [context.Context].
func (c *handlerContext) Deadline() (time.Time, bool) {
	if c.deadline == 0 {
		return time.Time{}, false
	}
	at := c.at.Load()
	if at == nil { // the clocks are compared once, so that the answer is always the same
		t := time.Now().Add(time.Duration(c.deadline - sys.MonotonicNow()))
		c.at.CompareAndSwap(nil, &t)
		at = c.at.Load()
	}
	return *at, true
}

// Done implements [context.Context].
func (c *handlerContext) Done() <-chan struct{} { return c.materialize().Done() }

// Err implements [context.Context].
func (c *handlerContext) Err() error {
	switch s := c.look(); {
	case s == nil:
		return nil
	case s.full != nil:
		return s.full.Err()
	default:
		return s.err
	}
}

// cause is context.Cause, at no greater cost than Err.
func (c *handlerContext) cause() error {
	switch s := c.look(); {
	case s == nil:
		return nil
	case s.full != nil:
		return context.Cause(s.full)
	default:
		return s.cause
	}
}

// Value implements [context.Context].
func (c *handlerContext) Value(key any) any {
	switch key.(type) {
	case port.ContextKey:
		return c.inv
	case port.TraceKey:
		return c.inv.trace
	case port.PoolKey, port.OrderKey: // they are of one message
		return nil
	}
	return c.materialize().Value(key)
}

// String says whose context it is.
func (c *handlerContext) String() string { return "actor.Context(" + c.inv.h.path + ")" }
