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
	to      *target     // whom it sends to: it has the path and the kind
	arrays  atomic.Bool // the peer is the same build: structs may travel as arrays
	foreign atomic.Bool // plain mode: no metadata
	ids     atomic.Uint32
	used    atomic.Int64 // when it was used last, by the system's count of sends

	mu      sync.Mutex
	out     mailbox.Outbox
	calls   map[uint32]*call
	casts   map[uint64]string // begun on this link and perhaps still in hand: position -> method
	link    *link             // nil when down
	attempt *attempt          // a link is being made
	stood   bool              // a link stood, and senders may queue while the next is made
	waiters []chan struct{}   // senders that wait for room, first come first served
	closed  error
	held    bool // see hold

	poller conn.Poller // callers that wait for replies
	look   func()      // askToLook
}

// attempt is one try to get a link; it may last as long as a restart does.
type attempt struct {
	done chan struct{}
	err  error
}

func (c *sender) newID() uint32 {
	for {
		if id := c.ids.Add(1) & (firstPoolID - 1); id != 0 {
			return id
		}
	}
}

// send puts msg in the outbox, and on the link if one stands. It waits for the
// first link and for room until ctx ends, unless try.
func (c *sender) send(ctx context.Context, msg *mailbox.Message, call *call, try bool) error {
	c.used.Store(c.sys.sends.Add(1))
	c.mu.Lock()
	mayPass := false // we were woken: it is our turn
	for {
		err := c.closed
		if err == nil {
			err = c.blockedBy(msg)
		}
		if err == nil && (c.link == nil || c.link.inst != nil && isDone(c.link.inst.Done())) {
			err = c.sys.finally(c.to.path, c.to.kind) // if it is known here that no life will come, say so now
		}
		if err != nil {
			c.passOn(mayPass)
			c.mu.Unlock()
			msg.Drop()
			return err
		}
		var wait <-chan struct{}
		var mine chan struct{}
		var at *attempt
		switch {
		case c.link == nil && !c.stood && !try:
			at = c.connect()
			wait = at.done
		case c.link == nil && c.attempt == nil:
			c.connect()
			continue
		case c.out.Room(msg.Size()) && (mayPass || len(c.waiters) == 0):
			c.push(msg, call)
			c.passOn(true)
			c.mu.Unlock()
			return nil
		case c.prune() && !mayPass && len(c.waiters) == 0 && c.out.Room(msg.Size()):
			continue
		case try:
			c.mu.Unlock()
			msg.Drop()
			return actor.ErrMailboxFull
		default:
			mine = make(chan struct{})
			if mayPass { // still first in line
				c.waiters = append([]chan struct{}{mine}, c.waiters...)
			} else {
				c.waiters = append(c.waiters, mine)
			}
			wait = mine
			c.passOn(false)
		}
		c.mu.Unlock()
		select {
		case <-wait:
			c.mu.Lock()
			mayPass = mine != nil
			if at != nil && at.err != nil {
				c.mu.Unlock()
				if at.err != errPool {
					msg.Drop() // else it goes to the pool
				}
				return at.err
			}
		case <-ctx.Done():
			c.mu.Lock()
			if mine != nil && !c.leave(mine) {
				c.passOn(true) // we were woken and do not use it
			}
			c.mu.Unlock()
			msg.Drop()
			return port.ContextError(ctx)
		}
	}
}

// blockedBy says why msg can never be begun: it is pinned to another life.
func (c *sender) blockedBy(msg *mailbox.Message) error {
	if msg.Pin != "" && c.link != nil && msg.Pin != c.link.inc.String() {
		return fmt.Errorf("incarnation %s of %s: %w", msg.Pin, c.to.path, actor.ErrNotRunning)
	}
	return nil
}

func (c *sender) leave(mine chan struct{}) bool {
	for i, w := range c.waiters {
		if w == mine {
			c.waiters = append(c.waiters[:i], c.waiters[i+1:]...)
			return true
		}
	}
	return false
}

// passOn wakes the next sender in line if there may be room and it is its
// turn. Otherwise it sees to it that it is called again.
func (c *sender) passOn(turn bool) {
	for len(c.waiters) > 0 {
		if turn && (c.closed != nil || c.out.Room(0)) {
			close(c.waiters[0])
			c.waiters = c.waiters[1:]
			return
		}
		if c.link == nil || c.link.tells(c) {
			return
		}
		if !c.flush() { // all that was sent is begun
			return // the link is broken: its end goes on from here, and needs the lock
		}
		turn = true
	}
}

func (c *sender) push(msg *mailbox.Message, call *call) {
	if call != nil {
		c.calls[msg.ID] = call
	}
	c.out.Push(msg)
	if c.link == nil {
		return
	}
	c.flush()
	if c.link != nil && c.link.rings > 0 {
		c.busy(c.link)
	}
}

// flush sends what the link has not seen. A link that fails ends by itself:
// its reader tells us; flush is false then.
func (c *sender) flush() bool {
	l := c.link
	for {
		m := c.out.PeekUnsent()
		if m == nil {
			return true
		}
		if !l.granted(c, m) {
			if l.tells(c) {
				return true
			}
			continue
		}
		err := c.blockedBy(m)
		var body []byte
		if err == nil {
			body, err = l.body(c, m)
		}
		if err != nil {
			c.out.Cancel(m)
			c.fail(m, callResult{err: err})
			continue
		}
		if err := l.peer.Send(body, m.Segments); err != nil {
			if errors.Is(err, wire.ErrTooLarge) || !isClosed(err) {
				c.out.Cancel(m)
				c.fail(m, callResult{err: err})
				continue
			}
			return false
		}
		c.out.NextUnsent()
		l.wrote(c, m)
	}
}

// fail ends a message that will not be begun.
func (c *sender) fail(m *mailbox.Message, r callResult) {
	if m.Call {
		if call := c.calls[m.ID]; call != nil {
			delete(c.calls, m.ID)
			call.end(r)
		}
	} else {
		c.sys.deadLetter(c.to.path, m.Method, r.err)
	}
	m.Drop()
}

// prune takes the receiver's mark; true if it made room.
func (c *sender) prune() bool {
	if c.link == nil {
		return false
	}
	before := c.out.Len()
	c.begunUpTo(c.link.begun(c))
	return c.out.Len() < before
}

func (c *sender) begunUpTo(mark uint64) {
	ok := c.out.Begun(mark, func(position uint64, m *mailbox.Message) {
		if m.Call {
			if call := c.calls[m.ID]; call != nil {
				call.begun, call.msg = true, nil
			}
		} else if c.link.busy(position) {
			c.casts[position] = m.Method
		}
		m.Recycle()
	})
	if len(c.casts) > mailbox.MaxSlots {
		busy := c.link.inHand()
		for p := range c.casts {
			if !busy[p] {
				delete(c.casts, p)
			}
		}
	}
	if !ok {
		c.link.violated(fmt.Errorf("%s claims to have begun message %d of %d: %w", c.to.path, mark, c.out.Sent(), wire.ErrProtocol))
	}
}

// credit is the receiver's word that room was made.
func (c *sender) credit(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l {
		c.prune()
		c.flush()
		c.passOn(true)
	}
}

// drained goes on sending to a peer without credits.
func (c *sender) drained(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l {
		c.flush()
		c.passOn(true)
	}
}

// reply takes the answer to a call, on the goroutine that reads the connection.
func (c *sender) reply(peer *conn.Conn, id uint32, r conn.Reply) {
	c.mu.Lock()
	call := c.calls[id]
	delete(c.calls, id)
	var begun uint64 // up to here, the answer says, all was begun
	if call != nil && call.msg != nil {
		if c.out.Cancel(call.msg) { // refused before its turn: not to be sent again
			call.msg.Drop() // nor was it sent: the peer guessed
		} else if r.Err == nil && r.Fault == nil {
			begun = call.msg.Position()
		}
		call.msg = nil
	}
	if c.out.Len() > 0 {
		if begun > 0 && c.link != nil && c.link.peer == peer {
			c.begunUpTo(begun) // which spares us the look at the receiver's page
		} else {
			c.prune()
		}
		if len(c.waiters) > 0 {
			c.passOn(true)
		}
	}
	c.mu.Unlock()
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
func (c *sender) await(ctx context.Context, call *call) (conn.Reply, error) {
	c.poller.Wait(ctx, &call.wait, c.stuck(ctx))
	if call.Over() {
		return call.res.reply, call.res.err
	}
	if res, ended := c.cancel(call); ended {
		return res.reply, res.err
	}
	return conn.Reply{}, port.ContextError(ctx)
}

// cancel gives a call up. If it has ended in this very moment, cancel returns
// its end.
func (c *sender) cancel(call *call) (callResult, bool) {
	c.mu.Lock()
	if c.calls[call.id] != call {
		c.mu.Unlock()
		return call.result(), true // another goroutine took it out and is about to end it, or has
	}
	delete(c.calls, call.id)
	if call.msg != nil && c.out.Cancel(call.msg) {
		call.msg.Drop()
		if len(c.waiters) > 0 {
			c.passOn(true)
		}
	} else if c.link != nil {
		c.link.tell(ctlCancel, codec.Params(uint64(call.id)))
	}
	c.mu.Unlock()
	return callResult{}, false
}

// incarnation waits for a link and says whom it leads to.
func (c *sender) incarnation(ctx context.Context) (actor.Incarnation, error) {
	for {
		c.mu.Lock()
		if c.closed != nil {
			defer c.mu.Unlock()
			return uuid.Nil, c.closed
		}
		if c.link != nil {
			defer c.mu.Unlock()
			return c.link.inc, nil
		}
		at := c.connect()
		c.mu.Unlock()
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
