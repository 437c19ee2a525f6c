package runtime

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// crashes makes one log record of an actor's crash and of what its supervisor
// does about it, which is known a moment later. It is the root's.
type crashes struct {
	mu      sync.Mutex
	waiting map[string]*crash // by path
	closed  bool
}

type crash struct {
	event actor.Event
	timer *time.Timer
}

// decisionTime is how long a record waits for the supervisor's decision.
const decisionTime = 250 * time.Millisecond

// take reports whether e is about a crash, and needs no record of its own.
func (c *crashes) take(s *System, e actor.Event) bool {
	switch e.Type {
	case actor.EventExited, actor.EventStartFailed:
		if e.Exit == nil || ClassOf(e.Exit.Reason) != Abnormal {
			return false
		}
		c.hold(s, e)
		return true
	case actor.EventRestarting:
		return c.tell(s, e.Path, "it is restarted")
	case actor.EventNotRestarted:
		return c.tell(s, e.Path, "it is not restarted, as it asked for")
	case actor.EventStarting:
		c.tell(s, e.Path, "it is started again")
	case actor.EventGaveUp:
		c.tellBelow(s, e.Path)
	}
	return false
}

func (c *crashes) hold(s *System, e actor.Event) {
	c.tell(s, e.Path, "")
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		s.logCrash(e, "")
		return
	}
	if c.waiting == nil {
		c.waiting = make(map[string]*crash)
	}
	x := &crash{event: e}
	x.timer = time.AfterFunc(decisionTime, func() { c.tellOf(s, x, "") })
	c.waiting[e.Path] = x
}

// tell logs the crash at a path, if one waits.
func (c *crashes) tell(s *System, path, next string) bool {
	c.mu.Lock()
	x := c.waiting[path]
	c.mu.Unlock()
	return x != nil && c.tellOf(s, x, next)
}

func (c *crashes) tellOf(s *System, x *crash, next string) bool {
	c.mu.Lock()
	first := c.waiting[x.event.Path] == x
	if first {
		delete(c.waiting, x.event.Path)
		x.timer.Stop()
	}
	c.mu.Unlock()
	if first {
		s.logCrash(x.event, next)
	}
	return first
}

// tellBelow logs the crashes of children of a supervisor that gave up.
func (c *crashes) tellBelow(s *System, supervisor string) {
	c.mu.Lock()
	var below []*crash
	for path, x := range c.waiting {
		if parentPath(path) == supervisor {
			below = append(below, x)
		}
	}
	c.mu.Unlock()
	for _, x := range below {
		c.tellOf(s, x, "its supervisor gives up")
	}
}

// close logs what still waits.
func (c *crashes) close(s *System) {
	c.mu.Lock()
	c.closed = true
	var all []*crash
	for _, x := range c.waiting {
		all = append(all, x)
	}
	c.mu.Unlock()
	for _, x := range all {
		c.tellOf(s, x, "")
	}
}

// logCrash writes the one record.
func (s *System) logCrash(e actor.Event, next string) {
	x := *e.Exit
	attrs := []slog.Attr{slog.String("path", e.Path), slog.String("kind", e.Kind), slog.Int("pid", e.PID),
		slog.String("incarnation", e.Incarnation.String()), slog.String("reason", x.Reason.String())}
	if x.Signal != 0 {
		attrs = append(attrs, slog.String("signal", x.Signal.String()))
	} else if x.Code != 0 {
		attrs = append(attrs, slog.Int("code", x.Code))
	}
	if e.Method != "" {
		attrs = append(attrs, slog.String("method", e.Method))
	}
	err := x.Err
	if err == nil && e.Type == actor.EventStartFailed {
		err = e.Err
	}
	var p *actor.PanicError
	if errors.As(err, &p) && p.Stack != "" {
		attrs = append(attrs, slog.String("error", p.Text), slog.String("stack", p.Stack))
	} else if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	if p == nil && len(x.Stdout) > 0 {
		attrs = append(attrs, slog.String("stdout", strings.Join(x.Stdout, "\n")))
	}
	if p == nil && len(x.Stderr) > 0 {
		attrs = append(attrs, slog.String("stderr", strings.Join(x.Stderr, "\n")))
	}
	if next != "" {
		attrs = append(attrs, slog.String("next", next))
	}
	size := 1024
	if p != nil {
		size += len(p.Stack)
	}
	s.toSink(size, func() {
		s.Logger().LogAttrs(context.Background(), slog.LevelError, "actor "+string(e.Type), attrs...)
	})
}
