package runtime

import (
	"context"
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

// sender is this process's end towards one path, in all lives of its actor: it
// keeps the order of what is sent, holds messages until they are begun, and
// takes them to the replacement.
type sender struct {
	sys     *System
	target  *target     // whom it sends to: it has the path and the kind
	arrays  atomic.Bool // the peer is the same build: structs may travel as arrays
	foreign atomic.Bool // plain mode: no metadata
	ids     atomic.Uint32
	used    atomic.Int64 // when it was used last, by the system's count of sends

	mu       sync.Mutex
	out      mailbox.Outbox
	calls    map[uint32]*call
	casts    map[uint64]string // begun on this connection and perhaps still in hand: position -> method
	current  *connection       // nil when down
	attempt  *attempt          // a connection is being made
	stood    bool              // a connection stood, and senders may queue while the next is made
	waiters  []chan struct{}   // senders that wait for room, first come first served
	closed   error
	retained bool // see retain

	poller conn.Poller // callers that wait for replies
	look   func()      // askToLook
}

// attempt is one try to get a connection; it may last as long as a restart does.
type attempt struct {
	done chan struct{}
	err  error
}

func (s *sender) newID() uint32 {
	for {
		if id := s.ids.Add(1) & (firstPoolID - 1); id != 0 {
			return id
		}
	}
}

// send puts msg in the outbox, and on the connection if one stands. It waits for the
// first connection and for room until ctx ends, unless try.
func (s *sender) send(ctx context.Context, msg *mailbox.Message, call *call, try bool) error {
	s.used.Store(s.sys.sends.Add(1))
	s.mu.Lock()
	mayPass := false // we were woken: it is our turn
	for {
		err := s.closed
		if err == nil && s.sys.leaving.Load() {
			err = actor.ErrStopping
		}
		if err == nil {
			err = s.blockedBy(msg)
		}
		if err == nil && (s.current == nil || s.current.inst != nil && isDone(s.current.inst.Done())) {
			err = s.sys.finally(s.target.path, s.target.kind) // if it is known here that no life will come, say so now
		}
		if err != nil {
			s.passOn(mayPass)
			s.mu.Unlock()
			msg.Drop()
			return err
		}
		var wait <-chan struct{}
		var mine chan struct{}
		var at *attempt
		switch {
		case s.current == nil && !s.stood && !try:
			at = s.connect()
			wait = at.done
		case s.current == nil && s.attempt == nil:
			s.connect()
			continue
		case s.out.Room(len(msg.Body)) && (mayPass || len(s.waiters) == 0):
			s.push(msg, call)
			s.passOn(true)
			s.mu.Unlock()
			return nil
		case s.prune() && !mayPass && len(s.waiters) == 0 && s.out.Room(len(msg.Body)):
			continue
		case try:
			s.mu.Unlock()
			msg.Drop()
			return actor.ErrMailboxFull
		default:
			mine = make(chan struct{})
			if mayPass { // still first in line
				s.waiters = append([]chan struct{}{mine}, s.waiters...)
			} else {
				s.waiters = append(s.waiters, mine)
			}
			wait = mine
			s.passOn(false)
		}
		s.mu.Unlock()
		select {
		case <-wait:
			s.mu.Lock()
			mayPass = mine != nil
			if at != nil && at.err != nil {
				s.mu.Unlock()
				if at.err != errPool {
					msg.Drop() // else it goes to the pool
				}
				return at.err
			}
		case <-ctx.Done():
			s.mu.Lock()
			if mine != nil && !s.leave(mine) {
				s.passOn(true) // we were woken and do not use it
			}
			s.mu.Unlock()
			msg.Drop()
			return port.ContextError(ctx)
		}
	}
}

// blockedBy says why msg can never be begun: it is pinned to another life.
func (s *sender) blockedBy(msg *mailbox.Message) error {
	if msg.Pin != "" && s.current != nil && msg.Pin != s.current.inc.String() {
		return fmt.Errorf("incarnation %s of %s: %w", msg.Pin, s.target.path, actor.ErrNotRunning)
	}
	return nil
}

func (s *sender) leave(mine chan struct{}) bool {
	for i, w := range s.waiters {
		if w == mine {
			s.waiters = append(s.waiters[:i], s.waiters[i+1:]...)
			return true
		}
	}
	return false
}

// passOn wakes the next sender in line if there may be room and it is its
// turn. Otherwise it sees to it that it is called again.
func (s *sender) passOn(turn bool) {
	for len(s.waiters) > 0 {
		if turn && (s.closed != nil || s.out.Room(0)) {
			close(s.waiters[0])
			s.waiters = s.waiters[1:]
			return
		}
		if s.current == nil || s.current.tells(s) {
			return
		}
		if !s.flush() { // all that was sent is begun
			return // the connection is broken: its end goes on from here, and needs the lock
		}
		turn = true
	}
}

func (s *sender) push(msg *mailbox.Message, call *call) {
	if call != nil {
		s.calls[msg.ID] = call
	}
	s.out.Push(msg)
	if s.current == nil {
		return
	}
	s.flush()
	if s.current != nil && s.current.rings > 0 {
		s.busy(s.current)
	}
}

// flush sends what the connection has not seen. A connection that fails ends by itself:
// its reader tells us; flush is false then.
func (s *sender) flush() bool {
	c := s.current
	for {
		m, credit := s.out.PeekUnsent()
		if m == nil {
			return true
		}
		if !c.granted(credit) {
			if c.tells(s) {
				return true
			}
			continue
		}
		err := s.blockedBy(m)
		var body []byte
		if err == nil {
			body, err = c.body(s, m)
		}
		if err != nil {
			s.out.Cancel(m)
			s.fail(m, callResult{err: err})
			continue
		}
		if err := c.conn.Send(body, m.Segments); err != nil {
			if errors.Is(err, wire.ErrTooLarge) || !isClosed(err) {
				s.out.Cancel(m)
				s.fail(m, callResult{err: err})
				continue
			}
			return false
		}
		s.out.NextUnsent()
		c.wrote(s, m)
	}
}

// fail ends a message that will not be begun.
func (s *sender) fail(m *mailbox.Message, r callResult) {
	if m.Call {
		if call := s.calls[m.ID]; call != nil {
			delete(s.calls, m.ID)
			call.end(r)
		}
	} else {
		s.sys.deadLetter(s.target.path, m.Method, r.err)
	}
	m.Drop()
}

// prune takes the receiver's begun position; true if it made room.
func (s *sender) prune() bool {
	if s.current == nil {
		return false
	}
	before := s.out.Len()
	s.begunUpTo(s.current.begun(s))
	return s.out.Len() < before
}

func (s *sender) begunUpTo(position uint64) {
	ok := s.out.Begun(position, func(position uint64, m *mailbox.Message) {
		if m.Call {
			if call := s.calls[m.ID]; call != nil {
				call.begun, call.msg = true, nil
			}
		} else if s.current.busy(position) {
			s.casts[position] = m.Method
		}
	})
	if len(s.casts) > wire.MaxSlots {
		busy := s.current.inHand()
		for p := range s.casts {
			if !busy[p] {
				delete(s.casts, p)
			}
		}
	}
	if !ok {
		s.current.violated(fmt.Errorf("%s claims to have begun message %d of %d: %w", s.target.path, position, s.out.Sent(), wire.ErrProtocol))
	}
}

// credit is the receiver's word that room was made.
func (s *sender) credit(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == c {
		s.prune()
		s.flush()
		s.passOn(true)
	}
}

// drained goes on sending to a peer without credits.
func (s *sender) drained(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == c {
		s.flush()
		s.passOn(true)
	}
}

// reply takes the answer to a call, on the goroutine that reads the connection.
func (s *sender) reply(from *conn.Conn, id uint32, r conn.Reply) {
	s.mu.Lock()
	call := s.calls[id]
	delete(s.calls, id)
	var begun uint64 // up to here, the answer says, all was begun
	if call != nil && call.msg != nil {
		if s.out.Cancel(call.msg) { // refused before its turn: not to be sent again
			call.msg.Drop() // nor was it sent: the peer guessed
		} else if r.Err == nil && r.Fault == nil {
			begun = call.msg.Position
		}
		call.msg = nil
	}
	if s.out.Len() > 0 {
		if begun > 0 && s.current != nil && s.current.conn == from {
			s.begunUpTo(begun) // which spares us the look at the receiver's page
		} else {
			s.prune()
		}
		if len(s.waiters) > 0 {
			s.passOn(true)
		}
	}
	if len(s.waiters) > 0 {
		from.Resume() // they wait for credit, which no caller reads for them
	}
	s.mu.Unlock()
	if call == nil {
		r.Drop() // its caller has given up
		return
	}
	pooled := call.pooled // call is its caller's as soon as it has ended
	call.end(callResult{reply: r, err: r.Fault})
	if pooled != nil {
		pooled.dispatcher.Run()
	}
}

// await waits for the end of a call.
func (s *sender) await(ctx context.Context, call *call) (conn.Reply, error) {
	s.poller.Wait(ctx, &call.wait, s.stuck(ctx))
	if call.Over() {
		return call.res.reply, call.res.err
	}
	if res, ended := s.cancel(call); ended {
		return res.reply, res.err
	}
	return conn.Reply{}, port.ContextError(ctx)
}

// cancel gives a call up. If it has ended in this very moment, cancel returns
// its end.
func (s *sender) cancel(call *call) (callResult, bool) {
	s.mu.Lock()
	if s.calls[call.id] != call {
		s.mu.Unlock()
		return call.result(), true // another goroutine took it out and is about to end it, or has
	}
	delete(s.calls, call.id)
	if call.msg != nil && s.out.Cancel(call.msg) {
		call.msg.Drop()
		if len(s.waiters) > 0 {
			s.passOn(true)
		}
	} else if s.current != nil {
		s.current.tell(ctlCancel, codec.Params(uint64(call.id)))
	}
	s.mu.Unlock()
	return callResult{}, false
}

// incarnation waits for a connection and says whom it leads to.
func (s *sender) incarnation(ctx context.Context) (actor.Incarnation, error) {
	for {
		s.mu.Lock()
		if s.closed != nil {
			defer s.mu.Unlock()
			return uuid.Nil, s.closed
		}
		if s.current != nil {
			defer s.mu.Unlock()
			return s.current.inc, nil
		}
		at := s.connect()
		s.mu.Unlock()
		select {
		case <-at.done:
			if at.err != nil {
				return uuid.Nil, at.err
			}
		case <-ctx.Done():
			return uuid.Nil, port.ContextError(ctx)
		}
	}
}
