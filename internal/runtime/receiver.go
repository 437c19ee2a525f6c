package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/sys"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/mailbox"
	"github.com/understudy-go/understudy/transport"
)

// receiver is the receiver's end of a link: it feeds an actor's inbox.
type receiver struct {
	h     *host
	peer  *conn.Conn
	queue *mailbox.Queue
	marks *mailbox.Progress
	from  string
	same  atomic.Bool // the sender is the same build
	owned bool        // the link is ours alone: its marks are given back with it
}

// accept serves a link that was made for the actor. marks nil makes a page and
// sends it with the answer to hello.
func (h *host) accept(lane transport.Conn, from string, marks *mailbox.Progress) error {
	l := &receiver{h: h, from: from, marks: marks, owned: true}
	l.same.Store(marks != nil) // in memory
	opts := h.sys.peerOptions()
	opts.Local = marks != nil
	l.peer = conn.New(lane, l, opts)
	h.mu.Lock()
	if h.links == nil || h.stopping() {
		h.mu.Unlock()
		lane.Close()
		return errRetry
	}
	h.links[l] = struct{}{}
	h.mu.Unlock()
	if marks != nil {
		l.open()
	}
	l.peer.Start()
	return nil
}

// open gives the link its part of the inbox.
func (l *receiver) open() {
	l.marks.SetSlots(l.h.kind.Concurrent)
	l.queue = l.h.inbox.NewQueue(l.marks, l.h.capacity, l.h.capBytes, func(begun uint64) {
		_ = l.peer.Notify(ctlCredit, codec.Params(begun))
	})
	l.queue.ReadFrom(l.peer)
}

// welcome answers a sender's hello.
func (l *receiver) welcome(m *conn.Incoming) error {
	s := l.h.sys
	h, err := s.checkHello(m.Params)
	if err == nil && l.queue != nil {
		err = fmt.Errorf("second hello on a link: %w", wire.ErrProtocol)
	}
	var mine *hello
	if err == nil {
		mine = s.hello()
		mine.Marks, err = l.sendMarks()
		mine.Capacity, mine.Bytes = l.h.capacity, l.h.capBytes
	}
	if err != nil {
		refuseControl(l.peer, m.ID, err)
		return nil
	}
	l.same.Store(h.Build != "" && h.Build == sys.BuildID())
	l.open()
	_ = l.peer.Respond(m.ID, nil, mapOf(mine).Map(), nil)
	return nil
}

// AcceptUpgrade implements [conn.UpgradeHandler].
func (l *receiver) AcceptUpgrade() error {
	if l.queue == nil || l.h.sys.opts.Lane == SocketLane {
		return errors.ErrUnsupported
	}
	if l.h.inbox.Closed() {
		return transport.ErrClosed
	}
	return nil
}

func (l *receiver) sendMarks() (token uint64, err error) {
	marks, f, err := makeMarks()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if token, err = l.peer.SendFile(f); err != nil {
		marks.Close() // there is no link that would
		return 0, err
	}
	l.marks = marks
	return token, nil
}

func (l *receiver) arrays() bool { return l.same.Load() }

// refuse answers request id with an error, raw.
func (l *receiver) refuse(id uint64, errRaw []byte) {
	l.unsent(id, l.peer.Respond(id, errRaw, nil, nil))
}

// result answers request id with a result: buf has the response but for its
// metadata.
func (l *receiver) result(id uint64, buf *codec.Buffer) {
	if len(buf.Segments) > 0 {
		var ids [4]uint64
		buf.B = wire.AppendMetaTo(buf.B, 0, &wire.Meta{Segments: conn.SegmentIDs(ids[:0], buf.Segments)})
	}
	l.unsent(id, l.peer.Send(buf.B, buf.Segments))
}

// unsent tells the caller that the response could not be sent, if the link stands.
func (l *receiver) unsent(id uint64, err error) {
	if err != nil && !isClosed(err) {
		_ = l.peer.Respond(id, encodeRemote(&noKind, fmt.Errorf("sending the response: %w", err)), nil, nil)
	}
}

// item sends an item of a stream: buf has the message but for its metadata.
func (l *receiver) item(buf *codec.Buffer) error {
	if len(buf.Segments) > 0 {
		buf.B = wire.AppendMetaTo(buf.B, 0, &wire.Meta{Segments: conn.SegmentIDs(nil, buf.Segments)})
	}
	return l.peer.Send(buf.B, buf.Segments)
}

// Message puts a user's message in the inbox.
func (l *receiver) Message(m *conn.Incoming) {
	if l.queue == nil {
		m.Drop()
		l.violation(fmt.Errorf("message %q before hello: %w", m.Method, wire.ErrProtocol))
		return
	}
	m.From = l
	if m.Call && len(m.Meta.Chain) > 0 && l.h.holdsLastSlot(m.Meta.Chain) {
		m.Skip() // its turn would never come
		_ = l.peer.Respond(m.ID, encodeRemote(&noKind, fmt.Errorf("%s of %s: %w", m.Method, l.h.path, actor.ErrCallCycle)), nil, nil)
	}
	// A slot that found the call in the ring has just been idle.
	mayStall := m.Call && m.By == nil
	waits, err := l.queue.Push(m)
	if err != nil {
		l.violation(err)
		return
	}
	if waits && mayStall && l.h.active[0].Load() != nil {
		l.h.stalled()
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

// violation ends a link whose peer broke the protocol. Nothing else suffers.
// The queue ends first: a sender that sees the link's end takes the mark for
// final, and what is begun after that would be begun twice.
func (l *receiver) violation(err error) {
	l.h.sys.Emit(actor.Event{Type: actor.EventLinkLost, Path: l.h.path, Kind: l.h.kind.Name, Incarnation: l.h.incarnation, Sender: l.from, Err: err})
	if l.queue != nil {
		l.queue.Close()
	}
	l.peer.Close()
}

// Reply drops what was not asked for.
func (l *receiver) Reply(_ uint32, r conn.Reply) { r.Drop() }

// Control takes what the sender says about its messages.
func (l *receiver) Control(m *conn.Incoming) {
	h := controls[m.Method]
	if h.receiver == nil {
		unknownControl(l.peer, m)
	} else if err := h.receiver(l, m); err != nil {
		l.violation(err)
	}
}

func (l *receiver) want(m *conn.Incoming) error {
	var position uint64
	err := codec.DecodeParams(m.Params, &position)
	if err == nil && l.queue != nil {
		l.queue.Want(position)
	}
	return err
}

func (l *receiver) cancel(m *conn.Incoming) error {
	var id uint64
	if err := codec.DecodeParams(m.Params, &id); err != nil {
		return err
	}
	if l.queue != nil && l.queue.Cancel(id) {
		// The caller may be a pool, which learns so that the slot is free.
		l.refuse(id, encodeRemote(&noKind, context.Canceled))
		return nil
	}
	if inv := l.h.begun(l, id); inv != nil {
		inv.ctx.end(errCallerGone)
	}
	return nil
}

func (l *receiver) more(m *conn.Incoming) error {
	var id, n uint64
	if err := codec.DecodeParams(m.Params, &id, &n); err != nil {
		return err
	}
	if inv := l.h.begun(l, id); inv != nil && inv.credit != nil {
		select {
		case inv.credit <- n:
		default: // a reader that grants more often than it reads
		}
	}
	return nil
}

func (l *receiver) probe(m *conn.Incoming) error {
	var p probe
	err := codec.DecodeControl(m.Params, &p)
	if err == nil {
		l.probed(p)
	}
	return err
}

func (l *receiver) look(*conn.Incoming) error {
	if l.h.active[0].Load() != nil && l.h.inbox.HasCall() {
		l.h.stalled()
	}
	return nil
}

// Closed ends the link: the calls that came by it have no caller any more.
func (l *receiver) Closed(err error) {
	if !isEOF(err) && !isClosed(err) {
		l.h.sys.Emit(actor.Event{Type: actor.EventLinkLost, Path: l.h.path, Kind: l.h.kind.Name, Incarnation: l.h.incarnation, Sender: l.from, Err: err})
	}
	h := l.h
	h.mu.Lock()
	delete(h.links, l)
	h.mu.Unlock()
	if l.queue != nil {
		l.queue.Close() // first: what is begun after this look would never be told
	}
	for _, inv := range h.begunBy(l) {
		inv.ctx.end(errCallerGone)
	}
	if l.queue != nil && l.owned {
		l.queue.CloseProgress()
	}
}
