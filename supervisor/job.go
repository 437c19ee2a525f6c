package supervisor

import (
	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// jobKind is what one child is busy with.
type jobKind uint8

const (
	jobNone    jobKind = iota
	jobGroup           // its start is a part of the operation, which waits for it
	jobAdd             // StartChild
	jobResume          // RestartChild
	jobRestart         // its restart, alone
	jobStop            // StopChild, or a start that is undone
)

// job is what one child is busy with, from the moment that this is decided
// until it is up or has ended. Calls about the child wait for its end.
type job struct {
	kind   jobKind
	by     called   // jobAdd, jobResume: whom it serves
	stops  []callID // jobStop: who waits for its end
	drop   bool     // jobStop: the spec goes, too
	group  bool     // the operation waits for the start, however it ends
	ticket int      // its place in state.due; 0: none
}

// begin starts the child for the job, or lets it wait until fewer are busy:
// restarts before children that are new.
func (s *state) begin(id string, j job) {
	c := s.edit(id)
	if s.busy >= s.parallel {
		j.ticket = s.lastTicket + 1
		s.lastTicket = j.ticket
		if j.kind != jobRestart {
			j.ticket += behindRestarts
		}
		s.due = s.due.set(j.ticket, id)
	}
	c.job = j
	if j.ticket == 0 {
		s.launch(id)
	}
}

// behindRestarts is more than there ever will be tickets.
const behindRestarts = 1 << 62

// startDue starts what waits, as far as there are places.
func (s *state) startDue() {
	for s.busy < s.parallel {
		ticket, id, ok := s.due.first()
		if !ok {
			return
		}
		s.due = s.due.delete(ticket)
		s.edit(id).job.ticket = 0
		s.launch(id)
	}
}

// finish ends the child's job and returns what it was.
func (s *state) finish(c *child) job {
	j := c.job
	if j.kind == jobNone {
		return j
	}
	c = s.edit(c.id)
	c.job = job{}
	s.touched = append(s.touched, c.id)
	if j.group {
		s.op.starts--
	}
	s.due = s.due.delete(j.ticket)
	s.release(c)
	return j
}

// release has the calls that waited for the child's job begin in this step, or
// wait for the operation.
func (s *state) release(c *child) {
	for call := range c.calls.all() {
		s.pending = s.pending.push(call)
	}
	c.calls = queue[called]{}
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
	s.do(launch{id: id, inc: c.inc, spec: c.spec})
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

// stopChild stops a child for a call, or without one for a start that is
// undone. Whose start it cuts off is told why.
func (s *state) stopChild(id string, call callID, why error) {
	c := s.edit(id)
	if c.job.kind == jobStop {
		if call != 0 {
			c.job.stops = append(c.job.stops[:len(c.job.stops):len(c.job.stops)], call)
		}
		return
	}
	j := job{kind: jobStop, drop: c.job.kind == jobAdd, group: c.job.group}
	if c.job.by.call != 0 {
		s.do(reply{call: c.job.by.call, err: why})
	}
	if call != 0 {
		j.stops = []callID{call}
	}
	s.due = s.due.delete(c.job.ticket)
	c.job = j
	switch c.phase {
	case starting, running:
		s.ask(id)
		return
	case stopping: // asked by the operation
		return
	case ended, restarting:
		j.drop = j.drop || s.keepsNoStopped(c)
		s.enter(id, idle)
	}
	if s.finish(c); call != 0 {
		s.do(reply{call: call})
	}
	if j.drop {
		s.drop(id)
	}
}

// killChild has the present incarnation end by force. What follows is decided
// as after any crash.
func (s *state) killChild(ev called) error {
	c := s.find(ev.id)
	switch {
	case c == nil:
		return actor.ErrNotFound
	case c.phase == starting, c.phase == running:
		s.do(kill{id: c.id, inc: c.inc})
	case c.phase == stopping:
		s.do(stop{id: c.id, inc: c.inc, timeout: 0})
	default:
		return actor.ErrNotRunning
	}
	c = s.edit(ev.id)
	c.kills = append(c.kills[:len(c.kills):len(c.kills)], ev.call)
	return nil
}

// answerKills answers those who wait for the end of the incarnation.
func (s *state) answerKills(c *child) {
	for _, call := range c.kills {
		s.do(reply{call: call})
	}
	c.kills = nil
}
