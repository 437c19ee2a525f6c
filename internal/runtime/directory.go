package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/conn"
)

// PathState is what senders are told about a path.
type PathState int

const (
	PathUnknown PathState = iota
	PathStarting
	PathRunning
	PathRestarting
	PathStopped // stopped on request: waiting messages fail with actor.ErrStopped
	PathGone    // ended and not coming back: actor.ErrNotRunning
)

// String returns the state in words.
func (s PathState) String() string {
	return [...]string{"unknown", "starting", "running", "restarting", "stopped", "gone"}[s]
}

// entry is what this process knows of a path that is supervised here.
type entry struct {
	path    string
	state   PathState
	inst    *Instance    // current; nil between lives
	pool    *Pool        // current, of a path that is a pool
	exits   []actor.Down // the last ones
	exited  int          // how many there were
	lives   int          // incarnations that were launched
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
		s.enter(path)
	}
	return e
}

// wasStopped reports whether the last life ended on request.
func (e *entry) wasStopped() bool {
	return len(e.exits) > 0 && ClassOf(e.exits[len(e.exits)-1].Reason) == Shutdown
}

// restedByItself reports whether the last life ended by itself in a way that is
// not restarted.
func (e *entry) restedByItself() bool {
	if len(e.exits) == 0 {
		return false
	}
	x := e.exits[len(e.exits)-1].ExitStatus
	return ClassOf(x.Reason) == Normal || x.DoNotRestart
}

// comesBack reports whether the path may run again without being asked to.
func (e *entry) comesBack() bool {
	return e.pool == nil && (e.state == PathStarting || e.state == PathRestarting || e.state == PathUnknown && e.exited > 0)
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
	if st == PathStarting || st == PathRunning {
		delete(s.causes, path)
	}
	if st == PathGone {
		s.forget(path)
	}
	e.notify()
	s.notifyBelow(path, st)
}

// notifyBelow wakes those who wait for a path below: they wait on this one,
// too. What is gone takes with it what is below and does not run. s.mu is held.
func (s *System) notifyBelow(path string, st PathState) {
	for p := range s.inside[path] {
		if e := s.entries[p]; e != nil {
			if st == PathGone && e.state != PathGone && e.inst == nil {
				e.state = PathGone
				s.forget(p)
			}
			e.notify()
		}
		s.notifyBelow(p, st)
	}
}

// forget drops the entry of a path that is gone, once enough others have gone
// after it. s.mu is held.
func (s *System) forget(path string) {
	s.gone = append(s.gone, path)
	if len(s.gone) <= maxGone {
		return
	}
	if old := s.entries[s.gone[0]]; old != nil && old.state == PathGone && old.inst == nil {
		old.notify()
		delete(s.entries, s.gone[0])
		delete(s.causes, s.gone[0])
		s.leave(s.gone[0])
	}
	s.gone = s.gone[1:]
}

// enter adds a path with an entry below the paths above it. s.mu is held.
func (s *System) enter(path string) {
	for path != "/" {
		above := parentPath(path)
		if s.inside[above] == nil {
			s.inside[above] = make(map[string]struct{})
		}
		if _, ok := s.inside[above][path]; ok {
			return
		}
		s.inside[above][path] = struct{}{}
		path = above
	}
}

// leave undoes enter after the path's entry is gone. s.mu is held.
func (s *System) leave(path string) {
	for path != "/" && s.entries[path] == nil && len(s.inside[path]) == 0 {
		above := parentPath(path)
		delete(s.inside[above], path)
		if len(s.inside[above]) == 0 {
			delete(s.inside, above)
		}
		path = above
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
	delete(s.causes, path)
	e := s.entryOf(path)
	e.inst, e.state = i, st
	e.notify()
}

// recordExit ends a life: senders wait until the supervisor has decided.
func (s *System) recordExit(path string, i *Instance, d actor.Down) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entryOf(path)
	if e.inst == i {
		e.inst, e.pool = nil, nil
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

// Check implements [port.System].
func (s *System) Check(path, kind string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[path]; e != nil {
		if e.pool != nil && e.pool.kind.Name != kind {
			return fmt.Errorf("%s is a pool of kind %q, not %q: %w", path, e.pool.kind.Name, kind, actor.ErrKindMismatch)
		}
		if e.inst != nil && e.inst.kind.Name != kind {
			return fmt.Errorf("%s runs kind %q, not %q: %w", path, e.inst.kind.Name, kind, actor.ErrKindMismatch)
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
	return fmt.Errorf("%s: %w", path, actor.ErrNotFound)
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

// route is who can answer for a path: an instance or a pool here, or another
// process.
type route struct {
	inst *Instance
	pool *Pool
	conn *conn.Conn
}

// route waits until it is decided who answers for path, or that no process will.
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
		return route{}, nil, s.because(path, actor.ErrStopped)
	}
	e := s.entries[path]
	if e != nil && e.state == PathRunning && e.inst != nil {
		if kind != "" && e.inst.kind.Name != kind {
			return route{}, nil, fmt.Errorf("%s runs kind %q, not %q: %w", path, e.inst.kind.Name, kind, actor.ErrKindMismatch)
		}
		return route{inst: e.inst}, nil, nil
	}
	if e != nil && e.pool != nil {
		if kind != "" && e.pool.kind.Name != kind {
			return route{}, nil, fmt.Errorf("%s is a pool of kind %q, not %q: %w", path, e.pool.kind.Name, kind, actor.ErrKindMismatch)
		}
		return route{pool: e.pool}, nil, nil
	}
	ended := s.endedAbove(path)
	if e != nil && e.state != PathStopped && e.state != PathGone && ended == nil {
		return route{}, e.changed, nil
	}
	// An ancestor may still bring the path back, or own it.
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
				if above.inst.childConn() == nil {
					break
				}
				return route{conn: above.inst.childConn()}, nil, nil
			}
		}
		if p == "/" {
			break
		}
	}
	switch {
	case ended != nil && ended.state == PathStopped && !ended.restedByItself():
		return route{}, nil, fmt.Errorf("%s: %s: %w", path, ended.path, s.because(path, actor.ErrStopped))
	case e != nil && (e.state == PathStopped && !e.restedByItself() || e.state == PathGone && e.wasStopped()):
		return route{}, nil, fmt.Errorf("%s: %w", path, s.because(path, actor.ErrStopped))
	case e != nil:
		return route{}, nil, fmt.Errorf("%s: %w", path, s.because(path, actor.ErrNotRunning))
	case s.parent != nil && !s.below(path):
		return route{conn: s.parent}, nil, nil
	}
	return route{}, nil, fmt.Errorf("%s: %w", path, s.because(path, errors.Join(actor.ErrNotRunning, actor.ErrNotFound)))
}

// SetCause says why the supervisor at a path has ended: senders to what was below
// learn it, until it is started again. Nil takes it back. Supervisors call it.
func (s *System) SetCause(path string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.causes, path)
		return
	}
	s.causes[path] = err
}

// because adds to err why the nearest supervisor above the path has ended, if it
// has said so. s.mu is held.
func (s *System) because(path string, err error) error {
	for path != "/" && path != "" {
		path = parentPath(path)
		if cause := s.causes[path]; cause != nil {
			return fmt.Errorf("%w: %w", err, cause)
		}
	}
	return err
}

// endedAbove returns the entry of the supervisor above the path that does not
// run and will not be started again by itself, or nil. s.mu is held.
func (s *System) endedAbove(path string) *entry {
	for p := parentPath(path); p != "/"; p = parentPath(p) {
		e := s.entries[p]
		switch {
		case e == nil:
		case e.inst != nil && e.inst.self:
			return nil
		case e.inst == nil && (e.state == PathStopped || e.state == PathGone):
			return e
		}
	}
	return nil
}

// below reports whether path lies in this process's own part of the tree.
func (s *System) below(path string) bool {
	return s.self != nil && (path == s.self.path || strings.HasPrefix(path, s.self.path+"/"))
}

// aliveTimeout is how long after the end of a connection its process may take to
// die, before it counts as alive and the connection alone as lost.
const aliveTimeout = 2 * time.Second

// exitOf waits for the end of one incarnation, to which a connection has ended.
func (s *System) exitOf(ctx context.Context, path, incarnation string) (actor.Down, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, aliveTimeout, fmt.Errorf("%s lives on, but the connection to it was lost", path))
	defer cancel()
	for over := false; ; {
		if d, ok := s.told.of(incarnation); ok {
			return d, nil
		}
		s.mu.Lock()
		e := s.entries[path]
		if e == nil {
			s.mu.Unlock()
			return actor.Down{}, fmt.Errorf("%s: %w", path, actor.ErrNotFound)
		}
		for _, d := range e.exits {
			if d.Incarnation.String() == incarnation {
				s.mu.Unlock()
				return d, nil
			}
		}
		changed := e.changed
		s.mu.Unlock()
		if over {
			return actor.Down{}, context.Cause(ctx)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			over = true // but for a last look: the end of the system follows that of its actors
		}
	}
}

// exitsSince waits for ends after the first cursor ones. A negative cursor
// asks where to begin. final: no more will come.
func (s *System) exitsSince(ctx context.Context, path string, cursor int) (next int, downs []actor.Down, final bool, err error) {
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
