package actor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/wire"
)

// invocation is one message in a handler's hands. Its ctx may be kept by the
// handler for ever: so there is a new one for each message, and nothing else.
type invocation struct {
	h       *host
	link    *inLink
	m       *conn.Incoming // until it is over
	id      uint64
	chain   []uint64
	few     [4]uint64 // of a short chain
	ctx     handlerContext
	src     *codec.Source
	credit  chan uint64 // of a stream: items the reader takes on
	window  int         // of a stream: items that the reader takes now
	method  string
	isCall  bool
	request uint64 // the call's id on its link
	trace   map[string]string
	state   atomic.Uint32 // of the bits below

	mu  sync.Mutex
	out []outgoing // calls that the handler waits for
}

const (
	invReplied  = 1 << iota // somebody has taken the one reply
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
				q.End(slot, returned || h.report().Reason == ReasonNormal)
			}()
			inv.handle(m)
			returned = true
		}()
	}
}

// begin enters an invocation. The inbox is locked: what it decides is decided
// before anything else is begun.
func (h *host) begin(slot int, m *conn.Incoming) *invocation {
	inv := &invocation{h: h, link: m.From.(*inLink), m: m, id: invocationIDs.Add(1),
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
		h.late[callKey{inv.link, inv.request}] = inv
	}
}

// begun finds a call that was begun and is not over. They are asked for
// seldom, so the slots are their list.
func (h *host) begun(l *inLink, id uint64) *invocation {
	for i := range h.active {
		if inv := h.active[i].Load(); inv != nil && inv.link == l && inv.isCall && inv.request == id {
			return inv
		}
	}
	h.mu.Lock() // one that has left its slot since then is here
	defer h.mu.Unlock()
	return h.late[callKey{l, id}]
}

// begunBy lists the calls of a link that begun would find.
func (h *host) begunBy(l *inLink) (all []*invocation) {
	for i := range h.active {
		if inv := h.active[i].Load(); inv != nil && inv.link == l && inv.isCall {
			all = append(all, inv)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, inv := range h.late {
		if k.link == l {
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
		delete(inv.h.late, callKey{inv.link, inv.request})
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
		inv.fail(m.Err)
		return
	}
	if m.Call {
		if cause := inv.ctx.cause(); cause != nil && cause != ErrStopping {
			inv.fail(cause) // nobody waits any more
			return
		}
	}
	b, ok := h.kind.backend.handlers[m.Method]
	if !ok {
		inv.fail(fmt.Errorf("kind %q has no method %q: %w", h.kind.name, m.Method, ErrUnknown))
		return
	}
	inv.src.Segments = m.Segments
	inv.src.Reset(m.Params)
	if b.stream != nil {
		err := b.stream(&inv.ctx, h.state, inv.src, inv.emit)
		if inv.take() {
			answer(inv, &untyped, new(any), err)
		}
		return
	}
	if b.serve != nil {
		b.serve(inv, h.state)
		return
	}
	resp, err := b.call(&inv.ctx, h.state, inv.src)
	if err != errPending && inv.take() {
		answer(inv, &untyped, &resp, err)
	}
}

var untyped codec.Codec[any]

// fail answers with an error, unless there was an answer.
func (inv *invocation) fail(err error) {
	if inv.take() {
		answer(inv, &untyped, new(any), err)
	}
}

// answer sends the answer. What a result carries moves to the caller. A cast
// has nobody to tell: its error is an event. unsent is why a result could not be
// encoded.
func answer[T any](inv *invocation, coding *codec.Codec[T], resp *T, err error) (unsent error) {
	defer inv.set(invAnswered)
	s := inv.h.sys
	if !inv.isCall {
		if err != nil {
			s.castFailed(inv, err)
		}
		if !coding.Plain() {
			discard(*resp)
		}
		return nil
	}
	buf := s.buffer()
	defer codec.PutBuffer(buf)
	if err == nil {
		buf.B = wire.AppendResultHead(buf.B, inv.request)
		if err = coding.Encode(buf, resp, inv.link.arrays()); err != nil {
			err = fmt.Errorf("response of %s: %w", inv.method, err)
			unsent = err
		}
	}
	if err != nil {
		if !coding.Plain() {
			discard(*resp) // nobody gets it
		}
		inv.link.refuse(inv.request, encodeRemote(inv.h.kind, err))
	} else {
		inv.link.result(inv.request, buf)
	}
	buf.AutoRelease()
	return unsent
}

// take is true for the one reply that a request may have.
func (inv *invocation) take() bool { return inv.set(invReplied)&invReplied == 0 }

// outItem is an item of a stream that knows its type.
type outItem interface {
	encode(buf *codec.Buffer, arrays bool) error
	discard()
}

type itemOf[T any] struct {
	coding *codec.Codec[T]
	v      T
}

func (i itemOf[T]) encode(buf *codec.Buffer, arrays bool) error {
	return i.coding.Encode(buf, &i.v, arrays)
}

func (i itemOf[T]) discard() { discard(i.v) }

// emit sends one item of a stream and waits for credit when the window is used
// up.
func (inv *invocation) emit(item outItem) bool {
	if inv.ctx.Err() != nil || inv.credit == nil {
		item.discard()
		return false // or it was called as an ordinary method, by a foreign peer
	}
	for inv.window <= 0 {
		select {
		case n := <-inv.credit:
			inv.window += int(min(n, streamWindow))
		case <-inv.ctx.Done():
			item.discard()
			return false
		}
	}
	inv.window--
	buf := inv.h.sys.buffer()
	defer codec.PutBuffer(buf)
	buf.B = codec.AppendItemHead(buf.B, inv.request)
	err := item.encode(buf, inv.link.arrays())
	if err != nil {
		item.discard()
	} else {
		err = inv.link.item(buf)
	}
	buf.AutoRelease()
	if err != nil && !isClosed(err) { // the end of a link ends the handler's ctx
		err = fmt.Errorf("item of %s: %w", inv.method, err)
		inv.fail(err)
		inv.ctx.end(err)
		return false
	}
	return true
}

// errPending is what Pending's handler returns.
var errPending = errors.New("actor: the reply comes later")

// Pending is a reply to be given later, after the handler has returned and
// while others run.
type Pending[Resp any] struct{ inv *invocation }

// Later takes the reply of the request that ctx belongs to out of the
// handler's hands: the handler returns r.Pending(), and r.Reply is called
// exactly once, from anywhere in the process. The request's ctx and arrays
// stay valid until then. It panics outside of a handler.
func Later[Resp any](ctx context.Context) *Pending[Resp] {
	inv := invocationOf(ctx)
	if inv == nil {
		panic("actor.Later: the context does not belong to a handler")
	}
	inv.set(invLater)
	return &Pending[Resp]{inv}
}

// Pending is what the handler returns.
func (p *Pending[Resp]) Pending() (Resp, error) {
	var zero Resp
	return zero, errPending
}

// Reply answers the request. A second reply is [ErrDuplicate]. If v cannot travel
// the caller gets the error that Reply returns.
func (p *Pending[Resp]) Reply(v Resp, err error) error {
	inv := p.inv
	if !inv.take() {
		return ErrDuplicate
	}
	var coding codec.Codec[Resp]
	unsent := answer(inv, &coding, &v, err)
	if inv.state.Load()&invReturned != 0 {
		inv.done()
	}
	return unsent
}

func isNilPointer(v any) bool {
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}

// castFailed logs the error of a cast: it has no caller to go to.
func (s *System) castFailed(inv *invocation, err error) {
	s.Emit(Event{Type: EventCastFailed, Path: inv.h.path, Kind: inv.h.kind.name, Incarnation: inv.h.incarnation,
		Method: inv.method, Err: err, Sender: inv.link.from})
}
