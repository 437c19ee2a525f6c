package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/mailbox"
)

// host runs one incarnation of a backend: in an actor's process its only one,
// in-process a goroutine's. The life of both is the same; only what ends it by
// force differs.
type host struct {
	sys         *System
	kind        *port.Kind
	path        string
	series      string // of the events of what is below it
	incarnation actor.Incarnation
	capacity    int
	capBytes    int
	local       bool // in-process: panics are recovered, and it can only be abandoned
	log         atomic.Pointer[slog.Logger]

	ctx    context.Context // ends with actor.ErrStopping when the actor is to end
	cancel context.CancelCauseFunc
	inbox  *mailbox.Inbox
	state  any

	constructed atomic.Bool // until then what it sends itself would wait for ever

	workers sync.WaitGroup
	active  []atomic.Pointer[invocation] // by slot
	sources []*codec.Source              // by slot: what it decodes from

	mu        sync.Mutex
	late      map[callKey]*invocation // calls whose handlers have returned and who answer later
	receivers map[*receiver]struct{}
	accepted  uint64 // receivers, ever
	attached  map[int]func(context.Context)
	nextID    int
	stall     *time.Timer   // looks into calls that wait long
	deadline  time.Time     // of the stop; zero: as long as it takes
	grace     time.Duration // bounds an end of its own; negative: no bound
	self      selfReport    // why it ends, once that is known
	ending    chan struct{}
	ended     chan struct{}
}

type callKey struct {
	receiver *receiver
	id       uint64
}

// mainHost is the actor whose process this is.
var mainHost atomic.Pointer[host]

func newHost(sys *System, kind *port.Kind, path string, inc actor.Incarnation, capacity, capBytes int, local bool) *host {
	h := &host{sys: sys, kind: kind, path: path, incarnation: inc, capacity: capacity, capBytes: capBytes, local: local,
		inbox: mailbox.NewInbox(kind.Concurrent, sys.opts.Spin), late: make(map[callKey]*invocation), receivers: make(map[*receiver]struct{}),
		attached: make(map[int]func(context.Context)), ending: make(chan struct{}), ended: make(chan struct{})}
	if h.capacity == 0 {
		h.capacity = DefaultCapacity
	}
	if h.capBytes == 0 {
		h.capBytes = DefaultCapacityBytes
	}
	ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), port.ContextKey{}, h))
	h.ctx, h.cancel = ctx, cancel
	h.active = make([]atomic.Pointer[invocation], kind.Concurrent)
	h.sources = make([]*codec.Source, kind.Concurrent)
	return h
}

// run is the whole life: construct, serve, end. ready is called once with the
// outcome of the start. The report is in h.exit when run returns; the connections
// still stand, so that the caller of run can report over them.
func (h *host) run(args *codec.Source, ready func(error)) {
	defer close(h.ended)
	defer args.AutoRelease() // what the constructor was given lives as long as the actor
	state, err := h.construct(args)
	if err == nil && h.stopping() {
		err = actor.ErrStopping
	}
	if err != nil {
		h.neverStarted(err)
		h.inbox.Close()
		h.cancel(actor.ErrStopping)
		if state != nil {
			h.userStop(state)
		}
		h.endAttached()
		ready(err)
		return
	}
	h.state = state
	h.constructed.Store(true)
	// Ready comes before the first begin: who sees a reply must find the actor running.
	ready(nil)
	for slot := range h.kind.Concurrent {
		h.workers.Add(1)
		go h.work(slot)
	}
	if r, ok := state.(interface{ Run(context.Context) error }); ok {
		h.workers.Add(1)
		go h.userRun(r.Run)
	}
	<-h.ending
	h.inbox.Close()
	h.cancel(actor.ErrStopping)
	h.workers.Wait()
	if h.report().Reason != actor.ReasonPanic {
		h.userStop(state)
	}
	h.endAttached()
	h.finish(actor.ExitStatus{Reason: actor.ReasonShutdown})
}

// neverStarted fixes the reason of an actor whose constructor failed.
func (h *host) neverStarted(err error) {
	h.mu.Lock()
	x := h.self.startFailed(err)
	h.mu.Unlock()
	h.finish(x)
}

func (h *host) construct(args *codec.Source) (state any, err error) {
	done := make(chan struct{})
	go func() {
		returned := false
		defer func() { h.leave(returned, func() { close(done) }) }()
		err = errors.New("the constructor ended its goroutine")
		defer h.guard(&err)()
		state, err = h.kind.Backend.Construct(h.ctx, args)
		returned = true
	}()
	<-done
	if err != nil && h.stopping() && !h.askedToStop() {
		if x := h.report(); x.Reason != actor.ReasonPanic {
			err = errors.Join(x.Err, err) // actor.Exit in a constructor
		}
	}
	return state, err
}

func (h *host) userRun(run func(context.Context) error) {
	returned := false
	defer func() { h.leave(returned, h.workers.Done) }()
	defer h.guard(nil)()
	err := run(h.ctx)
	returned = true
	if !h.stopping() {
		h.finish(endedItself(err))
	} else if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, actor.ErrStopping) {
		h.note(fmt.Errorf("run: %w", err)) // we asked for the end; what went wrong is worth knowing
	}
}

// note adds to the report why the end was not a clean one.
func (h *host) note(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.self.note(err)
}

// userStop calls the actor's Stop. Its error is part of the report.
func (h *host) userStop(state any) {
	s, ok := state.(interface{ Stop(context.Context) error })
	if !ok || isNilPointer(state) {
		return
	}
	ctx, cancel := h.stopContext()
	defer cancel()
	done := make(chan error, 1)
	go func() {
		returned := false
		err := errors.New("Stop ended its goroutine")
		defer func() { h.leave(returned, func() { done <- err }) }()
		defer h.guard(&err)()
		err = s.Stop(ctx)
		returned = true
	}()
	if err := <-done; err != nil {
		h.note(fmt.Errorf("stop: %w", err))
	}
}

func (h *host) stopContext() (context.Context, context.CancelFunc) {
	ctx := context.WithValue(context.Background(), port.ContextKey{}, h)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, h.deadline)
}

func (h *host) endAttached() {
	ctx, cancel := h.stopContext()
	defer cancel()
	h.mu.Lock()
	attached := h.attached
	h.attached = nil
	h.mu.Unlock()
	for _, stop := range attached {
		stop(ctx)
	}
}

func (h *host) attach(stop func(context.Context)) (detach func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.attached == nil { // too late: it ends already
		go stop(h.ctx)
		return func() {}
	}
	h.nextID++
	id := h.nextID
	h.attached[id] = stop
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.attached, id)
	}
}

// askStop begins an orderly end. A negative timeout gives all time. With drain
// the queue is served first.
func (h *host) askStop(timeout time.Duration, drain bool) {
	h.limit(timeout)
	h.mu.Lock()
	h.self.asked = true
	h.mu.Unlock()
	if drain && timeout != 0 {
		go func() {
			h.inbox.WaitEmpty(h.ending)
			h.askStop(timeout, false)
		}()
		return
	}
	h.finish(actor.ExitStatus{Reason: actor.ReasonShutdown})
	h.cancel(actor.ErrStopping)
}

// limit bounds the end in time, unless it is bounded more narrowly.
func (h *host) limit(timeout time.Duration) {
	if timeout < 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := time.Now().Add(timeout); h.deadline.IsZero() || d.Before(h.deadline) {
		h.deadline = d
	}
}

// finish says why the actor ends: see selfReport.
func (h *host) finish(x actor.ExitStatus) {
	h.mu.Lock()
	if h.self.end(x) {
		if !h.self.asked && h.grace >= 0 && h.deadline.IsZero() {
			h.deadline = time.Now().Add(h.grace)
		}
		close(h.ending)
	}
	h.mu.Unlock()
	h.inbox.Close() // before any handler's ctx ends: what is not begun is for the successor
}

// report returns why the actor ends.
func (h *host) report() actor.ExitStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.self.report()
}

func (h *host) stopping() bool {
	select {
	case <-h.ending:
		return true
	default:
		return false
	}
}

func (h *host) askedToStop() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.self.asked
}

// buffered is how many bytes wait to be written to all connections.
func (h *host) buffered() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for r := range h.receivers {
		n += r.conn.Buffered()
	}
	return n
}

// closeConnections ends all connections: what was not begun stays with its senders.
func (h *host) closeConnections() {
	h.mu.Lock()
	receivers := h.receivers
	h.receivers = nil
	h.mu.Unlock()
	for r := range receivers {
		r.conn.Close()
	}
}

// Path implements [port.Actor].
func (h *host) Path() string { return h.path }

// Kind implements [port.Actor].
func (h *host) Kind() *port.Kind { return h.kind }

// System implements [port.Actor].
func (h *host) System() port.System { return h.sys }

// Context implements [port.Actor].
func (h *host) Context() context.Context { return h.ctx }

// Logger implements [port.Actor]: it is made when it is first asked for.
func (h *host) Logger() *slog.Logger {
	if l := h.log.Load(); l != nil {
		return l
	}
	h.log.CompareAndSwap(nil, slog.New(&logHandler{sys: h.sys, path: h.path}))
	return h.log.Load()
}

// fromContext returns the actor and the message that ctx belongs to: both nil
// outside of actors, the message alone outside of handlers.
func fromContext(ctx context.Context) (*host, *invocation) {
	switch v := ctx.Value(port.ContextKey{}).(type) {
	case *invocation:
		return v.h, v
	case *host:
		return v, nil
	}
	return nil, nil
}

// invocationOf returns the message that ctx belongs to, if any.
func invocationOf(ctx context.Context) *invocation {
	_, inv := fromContext(ctx)
	return inv
}

// Attach has stop called, before the actor of the scope ends, with a context
// that ends with the actor's stop timeout. Supervisors that an actor starts
// hang on it in this way. The function returned detaches.
func Attach(s actor.Scope, stop func(context.Context)) (detach func()) {
	h, ok := s.(*host)
	if !ok {
		return func() {}
	}
	return h.attach(stop)
}

// SeriesOf returns the series of a scope's events: see [actor.Event].
func SeriesOf(s actor.Scope) string {
	if h, ok := s.(*host); ok {
		return cmp.Or(h.series, h.path)
	}
	return s.Path()
}

// SystemOf returns the system that a scope belongs to.
func SystemOf(s actor.Scope) *System {
	sys, _ := s.System().(*System)
	return sys
}
