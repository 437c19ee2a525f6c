package supervisor

import (
	"slices"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// restart begins the restart of a child that ended by itself: it is counted,
// and its group goes down now and comes up now, or after its back-off.
func (s *state) restart(id string) {
	c := s.score(id)
	if !s.count(c) {
		s.giveUp(c)
		return
	}
	s.tell(c, runtime.PathRestarting)
	s.do(emit{what: actor.EventRestarting, id: id, inc: c.inc, exit: c.last, err: c.last.Err})
	switch {
	case !s.alone():
		s.run(s.groupRestart(c))
	case c.delay() > 0:
		s.arm(c, c.delay(), true)
	default:
		s.begin(id, job{kind: jobRestart})
	}
}

// score moves an ended child to restarting and keeps the score of its
// restarts in a row.
func (s *state) score(id string) *child {
	endedAt := s.find(id).since
	c := s.enter(id, restarting)
	if endedAt-c.readyAt >= c.reset() {
		c.inRow = 0
	}
	c.inRow++
	c.failures = 0
	return c
}

// retryNow: the timer of a child that is restarting has fired.
func (s *state) retryNow(ev retryDue) {
	c := s.find(ev.id)
	if c == nil || c.phase != restarting || c.job.kind != jobNone || c.retry != ev.retry {
		return // stopped, restarted with its group, or armed anew meanwhile
	}
	if s.op.kind != opNone {
		s.pending = s.pending.push(ev)
		return
	}
	if c = s.edit(ev.id); !c.counted && !s.count(c) {
		s.giveUp(c)
		return
	}
	if s.alone() {
		s.begin(c.id, job{kind: jobRestart})
		return
	}
	op := s.groupRestart(c)
	op.delayed = true
	s.run(op)
}

// groupRestart is the restart of the child with its group: the others stop in
// reverse order first.
func (s *state) groupRestart(c *child) operation {
	op := operation{kind: opRestart, target: c.id, from: s.groupFrom(c)}
	for o := range s.since(op.from) {
		if o.id != c.id {
			op.stop = append(op.stop, o.id)
		}
	}
	slices.Reverse(op.stop)
	return op
}

// count enters a restart of the child into the sliding window, whose edge
// belongs to it, and reports whether it is within the limit.
func (s *state) count(c *child) bool {
	c.countedAt = s.now
	if s.intensity == unlimited {
		return true
	}
	for {
		if t, ok := s.window.oldest(); !ok || t >= s.now-s.period {
			break
		}
		s.window = s.window.pop()
	}
	s.window = s.window.push(s.now)
	return s.window.len() <= s.intensity
}

// retryDelay is how long a start that failed waits for its next attempt: the
// child's back-off, if it has one. Without one the first is made at once, the
// next after firstRetryDelay, then twice as long each time. As attempts are
// counted, and too many are to end the supervisor, they do not come further
// apart than the limit allows, with as much again for what they take. Without a
// limit they come longestRetryDelay apart in the end.
func (s *state) retryDelay(c *child) time.Duration {
	if c.backoff.Min > 0 {
		return c.delay()
	}
	if c.failures < 2 {
		return 0
	}
	d := firstRetryDelay << min(c.failures-2, 20)
	if s.intensity == unlimited {
		return min(d, longestRetryDelay)
	}
	longest := s.period / time.Duration(max(s.intensity, 1)) / 2
	return max(0, min(d, longest-(s.now-c.countedAt)))
}

const (
	firstRetryDelay   = 20 * time.Millisecond // follows the second failed start in a row
	longestRetryDelay = 5 * time.Second       // where no limit is reached
)

// giveUp ends the supervisor after one restart too many.
func (s *state) giveUp(c *child) {
	err := &GaveUpError{
		Path:      s.path,
		Child:     join(s.path, c.id),
		Intensity: s.intensity,
		Period:    s.period,
		Exit:      c.last,
		Err:       c.lastErr,
	}
	if c.last != nil && c.last.Err != nil {
		err.Err = c.last.Err
	}
	s.do(emit{what: actor.EventGaveUp, err: err})
	s.shutdown(endGaveUp, err)
}

// delay is the back-off before the next attempt: none for the first restart
// in a row, then Min, then twice as long each time, up to Max.
func (c *child) delay() time.Duration {
	b := c.backoff
	if b.Min <= 0 || c.inRow < 2 {
		return 0
	}
	d := b.Min
	for range c.inRow - 2 {
		if d >= c.maxDelay()/2 {
			return c.maxDelay()
		}
		d *= 2
	}
	return min(d, c.maxDelay())
}

// maxDelay is Backoff.Max or its default.
func (c *child) maxDelay() time.Duration {
	if c.backoff.Max > 0 {
		return c.backoff.Max
	}
	return max(defaultMaxBackoff, c.backoff.Min)
}

// reset is Backoff.Reset or its default.
func (c *child) reset() time.Duration {
	if c.backoff.Reset > 0 {
		return c.backoff.Reset
	}
	return c.maxDelay()
}
