package runtime

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/mailbox"
)

// PoolMessage is one message to a pool, from its sending until it is over. Casts
// are sent to the worker as requests, so that their end is known.
type PoolMessage struct {
	// What the dispatcher goes by.
	ID     uint64 // unique in this process
	Method string
	Size   int    // in bytes
	Cast   bool   // its sender does not wait for the end
	Try    bool   // nor for room
	Stream bool   // it is answered with items
	Order  string // messages with the same are handled one after another
	Key    string // of the quarantine
	Token  uint64 // stands for the message in the call chains of what its handler calls
	Chain  []uint64

	to         *target
	dispatcher Dispatcher
	msg        *mailbox.Message // copied for each worker
	items      *itemQueue
	inv        *invocation   // that made a call which is awaited later
	changed    chan struct{} // one slot

	// Of a stream: what the writer has sent, and what it may send.
	sent, allowed atomic.Int64

	mu       sync.Mutex
	call     *call // at the worker that has it, or had it last
	over     bool
	res      callResult
	gone     bool // its caller has given up
	admitted bool // a cast: there is room for it, and its sender does not wait any more
	heard    chan struct{}
}

// firstPoolID is the least id of a message to a pool. They go by the senders of
// workers, which have ids of their own.
const firstPoolID = 1 << 30

func (s *System) newPoolID() uint32 {
	return firstPoolID | s.poolIDs.Add(1)&(firstPoolID-1)
}

// poolIDOf returns the id of a message that was begun for a pool, or 0.
func poolIDOf(b []byte) uint32 {
	if wire.MessageType(b[1]) != wire.Request { // as other casts are none
		return 0
	}
	return binary.BigEndian.Uint32(b[3:]) // an id of a pool needs 32 bits
}

var poolMessages atomic.Uint64

// ErrGivenUp is what a message fails with that was given up while it waited.
var ErrGivenUp = errors.New("given up")

func (t *target) newPoolMessage(ctx context.Context, method string) *PoolMessage {
	m := &PoolMessage{ID: poolMessages.Add(1), Method: method, Token: invocationIDs.Add(1), to: t, changed: make(chan struct{}, 1)}
	m.Order, m.Key = port.StringOf(ctx, port.OrderKey{}), port.StringOf(ctx, port.PoolKey{})
	return m
}

// build makes the message of what is in buf.
func (m *PoolMessage) build(ctx context.Context, method string, id uint32, buf *codec.Buffer, pin uuid.UUID) (err error) {
	if pin != uuid.Nil {
		codec.PutBuffer(buf)
		return fmt.Errorf("%s is a pool, of which no incarnation can be meant: %w", m.to.path, actor.ErrNotRunning)
	}
	c := m.to.get()
	m.Chain = appendChain(nil, ctx)
	m.msg, err = c.message(ctx, method, buf, &call{id: id, items: m.items, pooled: m}, uuid.Nil)
	return err
}

// adopt makes the message of one that was made before the path was known to be
// a pool.
func (m *PoolMessage) adopt(ctx context.Context, old *mailbox.Message) error {
	if old.Pin != "" {
		old.Drop()
		return fmt.Errorf("%s is a pool, of which no incarnation can be meant: %w", m.to.path, actor.ErrNotRunning)
	}
	m.Chain = appendChain(nil, ctx)
	head := wire.AppendNotifyHead(nil, old.Method)
	if old.Call {
		head = wire.AppendRequestHead(nil, uint64(old.ID), old.Method)
	}
	plain := withoutMeta(old)
	meta, err := wire.ParseMeta(old.Body[len(old.Body)-old.Meta:])
	if err != nil {
		old.Drop()
		return err
	}
	meta.Chain = append(meta.Chain, m.Token)
	id := m.to.sys.newPoolID()
	body := append(wire.AppendRequestHead(nil, uint64(id), old.Method), plain[len(head):]...)
	end := len(body)
	body = wire.AppendMetaTo(body, 0, &meta)
	m.msg = &mailbox.Message{ID: id, Call: true, Method: old.Method, Body: body, Meta: len(body) - end, Segments: old.Segments}
	return nil
}

// submit gives the message to the pool, waiting for one if the pool is being
// restarted.
func (m *PoolMessage) submit(ctx context.Context) error {
	d, err := m.to.dispatcher(ctx, m.Try)
	if err == nil && d == nil {
		m.to.pooled.Store(false)
		err = fmt.Errorf("%s is no pool any more: %w", m.to.path, actor.ErrNotRunning)
	}
	if err != nil {
		m.msg.Drop()
		return err
	}
	m.msg.Call, m.Size, m.dispatcher = true, len(m.msg.Body), d
	d.Submit(m)
	d.Run()
	return nil
}

// Send gives the message to a worker, in which it has a slot.
func (m *PoolMessage) Send(w PoolWorker) {
	c := w.to.get()
	call := newCall(c, m.msg.ID)
	call.items, call.pooled = m.items, m
	msg := copyOf(m.msg)
	call.msg = msg
	m.mu.Lock()
	m.call = call
	gone := m.gone
	if q := m.items; q != nil {
		q.mu.Lock()
		q.moved = false
		q.mu.Unlock()
	}
	m.mu.Unlock()
	m.notify()
	c.deliver(msg, call)
	if gone {
		c.cancelPooled(call)
	}
}

// copyOf returns a message with the same content, which shares a large body and
// holds the segments for itself.
func copyOf(m *mailbox.Message) *mailbox.Message {
	c := mailbox.GetMessage()
	c.ID, c.Call, c.Method, c.Meta = m.ID, m.Call, m.Method, m.Meta
	if len(m.Body) <= cap(c.Body) {
		c.Body = append(c.Body, m.Body...)
	} else {
		c.Body = m.Body
	}
	for _, s := range m.Segments {
		s.Retain()
		c.Segments = append(c.Segments, s)
	}
	return c
}

// deliver takes a message for which the receiver has a free slot.
func (c *sender) deliver(msg *mailbox.Message, call *call) {
	c.used.Store(c.sys.sends.Add(1))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil {
		msg.Drop()
		call.end(callResult{err: c.closed, lost: lostUnbegun})
		return
	}
	c.push(msg, call)
	if call.pooled.Cast && c.current != nil {
		c.current.conn.Resume() // no caller reads for the reply
	}
	if c.current == nil {
		c.connect()
	}
}

// cancelPooled tells the receiver that the caller has given up. The reply is
// still awaited: it frees the slot.
func (c *sender) cancelPooled(call *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && c.calls[call.id] == call {
		c.current.tell(ctlCancel, codec.Params(uint64(call.id)))
		c.current.conn.Resume() // the caller does not read for the reply any more
	}
}

// ended is call.end for a call to a worker. Any lock may be held, so that the
// dispatcher runs elsewhere; but for a reply its receiver runs it.
func (m *PoolMessage) ended(c *call, r callResult) {
	m.mu.Lock()
	again := r.lost != notLost && !m.over
	drop := false
	if !again {
		drop = m.over || m.gone || m.Cast
		if !m.over {
			m.over, m.res = true, r
		}
	}
	m.mu.Unlock()
	if drop && r.err == nil {
		if m.Cast && r.reply.Err != nil {
			m.castFailed(r.reply.Err)
		}
		r.reply.Drop()
	}
	c.res = r
	c.over.Store(true)
	if q := m.items; q != nil {
		if again {
			q.mu.Lock()
			q.moved = true
			q.mu.Unlock()
		} else {
			q.end()
		}
		c.from.poller.Done(&q.wait)
	}
	c.from.poller.Done(&c.wait)
	if r.lost != notLost {
		m.dispatcher.Lost(m, r.lost == lostBegun)
		go m.dispatcher.Run()
		return
	}
	m.notify()
	m.msg.Drop()
	m.dispatcher.Over(m)
	if r.err != nil {
		go m.dispatcher.Run()
	}
}

func (m *PoolMessage) castFailed(raw []byte) {
	s := m.to.sys
	s.Emit(actor.Event{Type: actor.EventCastFailed, Path: m.to.path, Kind: m.to.kind, Method: m.Method,
		Err: decodeRemote(m.to.path, m.Method, raw), Sender: s.fromPath()})
}

// notify wakes who waits for the message.
func (m *PoolMessage) notify() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// Admit says that there is room for the message: a cast's sender goes on.
func (m *PoolMessage) Admit() {
	m.mu.Lock()
	m.admitted = true
	m.mu.Unlock()
	m.notify()
}

// Fail ends the message without a reply.
func (m *PoolMessage) Fail(err error) {
	m.mu.Lock()
	if m.over {
		m.mu.Unlock()
		return
	}
	m.over, m.res = true, callResult{err: err}
	lost := m.Cast && m.admitted
	call := m.call
	m.mu.Unlock()
	m.msg.Drop()
	if q := m.items; q != nil {
		q.end()
		if call != nil {
			call.from.poller.Done(&q.wait)
		}
	}
	m.notify()
	if lost {
		m.to.sys.deadLetter(m.to.path, m.Method, err)
	}
}

// GivenUp acknowledges GiveUp.
func (m *PoolMessage) GivenUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.heard != nil {
		close(m.heard)
		m.heard = nil
	}
}

// giveUp ends the wait for the message. If it is over in this very moment, or
// has failed for that, giveUp returns how.
func (m *PoolMessage) giveUp() (callResult, bool) {
	m.mu.Lock()
	if m.over || m.gone {
		defer m.mu.Unlock()
		return m.res, m.over
	}
	heard := make(chan struct{})
	m.gone, m.heard = true, heard
	call := m.call
	m.mu.Unlock()
	if call != nil {
		call.from.cancelPooled(call)
	}
	m.dispatcher.GiveUp(m)
	m.dispatcher.Run()
	<-heard
	m.mu.Lock()
	defer m.mu.Unlock()
	return callResult{err: m.res.err}, m.over && m.res.err != nil
}

// refuse ends a call that would wait for ever.
func (m *PoolMessage) refuse(err error) {
	m.mu.Lock()
	if m.over || m.gone {
		m.mu.Unlock()
		return
	}
	call := m.call
	m.gone, m.over, m.res = true, true, callResult{err: err}
	m.mu.Unlock()
	m.notify()
	if call != nil {
		call.from.cancelPooled(call)
		if q := m.items; q != nil {
			q.end()
			call.from.poller.Done(&q.wait)
		}
		call.refused.Store(true)
		call.from.poller.Done(&call.wait)
	}
	m.dispatcher.GiveUp(m)
	go m.dispatcher.Run()
}

// received counts an item; a writer that has used up its window waits for the
// reader.
func (m *PoolMessage) received() {
	if m.sent.Add(1) >= port.StreamWindow+m.allowed.Load() {
		m.dispatcher.Blocked(m, true)
		m.dispatcher.Run()
	}
}

// allow notes that the reader has room for n further items.
func (m *PoolMessage) allow(n int) {
	before := m.allowed.Add(int64(n)) - int64(n)
	if m.sent.Load() >= port.StreamWindow+before {
		m.dispatcher.Blocked(m, false)
		m.dispatcher.Run()
	}
}

// await waits for the end of the message until ctx ends.
func (m *PoolMessage) await(ctx context.Context) (conn.Reply, error) {
	for {
		m.mu.Lock()
		call, over, res := m.call, m.over, m.res
		m.mu.Unlock()
		if over {
			return res.reply, res.err
		}
		if call != nil && !call.over.Load() {
			inv := waits(ctx, call)
			call.from.poller.Wait(ctx, &call.wait, call.from.stuck(ctx))
			inv.waited(call)
			if call.Over() {
				continue
			}
		} else {
			select {
			case <-m.changed:
				continue
			case <-ctx.Done():
			}
		}
		res, over = m.giveUp()
		if !over {
			return conn.Reply{}, port.ContextError(ctx)
		}
		if res.err != nil && ctx.Err() != nil && res.err != ErrGivenUp {
			res.err = fmt.Errorf("%w: %w", port.ContextError(ctx), res.err)
		}
		if res.err == ErrGivenUp {
			res.err = port.ContextError(ctx)
		}
		return res.reply, res.err
	}
}
