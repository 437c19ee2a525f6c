package runtime

import (
	"context"
	"errors"
	"fmt"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/mailbox"
	"github.com/understudy-go/understudy/transport"
)

func isClosed(err error) bool { return errors.Is(err, transport.ErrClosed) }

// connect begins to make a link, unless one is under way, and returns the attempt. The
// lock is held.
func (c *sender) connect() *attempt {
	if c.attempt == nil {
		at := &attempt{done: make(chan struct{})}
		c.attempt = at
		c.hold()
		c.sys.spawn(func() { c.introduce(at) })
	}
	return c.attempt
}

func (c *sender) introduce(at *attempt) {
	l, err := c.sys.introduce(c.sys.ctx, c)
	if err == nil && l.rings == 1 {
		l.rings = 0
		c.upgrade(l)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempt = nil
	at.err = err
	if err == nil && c.closed != nil {
		err = c.closed
		if l.dead {
			l.release()
		} else {
			l.unused = true
			l.close()
		}
	}
	if err == errPool {
		c.toPool()
	} else if err != nil {
		c.abandon(err)
	} else if !l.dead {
		c.up(l)
	} else {
		l.release() // it ended before it stood: those who wait try again
		if c.out.Len() > 0 {
			c.connect()
		}
	}
	c.settle()
	close(at.done)
}

// abandon fails what waits: the actor will not come back, as far as one knows.
func (c *sender) abandon(err error) {
	c.stood = false
	c.out.Reset(func(m *mailbox.Message) bool {
		if m.Cancelled() {
			m.Drop()
		} else {
			c.fail(m, callResult{err: err, lost: lostUnbegun})
		}
		return true
	})
	for _, w := range c.waiters {
		close(w)
	}
	c.waiters = nil
}

// up takes a link into use: what was not begun goes out first, in order.
func (c *sender) up(l *link) {
	c.link, c.stood = l, true
	c.out.Capacity, c.out.CapacityBytes = DefaultCapacity, DefaultCapacityBytes
	if l.capacity > 0 {
		c.out.Capacity = l.capacity
	}
	if l.capBytes > 0 {
		c.out.CapacityBytes = l.capBytes
	}
	c.arrays.Store(l.same)
	c.foreign.Store(!l.metadata())
	clear(c.casts)
	c.poller.AddSource(l.peer)
	c.flush()
	c.passOn(true)
}

// ringsAfter is how many messages a link carries before it gets rings: most
// links are made for a few, and rings are memory.
const ringsAfter = 8

// busy counts a message; enough of them earn rings. The lock is held.
func (c *sender) busy(l *link) {
	if l.rings--; l.rings > 0 {
		return
	}
	c.sys.spawn(func() { c.upgrade(l) })
}

// upgrade asks the peer for rings, and waits until they stand or it is known that
// they will not.
func (c *sender) upgrade(l *link) {
	settled := make(chan struct{})
	l.peer.Upgrade(func(err error) {
		c.socketOnly(l, err)
		close(settled)
	})
	<-settled
}

// socketOnly reports that a link that should have rings cannot.
func (c *sender) socketOnly(l *link, err error) {
	if err != nil && !isClosed(err) && !isEOF(err) {
		c.sys.Emit(actor.Event{Type: actor.EventSocketLane, Path: c.to.path, Kind: c.to.kind, Incarnation: l.inc, PID: l.pid, Err: err, Sender: c.sys.fromPath()})
	}
}

// stuck is what to do when a wait under ctx takes long: nothing, unless a
// handler waits, for which another call may wait.
func (c *sender) stuck(ctx context.Context) func() {
	if invocationOf(ctx) == nil {
		return nil
	}
	return c.look
}

// askToLook has the receiver look at what waits in its ring: our call may be one
// that can never be taken up. There is no need to if all we sent is begun, or
// if a slot of the receiver's sleeps: it is woken, and takes it up. In each circle
// of calls that wait there is a last one, and that one finds its receiver busy.
func (c *sender) askToLook() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.prune(); c.link != nil && c.out.Len() > 0 && c.link.peer.UnseenByPeer() {
		c.link.tell(ctlLook, codec.Params())
	}
}

// down is the end of a link, after everything that came by it was delivered.
func (c *sender) down(l *link, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.settle()
	if c.link != l {
		l.dead = true
		if l.unused {
			l.release()
		}
		return
	}
	c.poller.RemoveSource(l.peer)
	c.prune()
	if l.fault != nil {
		cause = l.fault
	}
	var lost []string // casts that were in hand
	busy := l.inHand()
	for p, method := range c.casts {
		if busy[p] {
			lost = append(lost, method)
		}
	}
	clear(c.casts)
	c.link = nil
	c.out.Reset(func(m *mailbox.Message) bool {
		if m.Cancelled() {
			m.Drop()
		}
		return m.Cancelled()
	})
	waiting := make(map[uint32]bool)
	c.out.Each(func(m *mailbox.Message) {
		if m.Call {
			waiting[m.ID] = true
		}
	})
	var cut []*call
	for id, call := range c.calls {
		if !waiting[id] {
			cut = append(cut, call)
			delete(c.calls, id)
		}
	}
	l.release()
	if c.closed != nil {
		for _, call := range cut {
			call.end(callResult{err: c.closed, lost: lostBegun})
		}
		c.abandon(c.closed)
		return
	}
	if len(cut)+len(lost) > 0 {
		c.sys.spawn(func() { c.exitReport(l, cause, cut, lost) })
	}
	if c.out.Len() > 0 || len(c.waiters) > 0 {
		c.connect()
	}
}

// exitReport fails the calls that were in the dead actor's hands, and reports
// the casts.
func (c *sender) exitReport(l *link, cause error, cut []*call, lost []string) {
	down, err := c.sys.exitReport(c.sys.ctx, l, c.to.path)
	if err != nil {
		down = actor.Down{Path: c.to.path, PID: l.pid, Incarnation: l.inc, ExitStatus: actor.ExitStatus{Reason: actor.ReasonLost,
			Err: fmt.Errorf("the connection ended (%v), and the reason is not known: %v", cause, err)}} // not wrapped: they are not this call's errors
	}
	begun := l.cutOff()
	for _, call := range cut {
		var err error = exitErrorOf(c.to.path, down.PID, l.inc, down.ExitStatus, begun)
		if down.ExitStatus.Reason == actor.ReasonShutdown || down.ExitStatus.Reason == actor.ReasonKilled {
			err = fmt.Errorf("%w: %w", actor.ErrStopped, err)
		}
		call.end(callResult{err: err, lost: lostBegun})
	}
	for _, method := range lost {
		c.sys.deadLetter(c.to.path, method, exitErrorOf(c.to.path, down.PID, l.inc, down.ExitStatus, begun))
	}
}

// close ends the client with its system.
func (c *sender) close(err error) {
	c.mu.Lock()
	c.closed = err
	l := c.link
	if l == nil {
		for id, call := range c.calls {
			delete(c.calls, id)
			call.end(callResult{err: err, lost: lostUnbegun})
		}
		c.abandon(err)
		c.settle()
	}
	c.mu.Unlock()
	if l != nil {
		if l.kept {
			c.down(l, err)
		} else {
			l.close()
		}
	}
}

// linkHandler is the client's end of a direct link.
type linkHandler struct {
	c *sender
	l *link
}

func (h *linkHandler) Message(m *conn.Incoming) { m.Drop() } // requests flow the other way

func (h *linkHandler) Reply(id uint32, r conn.Reply) { h.c.reply(h.l.peer, id, r) }

func (h *linkHandler) Control(m *conn.Incoming) { h.c.control(h.l, m) }

func (h *linkHandler) Closed(err error) { h.c.down(h.l, err) }

// control takes what a receiver says about a link's messages. It is false for
// what does not belong to a link.
func (c *sender) control(l *link, m *conn.Incoming) bool {
	h := controls[m.Method]
	if h.sender != nil {
		h.sender(l, c, m)
	}
	return h.sender != nil
}

func (l *link) credit(c *sender, _ *conn.Incoming) { c.credit(l) }

func (l *link) begunTo(c *sender, m *conn.Incoming) {
	var position uint64
	if codec.DecodeParams(m.Params, &position) == nil && l.marks != nil && !l.paged {
		l.marks.SetBegun(position)
		c.credit(l)
	}
}

func (l *link) item(c *sender, m *conn.Incoming) { c.item(m) }

var _ conn.Handler = (*linkHandler)(nil)
