package runtime

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/internal/wire"
)

// invocation is one message in a handler's hands. Its ctx may be kept by the
// handler for ever: so there is a new one for each message, and nothing else.
type invocation struct {
	h        *host
	receiver *receiver
	m        *conn.Incoming // until it is over
	id       uint64
	chain    []uint64
	few      [4]uint64 // of a short chain
	ctx      handlerContext
	src      *codec.Source
	credit   chan uint64 // of a stream: items the reader takes on
	window   int         // of a stream: items that the reader takes now
	method   string
	isCall   bool
	request  uint64 // the call's id on its connection
	trace    map[string]string
	state    atomic.Uint32 // of the bits below

	mu  sync.Mutex
	out []*call // calls that the handler waits for
}

const (
	invReplied  = 1 << iota // the one reply is taken
	invLater                // it comes from outside of the handler
	invAnswered             // it is on its way
	invReturned             // the handler has returned
	invOver                 // what it held is let go
)

// set sets one bit and returns those that were set before.
func (inv *invocation) set(bit uint32) (before uint32) { return inv.state.Or(bit) }

// invocationIDs are unique in the system with overwhelming probability: a
// random base for the process, then counted.
var invocationIDs atomic.Uint64

func init() { invocationIDs.Store(rand.Uint64()) }

// work is one handler slot.
func (h *host) work(slot int) {
	returned := false
	defer func() { h.leave(returned, h.workers.Done) }()
	defer h.guard(nil)()
	var inv *invocation
	begin := func(m *conn.Incoming) {
		inv = h.begin(slot, m)
	}
	s := h.inbox.Slot(slot, begin)
	for {
		q, m, ok := s.Next()
		if !ok {
			returned = true
			return
		}
		func() {
			returned := false // else it panicked or called Exit
			defer func() {
				h.end(slot, inv)
				q.End(slot, returned || h.report().Reason == actor.ReasonNormal)
			}()
			inv.handle(m)
			returned = true
		}()
	}
}

// begin enters an invocation. The inbox is locked: what it decides is decided
// before anything else is begun.
func (h *host) begin(slot int, m *conn.Incoming) *invocation {
	inv := &invocation{h: h, receiver: m.From.(*receiver), m: m, id: invocationIDs.Add(1),
		method: m.Method, isCall: m.Call, request: m.ID, window: m.Meta.Window, trace: m.Meta.Trace}
	inv.chain = append(inv.few[:0], m.Meta.Chain...)
	inv.ctx.inv, inv.ctx.deadline = inv, m.Meta.Deadline
	if m.Meta.Stream {
		inv.credit = make(chan uint64, 64)
	}
	if inv.src = h.sources[slot]; inv.src == nil {
		inv.src = codec.GetSource()
		inv.src.Context = h.sys
		h.sources[slot] = inv.src
	}
	h.active[slot].Store(inv)
	return inv
}

// end frees the slot. An invocation whose reply comes later lives on, with the
// source of what it was given.
func (h *host) end(slot int, inv *invocation) {
	before := inv.set(invReturned)
	if before&invLater != 0 {
		h.sources[slot] = nil
		h.lives(inv)
	}
	h.active[slot].Store(nil)
	if before&invLater == 0 || before&invAnswered != 0 {
		inv.done()
	}
}

// lives keeps a call that has lost its slot to be found, unless it is over.
func (h *host) lives(inv *invocation) {
	if !inv.isCall {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if inv.state.Load()&invOver == 0 {
		h.late[callKey{inv.receiver, inv.request}] = inv
	}
}

// begun finds a call that was begun and is not over. They are asked for
// seldom, so the slots are their list.
func (h *host) begun(r *receiver, id uint64) *invocation {
	for i := range h.active {
		if inv := h.active[i].Load(); inv != nil && inv.receiver == r && inv.isCall && inv.request == id {
			return inv
		}
	}
	h.mu.Lock() // one that has left its slot since then is here
	defer h.mu.Unlock()
	return h.late[callKey{r, id}]
}

// begunBy lists the calls of a connection that begun would find.
func (h *host) begunBy(r *receiver) (all []*invocation) {
	for i := range h.active {
		if inv := h.active[i].Load(); inv != nil && inv.receiver == r && inv.isCall {
			all = append(all, inv)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, inv := range h.late {
		if k.receiver == r {
			all = append(all, inv)
		}
	}
	return all
}

// done lets go of what the invocation held, once.
func (inv *invocation) done() {
	before := inv.set(invOver)
	if before&invOver != 0 {
		return
	}
	inv.ctx.end(context.Canceled)
	if before&invLater != 0 && inv.isCall {
		inv.h.mu.Lock()
		delete(inv.h.late, callKey{inv.receiver, inv.request})
		inv.h.mu.Unlock()
	}
	inv.src.AutoRelease()
	inv.src.Reset(nil)
	inv.src.Segments = nil
	inv.m.Recycle()
}

func (inv *invocation) handle(m *conn.Incoming) {
	h := inv.h
	if m.Err != nil {
		inv.Fail(m.Err)
		return
	}
	if m.Call {
		if cause := inv.ctx.cause(); cause != nil && cause != actor.ErrStopping {
			inv.Fail(cause) // the caller has given up
			return
		}
	}
	serve, ok := h.kind.Backend.Handlers[m.Method]
	if !ok {
		inv.Fail(fmt.Errorf("kind %q has no method %q: %w", h.kind.Name, m.Method, actor.ErrUnknown))
		return
	}
	inv.src.Segments = m.Segments
	inv.src.Reset(m.Params)
	serve(&inv.ctx, inv, h.state, inv.src)
}

// Actor implements [port.Invocation].
func (inv *invocation) Actor() port.Actor { return inv.h }

// take is true for the one reply that a request may have.
func (inv *invocation) take() bool { return inv.set(invReplied)&invReplied == 0 }

// Reply implements [port.Invocation].
func (inv *invocation) Reply() (buf *codec.Buffer, arrays, ok bool) {
	if !inv.take() {
		return nil, false, false
	}
	if !inv.isCall {
		return nil, false, true
	}
	buf = inv.h.sys.buffer()
	buf.B = wire.AppendResultHead(buf.B, inv.request)
	return buf, inv.receiver.arrays(), true
}

// Answer implements [port.Invocation].
func (inv *invocation) Answer(buf *codec.Buffer, err error) error {
	if err != nil {
		err = fmt.Errorf("response of %s: %w", inv.method, err)
	}
	if buf != nil {
		if err != nil {
			inv.receiver.respondError(inv.request, encodeRemote(err))
		} else {
			inv.receiver.result(inv.request, buf)
		}
		buf.AutoRelease()
		codec.PutBuffer(buf)
	}
	inv.answered()
	return err
}

// Fail implements [port.Invocation]. A cast has no caller: its error is an event.
func (inv *invocation) Fail(err error) bool {
	if !inv.take() {
		return false
	}
	if inv.isCall {
		inv.receiver.respondError(inv.request, encodeRemote(err))
	} else {
		inv.h.sys.castFailed(inv, err)
	}
	inv.answered()
	return true
}

// answered is called when the reply is on its way.
func (inv *invocation) answered() {
	if inv.set(invAnswered)&invReturned != 0 {
		inv.done() // else it is, when the handler returns
	}
}

// Later implements [port.Invocation].
func (inv *invocation) Later() { inv.set(invLater) }

// Item implements [port.Invocation].
func (inv *invocation) Item() (buf *codec.Buffer, arrays, ok bool) {
	if inv.ctx.Err() != nil || inv.credit == nil {
		return nil, false, false // or it was called as an ordinary method, by a foreign peer
	}
	for inv.window <= 0 {
		select {
		case n := <-inv.credit:
			inv.window += int(min(n, port.StreamWindow))
		case <-inv.ctx.Done():
			return nil, false, false
		}
	}
	inv.window--
	buf = inv.h.sys.buffer()
	buf.B = codec.AppendItemHead(buf.B, inv.request)
	return buf, inv.receiver.arrays(), true
}

// Emit implements [port.Invocation].
func (inv *invocation) Emit(buf *codec.Buffer, err error) bool {
	defer codec.PutBuffer(buf)
	if err == nil {
		err = inv.receiver.item(buf)
	}
	buf.AutoRelease()
	if err != nil && !isClosed(err) { // the end of a connection ends the handler's ctx
		err = fmt.Errorf("item of %s: %w", inv.method, err)
		inv.Fail(err)
		inv.ctx.end(err)
		return false
	}
	return true
}

func isNilPointer(v any) bool {
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}

// castFailed logs the error of a cast: it has no caller to go to.
func (s *System) castFailed(inv *invocation, err error) {
	s.Emit(actor.Event{Type: actor.EventCastFailed, Path: inv.h.path, Kind: inv.h.kind.Name, Incarnation: inv.h.incarnation,
		Method: inv.method, Err: err, Sender: inv.receiver.from})
}

// errCallerGone is the cause of a handler's ctx when its caller gave up or is gone.
var errCallerGone = errors.New("the caller has given up")

func newSource(raw []byte, segments []*segment.Segment, sys *System) *codec.Source {
	return &codec.Source{B: raw, Segments: segments, Context: sys}
}
