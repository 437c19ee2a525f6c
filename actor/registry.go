package actor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/understudy-go/understudy/internal/conn"
)

// entry is what this process knows of a path that is supervised here.
type entry struct {
	path    string
	state   PathState
	inst    *Instance // current; nil between lives
	exits   []Down    // the last ones
	exited  int       // how many there were
	changed chan struct{}
}

const (
	maxExits = 64   // remembered per path
	maxGone  = 1024 // paths remembered after their end
)

// entryOf returns the entry of a path, making it if need be. s.mu is held.
func (s *System) entryOf(path string) *entry {
	e := s.entries[path]
	if e == nil {
		e = &entry{path: path, changed: make(chan struct{})}
		s.entries[path] = e
		s.countBelow(path, 1)
	}
	return e
}

// wasStopped reports whether the last life ended on request.
func (e *entry) wasStopped() bool {
	return len(e.exits) > 0 && e.exits[len(e.exits)-1].Reason.Class() == Shutdown
}

// restedByItself reports whether the last life ended by itself in a way that
// nobody restarts.
func (e *entry) restedByItself() bool {
	if len(e.exits) == 0 {
		return false
	}
	x := e.exits[len(e.exits)-1].ExitStatus
	return x.Reason.Class() == Normal || x.DoNotRestart
}

// comesBack reports whether the path may run again without being asked to.
func (e *entry) comesBack() bool {
	return e.state == PathStarting || e.state == PathRestarting || e.state == PathUnknown && e.exited > 0
}

func (e *entry) notify() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// SetState says what senders are told about a path: that they wait (starting,
// restarting), or that waiting messages fail (stopped, gone). Launch itself
// says running. Supervisors call it.
func (s *System) SetState(path string, st PathState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entryOf(path)
	e.state = st
	if st == PathGone {
		s.gone = append(s.gone, path)
		if len(s.gone) > maxGone {
			if old := s.entries[s.gone[0]]; old != nil && old.state == PathGone && old.inst == nil {
				old.notify()
				delete(s.entries, s.gone[0])
				s.countBelow(s.gone[0], -1)
			}
			s.gone = s.gone[1:]
		}
	}
	e.notify()
	if s.inside[path] == 0 {
		return
	}
	for p, other := range s.entries { // those who wait for a path below wait on this one too
		if p != path && (path == "/" || strings.HasPrefix(p, path+"/")) {
			other.notify()
		}
	}
}

// countBelow keeps the number of entries below each path. s.mu is held.
func (s *System) countBelow(path string, n int) {
	for path != "/" {
		path = parentPath(path)
		if s.inside[path] += n; s.inside[path] == 0 {
			delete(s.inside, path)
		}
	}
}

// State returns what is known of a path here.
func (s *System) State(path string) PathState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[path]; e != nil {
		return e.state
	}
	return PathUnknown
}

func (s *System) setInstance(path string, i *Instance, st PathState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entryOf(path)
	e.inst, e.state = i, st
	e.notify()
}

// recordExit ends a life: senders wait until the supervisor has decided.
func (s *System) recordExit(path string, i *Instance, d Down) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entryOf(path)
	if e.inst == i {
		e.inst = nil
		if e.state == PathRunning || e.state == PathStarting {
			e.state = PathUnknown
		}
	}
	e.exits = append(e.exits, d)
	if len(e.exits) > maxExits {
		e.exits = e.exits[1:]
	}
	e.exited++
	e.notify()
}

// checkPath says at once what is known to be wrong with a path.
func (s *System) checkPath(path, kind string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[path]; e != nil {
		if e.inst != nil && e.inst.kind.name != kind {
			return fmt.Errorf("%s runs kind %q, not %q: %w", path, e.inst.kind.name, kind, ErrKindMismatch)
		}
		return nil
	}
	if s.parent != nil || s.processAbove(path) != nil {
		return nil // another process knows
	}
	for p := parentPath(path); p != "/"; p = parentPath(p) {
		if e := s.entries[p]; e != nil && e.inst == nil && (e.comesBack() || e.state == PathStopped) {
			return nil // it will be known when what is above runs again
		}
	}
	return fmt.Errorf("%s: %w", path, ErrNotFound)
}

// processAbove returns the running entry of the process that path lies in. s.mu is held.
func (s *System) processAbove(path string) *entry {
	for p := parentPath(path); p != "/"; p = parentPath(p) {
		if e := s.entries[p]; e != nil && e.inst != nil && e.inst.remote() && !e.inst.self {
			return e
		}
	}
	return nil
}

func parentPath(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 {
		return "/"
	}
	return path[:i]
}

// route is who can answer for a path: an instance here, or another process.
type route struct {
	inst *Instance
	peer *conn.Conn
}

// route waits until it is decided who answers for path, or that nobody will.
func (s *System) route(ctx context.Context, path, kind string) (route, error) {
	for {
		s.mu.Lock()
		r, wait, err := s.routeNow(path, kind)
		s.mu.Unlock()
		if wait == nil {
			return r, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return route{}, context.Cause(ctx)
		}
	}
}

// finally is the error of a path that is supervised here and will not come
// back, as far as one knows; else nil.
func (s *System) finally(path, kind string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, wait, err := s.routeNow(path, kind)
	if wait != nil {
		return nil
	}
	return err
}

// routeNow decides, or returns what to wait for. s.mu is held.
func (s *System) routeNow(path, kind string) (route, <-chan struct{}, error) {
	if s.closed {
		return route{}, nil, ErrStopped
	}
	e := s.entries[path]
	if e != nil && e.state == PathRunning && e.inst != nil {
		if kind != "" && e.inst.kind.name != kind {
			return route{}, nil, fmt.Errorf("%s runs kind %q, not %q: %w", path, e.inst.kind.name, kind, ErrKindMismatch)
		}
		return route{inst: e.inst}, nil, nil
	}
	if e != nil && e.state != PathStopped && e.state != PathGone {
		return route{}, e.changed, nil
	}
	// Somebody above may still bring the path back, or own it.
	for p := parentPath(path); ; p = parentPath(p) {
		above := s.entries[p]
		if above != nil && above.inst != nil && above.inst.self {
			break // this very process
		}
		if above != nil {
			if above.comesBack() {
				return route{}, above.changed, nil
			}
			if above.state == PathRunning && above.inst != nil && above.inst.remote() {
				if above.inst.peer() == nil {
					break
				}
				return route{peer: above.inst.peer()}, nil, nil
			}
		}
		if p == "/" {
			break
		}
	}
	switch {
	case e != nil && (e.state == PathStopped && !e.restedByItself() || e.state == PathGone && e.wasStopped()):
		return route{}, nil, fmt.Errorf("%s: %w", path, ErrStopped)
	case e != nil:
		return route{}, nil, fmt.Errorf("%s: %w", path, ErrNotRunning)
	case s.parent != nil && !s.below(path):
		return route{peer: s.parent}, nil, nil
	}
	return route{}, nil, fmt.Errorf("%s: %w", path, errors.Join(ErrNotRunning, ErrNotFound))
}

// below reports whether path lies in this process's own part of the tree.
func (s *System) below(path string) bool {
	return s.self != nil && (path == s.self.path || strings.HasPrefix(path, s.self.path+"/"))
}

// aliveTimeout is how long after the end of a link its process may take to
// die, before it counts as alive and the link alone as lost.
const aliveTimeout = 2 * time.Second

// exitOf waits for the end of one incarnation, to which a link has ended.
func (s *System) exitOf(ctx context.Context, path, incarnation string) (Down, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, aliveTimeout, fmt.Errorf("%s lives on, but the link to it was lost", path))
	defer cancel()
	for {
		s.mu.Lock()
		e := s.entries[path]
		if e == nil {
			s.mu.Unlock()
			return Down{}, fmt.Errorf("%s: %w", path, ErrNotFound)
		}
		for _, d := range e.exits {
			if d.Incarnation.String() == incarnation {
				s.mu.Unlock()
				return d, nil
			}
		}
		changed := e.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return Down{}, context.Cause(ctx)
		}
	}
}

// exitsSince waits for ends after the first cursor ones. A negative cursor
// asks where to begin. final: no more will come.
func (s *System) exitsSince(ctx context.Context, path string, cursor int) (next int, downs []Down, final bool, err error) {
	for {
		s.mu.Lock()
		e := s.entries[path]
		if e == nil {
			s.mu.Unlock()
			return max(cursor, 0), nil, true, nil
		}
		if cursor < 0 {
			n := e.exited
			s.mu.Unlock()
			return n, nil, false, nil
		}
		if n := e.exited - cursor; n > 0 {
			downs = append(downs, e.exits[len(e.exits)-min(n, len(e.exits)):]...)
			next = e.exited
			s.mu.Unlock()
			return next, downs, false, nil
		}
		if e.state == PathGone {
			s.mu.Unlock()
			return cursor, nil, true, nil
		}
		changed := e.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return cursor, nil, false, context.Cause(ctx)
		}
	}
}
