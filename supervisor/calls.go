package supervisor

import (
	"fmt"

	"github.com/understudy-go/understudy/actor"
)

// errStartStopped is what a call learns whose start StopChild cut off.
var errStartStopped = fmt.Errorf("stopped while it started: %w", actor.ErrStopped)

// call begins an admin call, or lets it wait for what is under way with its
// child, or with the supervisor as a whole.
func (s *state) call(ev called) {
	c := s.find(ev.id)
	var err error
	switch {
	case s.done || s.op.kind == opShutdown:
		err = s.stopping()
	case ev.verb == verbKill:
		err = s.killChild(ev)
	case ev.verb == verbStop && c != nil && s.stopsNow(c):
		s.stopChild(ev.id, ev.call, s.startError(c, errStartStopped))
		s.advance()
	case s.op.kind != opNone:
		s.wait(ev)
	case c != nil && c.job.kind != jobNone:
		s.waiting = s.waiting.set(ev.call, struct{}{})
		c = s.edit(ev.id)
		c.calls = c.calls.push(ev)
	default:
		err = s.admin(ev)
	}
	if err != nil {
		s.do(reply{call: ev.call, err: err})
	}
}

// stopping is the error of calls to a supervisor that ends, with the reason if
// it ends in disorder.
func (s *state) stopping() error {
	if s.op.err != nil {
		return fmt.Errorf("%w: %w", errStopping, s.op.err)
	}
	return errStopping
}

// wait lets a call wait for the end of the operation.
func (s *state) wait(ev called) {
	s.waiting = s.waiting.set(ev.call, struct{}{})
	s.pending = s.pending.push(ev)
}

// stopsNow reports whether a stop of the child need not wait for the operation:
// if there is none, or it is about others, or it waits for the child's start.
func (s *state) stopsNow(c *child) bool {
	switch {
	case s.op.kind == opNone, c.job.kind == jobStop:
		return true
	case c.phase == ended: // that comes first
		return false
	}
	return c.pos < s.op.from || c.phase == starting && c.job.group
}

// admin carries out a call about a child that is not busy, or returns why not.
func (s *state) admin(ev called) error {
	c := s.find(ev.id)
	if ev.verb == verbStart {
		switch {
		case c == nil:
			s.add(ev.spec, true)
			s.begin(ev.id, job{kind: jobAdd, by: ev})
			return nil
		case c.phase.alive():
			return ErrAlreadyStarted
		default:
			return ErrAlreadyPresent
		}
	}
	switch {
	case c == nil:
		return actor.ErrNotFound
	case c.phase == restarting:
		return ErrRestarting
	case c.phase == running && ev.overtaken: // by the restart that has started it
		s.do(reply{call: ev.call})
	case c.phase.alive():
		return ErrRunning
	case ev.verb == verbRestart:
		c = s.edit(ev.id)
		c.inRow, c.failures = 0, 0
		s.begin(ev.id, job{kind: jobResume, by: ev})
	default:
		s.drop(ev.id)
		s.do(reply{call: ev.call})
	}
	return nil
}

// cancel: the caller does not wait any more.
func (s *state) cancel(ev callCancelled) {
	if s.waiting.has(ev.call) {
		s.waiting = s.waiting.delete(ev.call)
		s.do(reply{call: ev.call, err: ev.err})
		return
	}
	if c := s.find(ev.id); c != nil && c.job.by.call == ev.call && ev.call != 0 {
		s.stopChild(ev.id, 0, ev.err)
	} // else done already, or a stop, which goes on
}
