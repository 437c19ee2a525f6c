package supervisor

import (
	"errors"
	"slices"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// handle does what one event asks for. What cannot be done while an operation
// is under way waits in the queue.
func (s *state) handle(ev event) {
	switch ev := ev.(type) {
	case begin:
		for _, c := range s.children {
			s.tell(s.edit(c.id), runtime.PathStarting)
		}
		s.run(operation{kind: opStart, start: s.ids()})
	case childReady:
		s.ready(ev)
	case childFailed:
		s.failed(ev)
	case childExited:
		s.exited(ev)
	case retryDue:
		s.retryNow(ev)
	case called:
		s.call(ev)
	case callCancelled:
		s.cancel(ev)
	case stopAsked:
		s.shutdown(endStopped, nil)
	case startCut:
		if s.op.kind == opStart {
			err := ev.err
			if s.op.launched != "" {
				err = &StartError{Path: join(s.path, s.op.launched), Err: err}
			}
			s.shutdown(endStartFailed, err)
		}
	case killAsked:
		s.kill()
	}
}

func (s *state) ids() []string {
	ids := make([]string, len(s.children))
	for i, c := range s.children {
		ids[i] = c.id
	}
	return ids
}

// ready: an incarnation is up. One that was asked to stop meanwhile is not
// news.
func (s *state) ready(ev childReady) {
	if c := s.find(ev.id); c == nil || c.inc != ev.inc || c.phase != starting {
		return
	}
	c := s.enter(ev.id, running)
	c.readyAt = s.now
	if c.supervisor {
		s.tell(c, runtime.PathRunning)
	}
	c.told = runtime.PathRunning // an actor's launch itself says so
	s.do(emit{what: actor.EventReady, id: c.id, inc: c.inc})
	s.launchedOver(ev.id)
}

// launchedOver goes on after the start that the operation waited for.
func (s *state) launchedOver(id string) {
	if s.op.launched == id {
		s.op.launched = ""
	}
	s.advance()
}

// failed: an incarnation did not become ready.
func (s *state) failed(ev childFailed) {
	c := s.find(ev.id)
	if c == nil || c.inc != ev.inc {
		return
	}
	if c.phase == stopping { // we cut the start off
		s.gone(ev.id, ev.exit)
		return
	}
	if c.phase != starting {
		return
	}
	c = s.enter(ev.id, idle)
	ignored := errors.Is(ev.err, actor.ErrIgnore)
	if !ignored {
		c.lastErr, c.last = ev.err, &ev.exit
		s.do(emit{what: actor.EventStartFailed, id: c.id, inc: c.inc, exit: &ev.exit, err: ev.err})
	}
	switch {
	case s.op.kind == opShutdown || s.op.launched != c.id:
	case ignored:
		if s.keepsNoStopped(c) {
			s.drop(c.id)
		}
	case s.op.kind == opStart:
		s.shutdown(endStartFailed, s.startError(c))
		return
	case s.op.kind == opAdd:
		s.op.err = s.startError(c)
		s.drop(c.id)
	case s.op.kind == opResume:
		s.op.err = s.startError(c)
	case ev.exit.DoNotRestart || errors.Is(ev.err, actor.ErrDoNotRestart):
		s.autoShutdown(c)
	default: // a failed start in a restart is tried again
		c = s.enter(c.id, restarting)
		c.inRow++
		s.op = operation{}
		s.do(emit{what: actor.EventRestarting, id: c.id, inc: c.inc, err: ev.err})
		s.arm(c, false)
	}
	s.launchedOver(ev.id)
}

func (s *state) startError(c *child) error {
	return &StartError{Path: join(s.path, c.id), Err: c.lastErr}
}

// exited: an incarnation that was ready has ended.
func (s *state) exited(ev childExited) {
	c := s.find(ev.id)
	if c == nil || c.inc != ev.inc {
		return
	}
	switch c.phase {
	case stopping:
		s.gone(ev.id, ev.exit)
	case running:
		c = s.enter(ev.id, ended)
		c.last = &ev.exit
		s.do(emit{what: actor.EventExited, id: c.id, inc: c.inc, exit: c.last, err: ev.exit.Err})
		if s.op.kind == opNone {
			s.decide(ev.id)
		} else {
			s.pending = appendTo(s.pending, event(ev))
		}
	case ended: // its turn in the queue has come
		s.decide(ev.id)
	}
}

// gone: a child that was asked to end has ended, with its own reason if it
// crashed before it could obey.
func (s *state) gone(id string, exit actor.ExitStatus) {
	c := s.enter(id, idle)
	c.last = &exit
	s.do(emit{what: actor.EventExited, id: c.id, inc: c.inc, exit: c.last, err: exit.Err})
	s.halted(c)
	s.advance()
}

// decide: what the end of a child by itself means. It is the table of
// SUPERVISION.
func (s *state) decide(id string) {
	c := s.find(id)
	again := c.restart == Permanent ||
		c.restart == Transient && runtime.ClassOf(c.last.Reason) == runtime.Abnormal
	if again && !c.last.DoNotRestart {
		s.restart(id)
		return
	}
	c = s.enter(id, idle)
	if s.keepsNoStopped(c) {
		s.drop(id)
	}
	s.autoShutdown(c)
}

// autoShutdown: c ended by itself and is not restarted.
func (s *state) autoShutdown(c *child) {
	if !c.significant || s.auto == autoShutdownNever {
		return
	}
	if s.auto == AutoShutdownAll {
		for _, o := range s.children {
			if o.significant && o.id != c.id && o.phase != idle {
				return
			}
		}
	}
	s.shutdown(endAutoShutdown, nil)
}

// kill cuts an orderly stop short, or does without one.
func (s *state) kill() {
	if s.done {
		return
	}
	s.killing = true
	for _, c := range slices.Backward(s.children) {
		if c.phase == stopping {
			s.do(stop{id: c.id, inc: c.inc, timeout: 0})
		}
	}
	s.shutdown(endStopped, nil)
	s.advance()
}

// appendTo appends without writing to what an older state still sees.
func appendTo[T any](list []T, v T) []T {
	return append(list[:len(list):len(list)], v)
}
