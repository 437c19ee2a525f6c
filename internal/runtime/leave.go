package runtime

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
)

// An actor's process holds what its actor has sent until that is begun. So the
// process outlives the actor: it waits for the receivers, at most until the end of
// the stop timeout (5 s, if that is none). What is left then is counted as dead
// letters.

const (
	wordTimeout   = time.Second            // for the last words, once they are said
	failedTimeout = 500 * time.Millisecond // of a start that failed: no one waits for longer
	leaveMargin   = 250 * time.Millisecond // before the stop timeout, when the parent kills
)

// leave says the last word, sees off what was sent, and ends the process.
func (c *child) leave(h *host) {
	c.ending.Do(func() {
		x := h.report()
		_ = c.conn.Notify(ctlEnded, codec.ControlParams(toWireExit(x, 0)))
		c.flush(h)
		h.closeConnections() // who sends to us waits for our successor, and not we for each other
		if !c.orphan.Load() {
			c.sys.seeOff(h)
			c.flush(h)
		}
		os.Exit(exitCode(x))
	})
	select {} // another goroutine is about to exit
}

// flush waits until the last words and replies are in the kernel, as long as
// their readers read at all.
func (c *child) flush(h *host) {
	ctx, cancel := context.WithTimeout(context.Background(), wordTimeout)
	defer cancel()
	poll(ctx, func() bool { return c.sys.sentUpward() && c.conn.Buffered()+h.buffered() == 0 })
}

// poll looks every millisecond, and less often with time, whether done is true.
func poll(ctx context.Context, done func() bool) {
	const most = 16 * time.Millisecond
	d := time.Millisecond
	tick := time.NewTimer(d)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		d = min(d+d/8, most)
		tick.Reset(d)
	}
}

// seeOff waits until what this process has sent is begun.
func (s *System) seeOff(h *host) {
	ctx, cancel := h.leaveContext()
	defer cancel()
	s.leaving.Store(true)
	s.unstay()
	gone := fmt.Errorf("its sender, %s, has ended: %w", h.path, actor.ErrStopped)
	senders := s.allSenders()
	for _, to := range senders {
		if s.below(to.target.path) { // nothing there runs any more
			to.close(gone)
		}
	}
	begun := func() bool {
		return !slices.ContainsFunc(senders, (*sender).holdsCasts)
	}
	poll(ctx, begun)
	for _, to := range senders {
		to.close(gone)
	}
	ctx, cancel = context.WithTimeout(context.Background(), leaveMargin/2)
	defer cancel()
	poll(ctx, begun) // a connection tells of its end on the goroutine that reads it
}

func (s *System) allSenders() []*sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.senders))
}

// holdsCasts reports whether there are casts that are not begun, and sends what it
// can.
func (s *sender) holdsCasts() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.prune(); s.current != nil {
		s.flush()
	}
	return s.out.Casts > 0
}

// leaveContext ends in time for what must be said after it.
func (h *host) leaveContext() (context.Context, context.CancelFunc) {
	h.mu.Lock()
	deadline := h.deadline
	h.mu.Unlock()
	left := time.Until(deadline)
	switch {
	case h.report().Reason == actor.ReasonStartFailed:
		left = failedTimeout
	case deadline.IsZero():
		left = DefaultStopTimeout
	default:
		left -= min(left/4, leaveMargin)
	}
	return context.WithTimeout(context.Background(), left)
}
