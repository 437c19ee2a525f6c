package supervisor

import (
	"errors"
	"strings"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// handle does what one event asks for. What cannot be done while an operation
// is under way waits in the queue.
func (s *state) handle(ev event) {
	switch ev := ev.(type) {
	case begin:
		for c := range s.all() {
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
			if id := s.firstStarting(); id != "" {
				err = &StartError{Path: join(s.path, id), Err: err}
			}
			s.shutdown(endStartFailed, err)
		}
	case killAsked:
		s.kill()
	}
}

func (s *state) ids() []string {
	ids := make([]string, 0, s.children.len())
	for c := range s.all() {
		ids = append(ids, c.id)
	}
	return ids
}

// firstStarting returns the id of the first child that is not up yet, or "".
func (s *state) firstStarting() string {
	for c := range s.all() {
		if c.phase == starting {
			return c.id
		}
	}
	return ""
}

// ready: an incarnation is up. One that was asked to stop meanwhile is not
// news.
func (s *state) ready(ev childReady) {
	if c := s.find(ev.id); c == nil || c.inc != ev.inc || c.phase != starting {
		return
	}
	c := s.enter(ev.id, running)
	c.readyAt, c.lastErr = s.now, nil
	if c.supervisor {
		s.tell(c, runtime.PathRunning)
	}
	c.told = runtime.PathRunning // an actor's launch itself says so
	s.do(emit{what: actor.EventReady, id: c.id, inc: c.inc})
	if j := s.finish(c); j.by.call != 0 {
		s.do(reply{call: j.by.call})
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
	s.answerKills(c)
	ignored := errors.Is(ev.err, actor.ErrIgnore)
	if !ignored {
		c.lastErr, c.last = ev.err, &ev.exit
		c.failures++
		s.do(emit{what: actor.EventStartFailed, id: c.id, inc: c.inc, exit: &ev.exit, err: ev.err})
	}
	switch j := s.finish(c); {
	case j.kind == jobNone: // a supervisor that ends does without it
	case j.by.call != 0:
		s.do(reply{call: j.by.call, err: s.startError(c, ev.err)})
		if j.kind == jobAdd && !ignored || ignored && s.keepsNoStopped(c) {
			s.drop(c.id)
		}
	case ignored:
		if s.keepsNoStopped(c) {
			s.drop(c.id)
		}
	case s.op.kind == opStart:
		s.shutdown(endStartFailed, s.startError(c, ev.err))
		return
	case s.ownWish(c, ev):
		s.notRestarted(c)
	default: // a failed start in a restart is tried again
		if s.op.kind != opNone {
			s.op, s.settle = operation{}, true
		}
		c = s.enter(c.id, restarting)
		c.inRow++
		s.do(emit{what: actor.EventRestarting, id: c.id, inc: c.inc, err: ev.err})
		s.arm(c, s.retryDelay(c), false)
	}
	s.advance()
}

func (s *state) startError(c *child, err error) error {
	return &StartError{Path: join(s.path, c.id), Err: err}
}

// ownWish reports whether a child that did not start asked not to be started
// again. What a child of a nested supervisor said of itself does not count.
func (s *state) ownWish(c *child, ev childFailed) bool {
	var below *StartError
	if errors.As(ev.err, &below) && strings.HasPrefix(below.Path, join(s.path, c.id)+"/") {
		return false
	}
	return ev.exit.DoNotRestart || errors.Is(ev.err, actor.ErrDoNotRestart)
}

// notRestarted: the child asked not to be started again, whatever its type.
func (s *state) notRestarted(c *child) {
	s.do(emit{what: actor.EventNotRestarted, id: c.id, inc: c.inc, exit: c.last, err: c.last.Err})
	if s.keepsNoStopped(c) {
		s.drop(c.id)
	}
	s.autoShutdown(c)
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
		s.answerKills(c)
		if s.op.kind == opNone {
			s.decide(ev.id)
		} else {
			s.pending = s.pending.push(ev)
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
	s.answerKills(c)
	again := s.op.kind == opRestart && !s.op.begun && c.pos >= s.op.from
	j := s.finish(c)
	for _, call := range j.stops {
		s.do(reply{call: call})
	}
	switch {
	case s.op.kind == opShutdown:
	case j.drop:
		s.drop(id)
	case again:
		s.halted(c)
	case s.keepsNoStopped(c):
		s.drop(id)
	}
	s.advance()
}

// decide says what the end of a child by itself means, by the restart types of
// Erlang/OTP's supervisor.
func (s *state) decide(id string) {
	c := s.find(id)
	again := c.restart == Permanent ||
		c.restart == Transient && runtime.ClassOf(c.last.Reason) == runtime.Abnormal
	if again && !c.last.DoNotRestart {
		s.restart(id)
		return
	}
	c = s.enter(id, idle)
	if again {
		s.notRestarted(c)
		return
	}
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
	if s.auto == AutoShutdownAll && s.significant > 0 {
		return
	}
	s.shutdown(endAutoShutdown, nil)
}

// kill cuts an orderly stop short, or does without one.
func (s *state) kill() {
	if s.done {
		return
	}
	s.killing = true
	for _, c := range s.children.backward() {
		if c.phase == stopping {
			s.do(stop{id: c.id, inc: c.inc, timeout: 0})
		}
	}
	s.shutdown(endStopped, nil)
	s.advance()
}
