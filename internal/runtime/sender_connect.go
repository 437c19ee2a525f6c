package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/mailbox"
	"github.com/understudy-go/understudy/transport"
)

func isClosed(err error) bool { return errors.Is(err, transport.ErrClosed) }

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// connect begins to make a connection, unless one is under way, and returns the attempt. The
// lock is held.
func (s *sender) connect() *attempt {
	if s.attempt == nil {
		at := &attempt{done: make(chan struct{})}
		s.attempt = at
		s.retain()
		s.sys.spawn(func() { s.introduce(at) })
	}
	return s.attempt
}

func (s *sender) introduce(at *attempt) {
	c, err := s.sys.introduce(s)
	if err == nil && c.rings == 1 {
		c.rings = 0
		s.upgrade(c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempt = nil
	at.err = err
	if err == nil && s.closed != nil {
		err = s.closed
		if c.dead {
			c.release()
		} else {
			c.unused = true
			c.close()
		}
	}
	if err == errPool {
		s.toPool()
	} else if err != nil {
		s.abandon(err)
	} else if !c.dead {
		s.up(c)
	} else {
		c.release() // it ended before it stood: those who wait try again
		if s.out.Len() > 0 {
			s.connect()
		}
	}
	s.settle()
	close(at.done)
}

// abandon fails what waits: the actor will not come back, as far as one knows.
func (s *sender) abandon(err error) {
	s.stood = false
	s.out.Reset(func(m *mailbox.Message, cancelled bool) bool {
		if cancelled {
			m.Drop()
		} else {
			s.fail(m, callResult{err: err, lost: lostUnbegun})
		}
		return true
	})
	for _, w := range s.waiters {
		close(w)
	}
	s.waiters = nil
}

// up takes a connection into use: what was not begun goes out first, in order.
func (s *sender) up(c *connection) {
	s.current, s.stood = c, true
	s.sys.work.Add(1) // we are in a goroutine that Close awaits; down says Done
	s.out.Capacity, s.out.CapacityBytes = DefaultCapacity, DefaultCapacityBytes
	if c.capacity > 0 {
		s.out.Capacity = c.capacity
	}
	if c.capBytes > 0 {
		s.out.CapacityBytes = c.capBytes
	}
	s.arrays.Store(c.same)
	s.foreign.Store(!c.metadata())
	clear(s.casts)
	s.poller.AddSource(c.conn)
	s.flush()
	s.passOn(true)
}

// ringsAfter is how many messages a connection carries before it gets rings: most
// connections are made for a few, and rings are memory.
const ringsAfter = 8

// busy counts a message; enough of them earn rings. The lock is held.
func (s *sender) busy(c *connection) {
	if c.rings--; c.rings > 0 {
		return
	}
	s.sys.spawn(func() { s.upgrade(c) })
}

// upgrade asks the peer for rings, and waits until they stand or it is known that
// they will not.
func (s *sender) upgrade(c *connection) {
	settled := make(chan struct{})
	c.conn.Upgrade(func(err error) {
		s.socketOnly(c, err)
		close(settled)
	})
	<-settled
}

// socketOnly reports that a connection that should have rings cannot.
func (s *sender) socketOnly(c *connection, err error) {
	if err != nil && !isClosed(err) && !isEOF(err) {
		s.sys.Emit(actor.Event{Type: actor.EventSocketOnly, Path: s.target.path, Kind: s.target.kind, Incarnation: c.inc, PID: c.pid, Err: err, Sender: s.sys.fromPath()})
	}
}

// stuck is what to do when a wait under ctx takes long: nothing, unless a
// handler waits, for which another call may wait.
func (s *sender) stuck(ctx context.Context) func() {
	if invocationOf(ctx) == nil {
		return nil
	}
	return s.look
}

// askToLook has the receiver look at what waits in its ring: our call may be one
// that can never be taken up. There is no need to if all we sent is begun, or
// if a slot of the receiver's sleeps: it is woken, and takes it up. In each circle
// of calls that wait there is a last one, and that one finds its receiver busy.
func (s *sender) askToLook() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.prune(); s.current != nil && s.out.Len() > 0 && s.current.conn.UnseenByPeer() {
		s.current.tell(ctlLook, codec.Params())
	}
}

// down is the end of a connection, after everything that came by it was delivered.
func (s *sender) down(c *connection, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.settle()
	if s.current != c {
		c.dead = true
		if c.unused {
			c.release()
		}
		return
	}
	defer s.sys.work.Done() // see up
	s.poller.RemoveSource(c.conn)
	s.prune()
	if c.fault != nil {
		cause = c.fault
	}
	var lost []string // casts that were in hand
	busy := c.inHand()
	for p, method := range s.casts {
		if busy[p] {
			lost = append(lost, method)
		}
	}
	methods := slices.Clone(lost)
	clear(s.casts)
	s.current = nil
	waiting := make(map[uint32]bool)
	s.out.Reset(func(m *mailbox.Message, cancelled bool) bool {
		switch {
		case cancelled:
			m.Drop()
		case m.Call:
			waiting[m.ID] = true
		}
		return cancelled
	})
	var cut []*call
	for id, call := range s.calls {
		if !waiting[id] {
			cut = append(cut, call)
			methods = append(methods, call.method)
			delete(s.calls, id)
		}
	}
	c.release()
	if c.inst != nil {
		c.inst.hadInHand(methods)
	}
	if len(cut)+len(lost) > 0 {
		s.sys.follow(func() { s.exitReport(c, cause, cut, lost) })
	}
	if s.closed != nil {
		s.abandon(s.closed)
		return
	}
	if s.out.Len() > 0 || len(s.waiters) > 0 {
		s.connect()
	}
}

// exitReport fails the calls that were in the dead actor's hands, and reports
// the casts.
func (s *sender) exitReport(c *connection, cause error, cut []*call, lost []string) {
	down, err := s.sys.exitReport(s.sys.ctx, c, s.target.path)
	if err != nil {
		down = actor.Down{Path: s.target.path, PID: c.pid, Incarnation: c.inc, ExitStatus: actor.ExitStatus{Reason: actor.ReasonLost,
			Err: fmt.Errorf("the connection ended (%v), and the reason is not known: %v", cause, err)}} // not wrapped: they are not this call's errors
	}
	begun := c.cutOff()
	for _, call := range cut {
		call.end(callResult{err: exitErrorOf(s.target.path, down.PID, c.inc, down.ExitStatus, begun), lost: lostBegun})
	}
	for _, method := range lost {
		s.sys.deadLetter(s.target.path, method, exitErrorOf(s.target.path, down.PID, c.inc, down.ExitStatus, begun))
	}
}

// close ends the sender with its system.
func (s *sender) close(err error) {
	s.mu.Lock()
	s.closed = err
	c := s.current
	if c == nil {
		for id, call := range s.calls {
			delete(s.calls, id)
			call.end(callResult{err: err, lost: lostUnbegun})
		}
		s.abandon(err)
		s.settle()
	}
	s.mu.Unlock()
	if c != nil {
		if c.kept {
			s.down(c, err)
		} else {
			c.close()
		}
	}
}

// connectionHandler is the sender's end of a direct connection.
type connectionHandler struct {
	sender     *sender
	connection *connection
}

func (h *connectionHandler) Message(m *conn.Incoming) { m.Drop() } // requests flow the other way

func (h *connectionHandler) Reply(id uint32, r conn.Reply) { h.sender.reply(h.connection.conn, id, r) }

func (h *connectionHandler) Control(m *conn.Incoming) { h.sender.control(h.connection, m) }

func (h *connectionHandler) Closed(err error) { h.sender.down(h.connection, err) }

// control takes what a receiver says about a connection's messages. It is false for
// what does not belong to a connection.
func (s *sender) control(c *connection, m *conn.Incoming) bool {
	h := controls[m.Method]
	if h.sender != nil {
		h.sender(c, s, m)
	}
	return h.sender != nil
}

func (c *connection) credit(s *sender, _ *conn.Incoming) { s.credit(c) }

func (c *connection) begunTo(s *sender, m *conn.Incoming) {
	var position uint64
	if codec.DecodeParams(m.Params, &position) == nil && c.progress != nil && !c.paged {
		c.progress.SetBegun(position)
		s.credit(c)
	}
}

func (c *connection) item(s *sender, m *conn.Incoming) { s.item(m) }

var _ conn.Handler = (*connectionHandler)(nil)
