package supervisor

import (
	"slices"

	"github.com/understudy-go/understudy/actor"
)

// call begins an admin call, or lets it wait for the operation under way.
func (s *state) call(ev called) {
	switch {
	case s.done || s.op.kind == opShutdown:
		s.do(reply{call: ev.call, err: errStopping})
	case s.op.kind != opNone:
		s.pending = appendTo(s.pending, event(ev))
	default:
		if err := s.admin(ev); err != nil {
			s.do(reply{call: ev.call, err: err})
		}
	}
}

// admin carries out a call, or returns why not.
func (s *state) admin(ev called) error {
	c := s.find(ev.id)
	if ev.verb == verbStart {
		switch {
		case c == nil:
			s.children = appendTo(s.children, &child{policy: ev.spec.policy, spec: ev.spec.launch, dynamic: true})
			s.run(operation{kind: opAdd, target: ev.id, call: ev.call, start: []string{ev.id}})
			return nil
		case c.phase.alive():
			return ErrAlreadyStarted
		default:
			return ErrAlreadyPresent
		}
	}
	if c == nil {
		return actor.ErrNotFound
	}
	if ev.verb == verbStop {
		s.run(operation{kind: opStop, target: ev.id, call: ev.call, stop: []string{ev.id}})
		return nil
	}
	switch {
	case c.phase == restarting:
		return ErrRestarting
	case c.phase.alive():
		return ErrRunning
	case ev.verb == verbRestart:
		s.edit(ev.id).inRow = 0
		s.run(operation{kind: opResume, target: ev.id, call: ev.call, start: []string{ev.id}})
	default:
		s.drop(ev.id)
		s.do(reply{call: ev.call})
	}
	return nil
}

// cancel: nobody waits for the call any more.
func (s *state) cancel(ev callCancelled) {
	for i, p := range s.pending {
		if c, ok := p.(called); ok && c.call == ev.call {
			s.pending = slices.Delete(slices.Clone(s.pending), i, i+1)
			s.do(reply(ev))
			return
		}
	}
	if s.op.call != ev.call || s.op.launched == "" {
		return // done already, or a stop, which goes on
	}
	s.op.err = ev.err
	id := s.op.launched
	s.op.launched = ""
	s.ask(id)
}
