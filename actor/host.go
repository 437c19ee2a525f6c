package actor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/mailbox"
)

// host runs one incarnation of a backend: in an actor's process its only one,
// in-process a goroutine's. The life of both is the same; only what ends it by
// force differs.
type host struct {
	sys         *System
	kind        *kindCore
	path        string
	incarnation Incarnation
	capacity    int
	capBytes    int
	local       bool // in-process: panics are recovered, and it can only be abandoned
	log         atomic.Pointer[slog.Logger]

	ctx    context.Context // ends with ErrStopping when the actor is to end
	cancel context.CancelCauseFunc
	inbox  *mailbox.Inbox
	state  any

	workers sync.WaitGroup
	active  []atomic.Pointer[invocation] // by slot
	sources []*codec.Source              // by slot: what it decodes from

	mu       sync.Mutex
	late     map[callKey]*invocation // calls whose handlers have returned and who answer later
	links    map[*inLink]struct{}
	attached map[int]func(context.Context)
	nextID   int
	stall    *time.Timer   // looks into calls that wait long
	deadline time.Time     // of the stop; zero: as long as it takes
	grace    time.Duration // bounds an end that nobody asked for; negative: no bound
	asked    bool          // somebody asked it to stop
	exit     *ExitStatus   // why it ends, once that is known
	ending   chan struct{}
	ended    chan struct{}
}

type callKey struct {
	link *inLink
	id   uint64
}

// mainHost is the actor whose process this is.
var mainHost atomic.Pointer[host]

func newHost(sys *System, kind *kindCore, path string, inc Incarnation, capacity, capBytes int, local bool) *host {
	h := &host{sys: sys, kind: kind, path: path, incarnation: inc, capacity: capacity, capBytes: capBytes, local: local,
		inbox: mailbox.NewInbox(sys.opts.Spin), late: make(map[callKey]*invocation), links: make(map[*inLink]struct{}),
		attached: make(map[int]func(context.Context)), ending: make(chan struct{}), ended: make(chan struct{})}
	if h.capacity == 0 {
		h.capacity = DefaultCapacity
	}
	if h.capBytes == 0 {
		h.capBytes = DefaultCapacityBytes
	}
	ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), ctxKey{}, h))
	h.ctx, h.cancel = ctx, cancel
	h.active = make([]atomic.Pointer[invocation], kind.concurrent)
	h.sources = make([]*codec.Source, kind.concurrent)
	return h
}

// run is the whole life: construct, serve, end. ready is called once with the
// outcome of the start. The report is in h.exit when run returns; the links
// still stand, so that whoever called run can say the last word over them.
func (h *host) run(args *codec.Source, ready func(error)) {
	defer close(h.ended)
	defer args.AutoRelease() // what the constructor was given lives as long as the actor
	state, err := h.construct(args)
	if err == nil && h.stopping() {
		err = ErrStopping
	}
	if err != nil {
		h.neverStarted(err)
		h.inbox.Close()
		h.cancel(ErrStopping)
		if state != nil {
			h.userStop(state)
		}
		h.endAttached()
		ready(err)
		return
	}
	h.state = state
	// Ready comes before the first begin: who sees a reply must find the actor running.
	ready(nil)
	for slot := range h.kind.concurrent {
		h.workers.Add(1)
		go h.work(slot)
	}
	if r, ok := state.(interface{ Run(context.Context) error }); ok {
		h.workers.Add(1)
		go h.userRun(r.Run)
	}
	<-h.ending
	h.inbox.Close()
	h.cancel(ErrStopping)
	h.workers.Wait()
	if h.report().Reason != ReasonPanic {
		h.userStop(state)
	}
	h.endAttached()
	h.finish(ExitStatus{Reason: ReasonShutdown})
}

// neverStarted fixes the reason of an actor whose constructor failed. Exit in a
// constructor is such a failure, too.
func (h *host) neverStarted(err error) {
	if h.askedToStop() {
		h.finish(ExitStatus{Reason: ReasonShutdown, Err: err})
		return
	}
	x := ExitStatus{Reason: ReasonStartFailed, Err: err, DoNotRestart: errors.Is(err, ErrDoNotRestart)}
	h.finish(x)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.exit.Reason == ReasonNormal || h.exit.Reason == ReasonError {
		*h.exit = x
	}
}

func (h *host) construct(args *codec.Source) (state any, err error) {
	done := make(chan struct{})
	go func() {
		returned := false
		defer func() { h.leave(returned, func() { close(done) }) }()
		err = errors.New("the constructor ended its goroutine")
		defer h.guard(&err)()
		state, err = h.kind.backend.construct(h.ctx, args)
		returned = true
	}()
	<-done
	if x := h.exitOrNil(); x != nil && x.Reason != ReasonPanic && err != nil && !h.askedToStop() {
		err = errors.Join(x.Err, err) // actor.Exit in a constructor
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
		h.finish(ownExit(err))
	} else if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrStopping) {
		h.note(fmt.Errorf("run: %w", err)) // we asked for the end; what went wrong is worth knowing
	}
}

// note adds to the report why the end was not a clean one.
func (h *host) note(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.exit != nil && h.exit.Err == nil {
		h.exit.Err = err
	}
}

// ownExit is the report of an actor that ended by itself.
func ownExit(err error) ExitStatus {
	if err == nil {
		return ExitStatus{Reason: ReasonNormal}
	}
	return ExitStatus{Reason: ReasonError, Err: err, DoNotRestart: errors.Is(err, ErrDoNotRestart)}
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
	ctx := context.WithValue(context.Background(), ctxKey{}, h)
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
	h.asked = true
	h.mu.Unlock()
	if drain && timeout != 0 {
		go func() {
			h.inbox.WaitEmpty(h.ending)
			h.askStop(timeout, false)
		}()
		return
	}
	h.finish(ExitStatus{Reason: ReasonShutdown})
	h.cancel(ErrStopping)
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

// finish fixes why the actor ends: the first word counts.
func (h *host) finish(x ExitStatus) {
	h.mu.Lock()
	if h.exit != nil && h.exit.Reason == ReasonShutdown && x.Reason.Class() == Abnormal {
		*h.exit = x // it crashed while it was being stopped: its own reason is the better one
	}
	if h.exit == nil {
		h.exit = &x
		if !h.asked && h.grace >= 0 && h.deadline.IsZero() {
			h.deadline = time.Now().Add(h.grace)
		}
		close(h.ending)
	}
	h.mu.Unlock()
	h.inbox.Close() // before any handler's ctx ends: what is not begun is for the successor
}

func (h *host) exitOrNil() *ExitStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.exit
}

// report returns why the actor ends.
func (h *host) report() ExitStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.exit == nil {
		return ExitStatus{Reason: ReasonShutdown}
	}
	return *h.exit
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
	return h.asked
}

// buffered is how many bytes wait to be written to all links.
func (h *host) buffered() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for l := range h.links {
		n += l.peer.Buffered()
	}
	return n
}

// closeLinks ends all links: what was not begun stays with its senders.
func (h *host) closeLinks() {
	h.mu.Lock()
	links := h.links
	h.links = nil
	h.mu.Unlock()
	for l := range links {
		l.peer.Close()
	}
}
