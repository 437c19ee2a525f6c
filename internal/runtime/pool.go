package runtime

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/process"
)

// A pool is several workers of one kind behind one path. Its supervisor decides
// which worker gets a message (the Dispatcher); this package has the pool at its
// path, the messages while they wait, and their way by the worker's own sender.

// Dispatcher decides which worker of a pool gets a message, and when. All
// methods but Run only note what happened, so that they may be called with any
// lock held; Run works the notes off. No method blocks.
type Dispatcher interface {
	// Submit takes a message in. What becomes of it the dispatcher tells with its
	// methods Send, Admit and Fail.
	Submit(*PoolMessage)
	// GiveUp: no caller waits for the message any more. It is acknowledged with GivenUp.
	GiveUp(*PoolMessage)
	// Over: the message is answered, and its slot is free.
	Over(*PoolMessage)
	// Lost: the worker ended before it answered. begun: it had begun the message,
	// or may have.
	Lost(m *PoolMessage, begun bool)
	// Blocked: the handler waits for the reader of its stream, or no longer does.
	Blocked(m *PoolMessage, blocked bool)
	Run()
}

// Pool is one incarnation of a pool at its path.
type Pool struct {
	sys         *System
	path        string
	kind        *port.Kind
	incarnation actor.Incarnation
	dispatcher  Dispatcher
}

// errPool: the path is a pool, and messages go by its dispatcher.
var errPool = errors.New("the path is a pool")

// OpenPool has the path be a pool of the role's kind, which starts.
// Messages go to d from now on.
func (s *System) OpenPool(path string, bp EncodedRole, d Dispatcher) *Pool {
	p := &Pool{sys: s, path: path, kind: bp.kind, dispatcher: d}
	p.incarnation, _ = uuid.NewV7() // fails only without randomness, and then with what there is
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.causes, path)
	e := s.entryOf(path)
	e.lives++
	e.inst, e.pool, e.state = nil, p, PathStarting
	e.notify()
	return p
}

// Incarnation returns the id of this life.
func (p *Pool) Incarnation() actor.Incarnation { return p.incarnation }

// Up says that the pool is ready.
func (p *Pool) Up() { p.sys.SetState(p.path, PathRunning) }

// Close ends the pool: senders wait until its supervisor has decided.
func (p *Pool) Close(x actor.ExitStatus) {
	p.sys.recordExit(p.path, nil, actor.Down{Path: p.path, Incarnation: p.incarnation, ExitStatus: x})
}

// dispatcher waits until it is decided who serves the path, and returns the
// pool's. It is nil if the path is no pool any more.
func (t *target) dispatcher(ctx context.Context, try bool) (Dispatcher, error) {
	s := t.sys
	for {
		s.mu.Lock()
		r, wait, err := s.routeNow(t.path, t.kind)
		if cause := s.causes[t.path]; cause != nil && err != nil {
			err = fmt.Errorf("%w: %w", err, cause)
		}
		s.mu.Unlock()
		switch {
		case wait == nil && err != nil:
			return nil, err
		case wait == nil && r.pool != nil:
			return r.pool.dispatcher, nil
		case wait == nil:
			return nil, nil
		case try:
			return nil, actor.ErrMailboxFull
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, port.ContextError(ctx)
		}
	}
}

// PoolWorker is one worker of a pool, as the way to it.
type PoolWorker struct{ to *target }

// PoolWorker returns the way to a worker.
func (i *Instance) PoolWorker() PoolWorker { return PoolWorker{i.sys.target(i.path, i.kind.Name)} }

// Connect waits until there is a connection to the worker.
func (w PoolWorker) Connect(ctx context.Context) error {
	_, err := w.to.get().incarnation(ctx)
	return err
}

// ConnectWorker connects to a worker that is ready, unless it has ended.
func (i *Instance) ConnectWorker() PoolWorker {
	w := i.PoolWorker()
	ctx, cancel := context.WithCancel(i.sys.ctx)
	defer cancel()
	go func() {
		select {
		case <-i.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	_ = w.Connect(ctx)
	return w
}

// Resident returns the bytes of memory that the instance's process holds for
// itself, or 0.
func (i *Instance) Resident() int64 {
	pid := i.PID()
	if pid == 0 || i.self || !i.remote() {
		return 0
	}
	return process.Resident(pid)
}

// Down returns the report after Done.
func (i *Instance) Down() actor.Down { return i.down() }
