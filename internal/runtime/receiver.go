package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/sys"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/mailbox"
	"github.com/understudy-go/understudy/transport"
)

// receiver is the receiver's end of a connection: it feeds an actor's inbox.
type receiver struct {
	h        *host
	conn     *conn.Conn
	queue    *mailbox.Queue
	progress *mailbox.Progress
	from     string
	same     atomic.Bool // the sender is the same build
	number   uint64      // counts the connections to the actor: the lowest is the oldest
	owned    bool        // the connection is ours alone: its progress page is given back with it

	// stage is for other goroutines than the connection's reader, to whom queue and
	// progress belong before it is receiverOpen.
	stage atomic.Int32
}

// The stages of a receiver.
const (
	receiverNew      = iota // its sender has not said hello
	receiverGreeting        // it has
	receiverOpen            // it was answered
)

// accept serves a connection that was made for the actor. progress nil makes a page and
// sends it with the answer to hello.
func (h *host) accept(socket transport.Conn, from string, progress *mailbox.Progress) error {
	r := &receiver{h: h, from: from, progress: progress, owned: true}
	r.same.Store(progress != nil) // in memory
	opts := h.sys.connOptions()
	opts.Local = progress != nil
	r.conn = conn.New(socket, r, opts)
	h.mu.Lock()
	if h.receivers == nil || h.stopping() {
		h.mu.Unlock()
		socket.Close()
		return errRetry
	}
	h.accepted++
	r.number = h.accepted
	var idle *receiver
	if progress == nil && len(h.receivers) >= maxReceivers() {
		idle = h.mostlyIdle()
		delete(h.receivers, idle)
	}
	h.receivers[r] = struct{}{}
	h.mu.Unlock()
	if idle != nil {
		idle.leave()
	}
	if progress != nil {
		r.open()
	}
	r.conn.Start()
	return nil
}

// open gives the connection its part of the inbox.
func (r *receiver) open() {
	r.queue = r.h.inbox.NewQueue(r.progress, r.h.capacity, r.h.capBytes, func(begun uint64) {
		_ = r.conn.Notify(ctlCredit, codec.Params(begun))
	})
	r.queue.ReadFrom(r.conn)
	r.stage.Store(receiverOpen)
}

// welcome answers a sender's hello.
func (r *receiver) welcome(m *conn.Incoming) error {
	s := r.h.sys
	h, err := s.checkHello(m.Params)
	if err == nil && r.queue != nil {
		err = fmt.Errorf("second hello on a connection: %w", wire.ErrProtocol)
	}
	var mine *hello
	if err == nil {
		r.stage.Store(receiverGreeting)
		mine = s.hello()
		mine.Progress, err = r.sendProgress()
		mine.Capacity, mine.Bytes = r.h.capacity, r.h.capBytes
	}
	if err != nil {
		respondError(r.conn, m.ID, err)
		return nil
	}
	r.same.Store(h.Build != "" && h.Build == sys.BuildID())
	r.open()
	_ = r.conn.Respond(m.ID, nil, mapOf(mine).Map(), nil)
	return nil
}

// AcceptUpgrade implements [conn.UpgradeHandler].
func (r *receiver) AcceptUpgrade() error {
	if r.queue == nil || r.h.sys.opts.Transport == SocketTransport {
		return errors.ErrUnsupported
	}
	if r.h.stopping() {
		return transport.ErrClosed
	}
	return nil
}

func (r *receiver) sendProgress() (token uint64, err error) {
	progress, f, err := mailbox.CreateProgress()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if token, err = r.conn.SendFile(f); err != nil {
		progress.Close() // there is no connection that would
		return 0, err
	}
	r.progress = progress
	return token, nil
}

func (r *receiver) arrays() bool { return r.same.Load() }

// respondError answers request id with an error, raw.
func (r *receiver) respondError(id uint64, errRaw []byte) {
	r.unsent(id, r.conn.Respond(id, errRaw, nil, nil))
}

// result answers request id with a result: buf has the response but for its
// metadata.
func (r *receiver) result(id uint64, buf *codec.Buffer) {
	if len(buf.Segments) > 0 {
		var ids [4]uint64
		buf.B = wire.AppendMetaTo(buf.B, 0, &wire.Meta{Segments: conn.SegmentIDs(ids[:0], buf.Segments)})
	}
	r.unsent(id, r.conn.Send(buf.B, buf.Segments))
}

// unsent tells the caller that the response could not be sent, if the connection stands.
func (r *receiver) unsent(id uint64, err error) {
	if err != nil && !isClosed(err) {
		_ = r.conn.Respond(id, encodeRemote(fmt.Errorf("sending the response: %w", err)), nil, nil)
	}
}

// item sends an item of a stream: buf has the message but for its metadata.
func (r *receiver) item(buf *codec.Buffer) error {
	if len(buf.Segments) > 0 {
		buf.B = wire.AppendMetaTo(buf.B, 0, &wire.Meta{Segments: conn.SegmentIDs(nil, buf.Segments)})
	}
	return r.conn.Send(buf.B, buf.Segments)
}

// Message puts a user's message in the inbox.
func (r *receiver) Message(m *conn.Incoming) {
	if r.queue == nil {
		m.Drop()
		r.violation(fmt.Errorf("message %q before hello: %w", m.Method, wire.ErrProtocol))
		return
	}
	m.From = r
	if m.Call && len(m.Meta.Chain) > 0 && r.h.holdsLastSlot(m.Meta.Chain) {
		m.Skip() // its turn would never come
		_ = r.conn.Respond(m.ID, encodeRemote(fmt.Errorf("%s of %s: %w", m.Method, r.h.path, actor.ErrCallCycle)), nil, nil)
	}
	// A slot that found the call in the ring has just been idle.
	mayStall := m.Call && m.By == nil
	waits, err := r.queue.Push(m)
	if err != nil {
		r.violation(err)
		return
	}
	if waits && mayStall && r.h.active[0].Load() != nil {
		r.h.stalled()
	}
}

// holdsLastSlot reports whether a call with this chain would wait for itself:
// every slot is held by an invocation that waits for it.
func (h *host) holdsLastSlot(chain []uint64) bool {
	for i := range h.active {
		inv := h.active[i].Load()
		if inv == nil {
			return false
		}
		waits := false
		for _, id := range chain {
			waits = waits || id == inv.id
		}
		if !waits {
			return false
		}
	}
	return true
}

// violation ends a connection whose peer broke the protocol. Nothing else suffers.
// The queue ends first: a sender that sees the connection's end takes the begun position for
// final, and what is begun after that would be begun twice.
func (r *receiver) violation(err error) {
	r.h.sys.Emit(actor.Event{Type: actor.EventConnectionLost, Path: r.h.path, Kind: r.h.kind.Name, Incarnation: r.h.incarnation, Sender: r.from, Err: err})
	if r.queue != nil {
		r.queue.Close(false)
	}
	r.conn.Close()
}

// Reply drops what was not asked for.
func (r *receiver) Reply(_ uint32, reply conn.Reply) { reply.Drop() }

// Control takes what the sender says about its messages.
func (r *receiver) Control(m *conn.Incoming) {
	h := controls[m.Method]
	if h.receiver == nil {
		unknownControl(r.conn, m)
	} else if err := h.receiver(r, m); err != nil {
		r.violation(err)
	}
}

func (r *receiver) want(m *conn.Incoming) error {
	var position uint64
	err := codec.DecodeParams(m.Params, &position)
	if err == nil && r.queue != nil {
		r.queue.Want(position)
	}
	return err
}

func (r *receiver) cancel(m *conn.Incoming) error {
	var id uint64
	if err := codec.DecodeParams(m.Params, &id); err != nil {
		return err
	}
	if r.queue != nil && r.queue.Cancel(id) {
		// The caller may be a pool, which learns so that the slot is free.
		r.respondError(id, encodeRemote(context.Canceled))
		return nil
	}
	if inv := r.h.begun(r, id); inv != nil {
		inv.ctx.end(errCallerGone)
	}
	return nil
}

func (r *receiver) more(m *conn.Incoming) error {
	var id, n uint64
	if err := codec.DecodeParams(m.Params, &id, &n); err != nil {
		return err
	}
	if r.queue != nil && r.queue.Grant(id, n, port.StreamWindow) {
		return nil // the handler will find it in its window
	}
	if inv := r.h.begun(r, id); inv != nil && inv.credit != nil {
		select {
		case inv.credit <- n:
		default: // a reader that grants more often than it reads
		}
	}
	return nil
}

func (r *receiver) probe(m *conn.Incoming) error {
	var p probe
	err := codec.DecodeControl(m.Params, &p)
	if err == nil {
		r.probed(p)
	}
	return err
}

func (r *receiver) look(*conn.Incoming) error {
	if r.h.active[0].Load() != nil && r.h.inbox.HasCall() {
		r.h.stalled()
	}
	return nil
}

// Closed ends the connection: the calls that came by it have no caller any more.
func (r *receiver) Closed(err error) {
	if !isEOF(err) && !isClosed(err) {
		r.h.sys.Emit(actor.Event{Type: actor.EventConnectionLost, Path: r.h.path, Kind: r.h.kind.Name, Incarnation: r.h.incarnation, Sender: r.from, Err: err})
	}
	h := r.h
	h.mu.Lock()
	delete(h.receivers, r)
	h.mu.Unlock()
	if r.queue != nil {
		r.queue.Close(r.owned) // first: what is begun after this look would never be told
	}
	for _, inv := range h.begunBy(r) {
		inv.ctx.end(errCallerGone)
	}
}
