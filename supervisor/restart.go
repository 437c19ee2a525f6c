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
	if !s.count() {
		s.giveUp(c)
		return
	}
	s.tell(c, runtime.PathRestarting)
	s.do(emit{what: actor.EventRestarting, id: id, inc: c.inc, exit: c.last, err: c.last.Err})
	s.run(operation{kind: opRestart, target: id, stop: s.others(id)})
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
	return c
}

// retryNow: the timer of a child that is restarting has fired.
func (s *state) retryNow(ev retryDue) {
	c := s.find(ev.id)
	if c == nil || c.phase != restarting || c.retry != ev.retry {
		return // stopped, restarted with its group, or armed anew meanwhile
	}
	if s.op.kind != opNone {
		s.pending = appendTo(s.pending, event(ev))
		return
	}
	if !c.counted && !s.count() {
		s.giveUp(c)
		return
	}
	s.run(operation{kind: opRestart, target: c.id, stop: s.others(c.id), delayed: true})
}

// others returns what a restart of the child has to stop first: its group
// without itself, in reverse order.
func (s *state) others(id string) []string {
	ids := s.group(id)
	slices.Reverse(ids)
	return slices.DeleteFunc(ids, func(other string) bool { return other == id })
}

// count enters one restart into the sliding window, whose edge belongs to it,
// and reports whether it is within the limit.
func (s *state) count() bool {
	var window []time.Duration
	for _, t := range s.restarts {
		if t >= s.now-s.period {
			window = append(window, t)
		}
	}
	s.restarts = append(window, s.now)
	return len(s.restarts) <= s.intensity
}

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
