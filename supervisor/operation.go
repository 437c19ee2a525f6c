package supervisor

import (
	"slices"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// opKind is what an operation is for.
type opKind uint8

const (
	opNone     opKind = iota
	opStart           // the children of the spec, in order
	opRestart         // target and its group
	opAdd             // StartChild(target)
	opResume          // RestartChild(target)
	opStop            // StopChild(target)
	opShutdown        // everything, and then the end
)

// operation is what the supervisor is busy with: it stops some children, then
// starts some. At most one is under way.
type operation struct {
	kind     opKind
	target   string   // the child it is about
	call     callID   // who waits for its end, or 0
	err      error    // opAdd, opResume: cancelled, why; opShutdown: the error of the end
	cause    endCause // opShutdown
	stop     []string // still to be stopped, the next one first
	start    []string // still to be started, the next one first; filled when all are stopped
	launched string   // the child whose start is awaited
	delayed  bool     // opRestart: its back-off is over
	begun    bool     // opRestart: start is filled
}

// run begins the operation.
func (s *state) run(op operation) {
	s.op = op
	s.advance()
}

// advance goes on with the operation until it has to wait or is over.
func (s *state) advance() {
	for s.op.kind != opNone && s.op.launched == "" && !s.done {
		switch {
		case len(s.op.stop) > 0 && (s.asked == 0 || s.allAtOnce()):
			id := s.op.stop[0]
			s.op.stop = s.op.stop[1:]
			s.halt(id)
		case s.asked > 0:
			return
		case len(s.op.start) > 0:
			id := s.op.start[0]
			s.op.start = s.op.start[1:]
			s.launch(id)
		default:
			s.stopped()
		}
	}
}

// allAtOnce reports whether the operation stops children side by side.
func (s *state) allAtOnce() bool {
	return s.op.kind == opShutdown && (s.strategy == Dynamic || s.killing)
}

// halt stops one child of the operation, whatever its phase.
func (s *state) halt(id string) {
	c := s.find(id)
	if c == nil {
		return
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

// ask asks a live child to end.
func (s *state) ask(id string) {
	c := s.enter(id, stopping)
	timeout := c.stopTimeout
	if s.killing {
		timeout = 0
	}
	s.do(stop{id: id, inc: c.inc, timeout: timeout})
}

// halted decides about a child that the operation stopped (or would have, had
// it not ended by itself).
func (s *state) halted(c *child) {
	switch s.op.kind {
	case opShutdown:
		// Its spec matters no more here; whether its path comes back is for
		// the parent of the supervisor to say.
		if s.op.call != 0 && s.op.target == c.id {
			s.answer(nil) // somebody had asked for just this
		}
	case opRestart:
		if c.restart == Temporary {
			s.drop(c.id)
			return
		}
		s.tell(c, runtime.PathRestarting)
	case opAdd:
		s.drop(c.id)
	default:
		if s.keepsNoStopped(c) {
			s.drop(c.id)
		}
	}
}

// launch begins a new incarnation of the child.
func (s *state) launch(id string) {
	c := s.enter(id, starting)
	if c.inc > 0 {
		c.restarts++
	}
	s.incs++
	c.inc = s.incs
	if c.supervisor {
		s.tell(c, runtime.PathStarting)
	}
	c.told = runtime.PathStarting // an actor's launch itself says so
	s.op.launched = id
	s.do(launch{id: id, inc: c.inc, spec: c.spec})
}

// stopped goes on when all that the operation stops has ended and all that it
// starts is up: to its starts, or to its end.
func (s *state) stopped() {
	op := s.op
	switch op.kind {
	case opRestart:
		if !op.begun {
			s.delayOrStart()
			return
		}
		s.op = operation{}
	case opShutdown:
		s.answer(errStopping)
		s.finish()
		return
	case opStart:
		s.op = operation{}
		s.do(started{})
	default:
		s.answer(op.err)
		s.op = operation{}
	}
}

// delayOrStart starts the group of a restart, now or after its back-off.
func (s *state) delayOrStart() {
	c := s.find(s.op.target)
	if !s.op.delayed && c.delay() > 0 {
		s.op = operation{}
		s.arm(s.enter(c.id, restarting), true)
		return
	}
	s.op.begun = true
	s.op.start = s.group(s.op.target)
}

// arm asks for the next attempt to start the child.
func (s *state) arm(c *child, counted bool) {
	s.retries++
	c.retry, c.counted = s.retries, counted
	s.tell(c, runtime.PathRestarting)
	s.do(armRetry{id: c.id, retry: c.retry, delay: c.delay(), jitter: c.backoff.Jitter})
}

// answer replies to the call that the operation serves, once.
func (s *state) answer(err error) {
	if s.op.call != 0 {
		s.do(reply{call: s.op.call, err: err})
		s.op.call = 0
	}
}

// shutdown ends the supervisor: the operation under way is given up, waiting
// calls are answered, all children stop in reverse order.
func (s *state) shutdown(cause endCause, err error) {
	if s.op.kind == opShutdown || s.done {
		return
	}
	op := operation{kind: opShutdown, cause: cause, err: err}
	if s.op.kind == opStop {
		op.call, op.target = s.op.call, s.op.target
	} else {
		s.answer(errStopping)
	}
	for _, ev := range s.pending {
		if c, ok := ev.(called); ok {
			s.do(reply{call: c.call, err: errStopping})
		}
	}
	s.pending = nil // exits among it: those children are in phase ended
	for _, c := range slices.Backward(s.children) {
		op.stop = append(op.stop, c.id)
	}
	s.run(op)
}

// finish reports the end of the supervisor. Children added at run time are gone
// with it; whether the others' paths come back, only its parent knows.
func (s *state) finish() {
	s.done = true
	for _, c := range s.children {
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
