package supervisor

import (
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// opKind is what an operation is for.
type opKind uint8

const (
	opNone     opKind = iota
	opStart           // the children of the spec, in order
	opRestart         // target and its group
	opShutdown        // everything, and then the end
)

// operation is what the supervisor as a whole is busy with: it stops some
// children, then starts some. At most one is under way.
type operation struct {
	kind    opKind
	from    int      // it is about the children from this place on
	target  string   // opRestart: the child that ended
	err     error    // opShutdown: the error of the end
	cause   endCause // opShutdown
	stop    []string // still to be stopped, the next one first
	start   []string // still to be started, the next one first; filled when all are stopped
	asked   int      // of its children, those in phase stopping
	starts  int      // of its children, those whose start it waits for
	delayed bool     // opRestart: its back-off is over
	begun   bool     // opRestart: start is filled
}

// run begins the operation.
func (s *state) run(op operation) {
	for c := range s.since(op.from) {
		if c.phase == stopping {
			op.asked++
		}
	}
	s.op = op
	s.advance()
}

// advance goes on with the operation until it has to wait or is over.
func (s *state) advance() {
	for s.op.kind != opNone && !s.done {
		switch {
		case len(s.op.stop) > 0 && (s.op.asked == 0 || s.stopsSideBySide()):
			id := s.op.stop[0]
			s.op.stop = s.op.stop[1:]
			s.halt(id)
		case s.op.asked > 0:
			return
		case len(s.op.start) > 0 && (s.op.starts == 0 || s.startsSideBySide()):
			id := s.op.start[0]
			s.op.start = s.op.start[1:]
			s.edit(id).job = job{kind: jobGroup, group: true}
			s.op.starts++
			s.launch(id)
		case s.op.starts > 0:
			return
		default:
			s.over()
		}
	}
}

// stopsSideBySide reports whether the operation stops children at once.
func (s *state) stopsSideBySide() bool {
	return s.op.kind == opShutdown && (s.strategy == Dynamic || s.killing)
}

// startsSideBySide reports whether the operation may start one more beside
// those that start.
func (s *state) startsSideBySide() bool {
	return s.strategy == Dynamic && s.busy < s.parallel
}

// halt stops one child of the operation, whatever its phase.
func (s *state) halt(id string) {
	c := s.find(id)
	if c == nil {
		return
	}
	if s.op.kind == opRestart && c.job.by.call != 0 {
		s.overtake(id)
		if c = s.find(id); c == nil {
			return
		}
	}
	switch c.phase {
	case starting, running:
		s.ask(id)
	case ended: // its exit is dealt with here, not when its turn in the queue comes
		s.halted(s.enter(id, idle))
	case restarting: // the retry is off
		s.halted(s.enter(id, idle))
	case idle:
	case stopping: // asked already, and awaited
	}
}

// overtake has the call that starts the child begin again after the restart of
// the group to which the child belongs.
func (s *state) overtake(id string) {
	c := s.edit(id)
	call := c.job.by
	call.overtaken = true
	s.wait(call)
	switch {
	case c.job.kind != jobAdd:
		s.finish(c)
	case c.phase == starting:
		c.job = job{kind: jobStop, drop: true}
	default:
		s.finish(c)
		s.drop(id)
	}
}

// halted decides about a child that the operation stopped (or would have, had
// it not ended by itself). In the end of the supervisor its spec matters no
// more; whether its path comes back is for the parent to say.
func (s *state) halted(c *child) {
	switch {
	case s.op.kind != opRestart:
	case c.restart == Temporary:
		s.drop(c.id)
	default:
		s.tell(c, runtime.PathRestarting)
	}
}

// over goes on when all that the operation stops has ended and all that it
// starts is up: to its starts, or to its end.
func (s *state) over() {
	switch op := s.op; {
	case op.kind == opRestart && !op.begun:
		s.delayOrStart()
		return
	case op.kind == opShutdown:
		s.end()
		return
	case op.kind == opStart:
		s.do(started{})
	}
	s.op, s.settle = operation{}, true
}

// delayOrStart starts the group of a restart, now or after its back-off.
func (s *state) delayOrStart() {
	c := s.find(s.op.target)
	if !s.op.delayed && c.delay() > 0 {
		s.op, s.settle = operation{}, true
		s.arm(s.edit(c.id), c.delay(), true)
		return
	}
	s.op.begun = true
	for o := range s.since(s.op.from) {
		s.op.start = append(s.op.start, o.id)
	}
}

// arm asks for the next attempt to start the child.
func (s *state) arm(c *child, delay time.Duration, counted bool) {
	s.retries++
	c.retry, c.counted = s.retries, counted
	s.tell(c, runtime.PathRestarting)
	s.do(armRetry{id: c.id, retry: c.retry, delay: delay, jitter: c.backoff.Jitter})
}

// shutdown ends the supervisor: what is under way is given up, waiting calls
// are answered, all children stop in reverse order.
func (s *state) shutdown(cause endCause, err error) {
	if s.op.kind == opShutdown || s.done {
		return
	}
	op := operation{kind: opShutdown, cause: cause, err: err}
	s.op = operation{err: err} // nothing else goes on
	for _, c := range s.children.backward() {
		op.stop = append(op.stop, c.id)
		if c.calls.len() > 0 {
			c = s.edit(c.id)
			s.release(c)
		}
		if c.job.kind == jobNone {
			continue
		}
		c = s.edit(c.id)
		if c.job.by.call != 0 {
			s.do(reply{call: c.job.by.call, err: s.stopping()})
		}
		c.job = job{stops: c.job.stops} // they asked for just this
		if len(c.job.stops) > 0 {
			c.job.kind = jobStop
		}
	}
	for ev := range s.pending.all() { // exits among them: those children are in phase ended
		if c, ok := ev.(called); ok && s.waiting.has(c.call) {
			s.do(reply{call: c.call, err: s.stopping()})
		}
	}
	s.pending, s.waiting, s.due = queue[event]{}, ordered[callID, struct{}]{}, ordered[int, string]{}
	s.run(op)
}

// end reports the end of the supervisor. Children added at run time are gone
// with it; whether the others' paths come back, only its parent knows.
func (s *state) end() {
	s.done = true
	for c := range s.all() {
		if c.dynamic {
			s.tell(s.edit(c.id), runtime.PathGone)
		}
	}
	what := actor.EventStopped
	if s.op.cause == endAutoShutdown {
		what = actor.EventAutoShutdown
	}
	if s.op.cause == endStopped || s.op.cause == endAutoShutdown {
		s.do(emit{what: what, err: s.op.err})
	}
	s.do(end{cause: s.op.cause, err: s.op.err})
}
