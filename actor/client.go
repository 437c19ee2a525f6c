package actor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/mailbox"
)

// client is this process's end towards one actor, whoever plays the role: it
// keeps the order of what is sent, holds messages until they are begun, and
// takes them to the replacement.
type client struct {
	sys     *System
	path    string
	kind    string
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

	poller conn.Poller // callers that wait for replies
	look   func()      // askToLook
}

// attempt is one try to get a link; it may last as long as a restart does.
type attempt struct {
	done chan struct{}
	err  error
}

// link is a connection to one incarnation.
type link struct {
	peer   *conn.Conn
	marks  *mailbox.Progress // nil in plain mode: written counts as begun
	inc    Incarnation
	pid    int
	plain  bool
	same   bool      // same build
	inst   *Instance // if it is supervised in this process
	kept   bool      // the connection is the instance's own and outlives the client
	dead   bool      // it ended before it stood; guarded by the client's lock
	unused bool      // it came too late: its end is all that is awaited; likewise
	rings  int       // messages until the peer is asked for rings; 0: never, or it was
	paged  bool      // marks is the receiver's page, which we can only read
	fault  error     // what the receiver did against the protocol; guarded by the client's lock

	capacity, capBytes int // what the receiver lets wait; 0: the default
}

func (c *client) newID() uint32 {
	for {
		if id := c.ids.Add(1) & (1<<31 - 1); id != 0 {
			return id
		}
	}
}

// send puts msg in the outbox, and on the link if one stands. It waits for the
// first link and for room until ctx ends, unless try.
func (c *client) send(ctx context.Context, msg *mailbox.Message, call *call, try bool) error {
	c.used.Store(c.sys.sends.Add(1))
	c.mu.Lock()
	mayPass := false // we were woken: it is our turn
	for {
		err := c.closed
		if err == nil {
			err = c.blockedBy(msg)
		}
		if err == nil && (c.link == nil || c.link.inst != nil && isDone(c.link.inst.Done())) {
			err = c.sys.finally(c.path, c.kind) // if it is known here that nobody will come, say so now
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
			return ErrMailboxFull
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
				msg.Drop()
				return at.err
			}
		case <-ctx.Done():
			c.mu.Lock()
			if mine != nil && !c.leave(mine) {
				c.passOn(true) // we were woken and do not use it
			}
			c.mu.Unlock()
			msg.Drop()
			return contextError(ctx)
		}
	}
}

// blockedBy says why msg can never be begun: it is pinned to another life.
func (c *client) blockedBy(msg *mailbox.Message) error {
	if msg.Pin != "" && c.link != nil && msg.Pin != c.link.inc.String() {
		return fmt.Errorf("incarnation %s of %s: %w", msg.Pin, c.path, ErrNotRunning)
	}
	return nil
}

func (c *client) leave(mine chan struct{}) bool {
	for i, w := range c.waiters {
		if w == mine {
			c.waiters = append(c.waiters[:i], c.waiters[i+1:]...)
			return true
		}
	}
	return false
}

// passOn wakes the next sender in line if there may be room and it is its
// turn. Otherwise it sees to it that somebody will.
func (c *client) passOn(turn bool) {
	for len(c.waiters) > 0 {
		if turn && (c.closed != nil || c.out.Room(0)) {
			close(c.waiters[0])
			c.waiters = c.waiters[1:]
			return
		}
		if c.link == nil || c.link.plain || c.want() {
			return
		}
		if !c.flush() { // all that was sent is begun
			return // the link is broken: its end goes on from here, and needs the lock
		}
		turn = true
	}
}

// want asks the receiver to say when half of what is on its way is begun. It is
// false when all of it is: then there is room, and nobody would say so.
func (c *client) want() bool {
	c.prune()
	n := c.out.Sent()
	begun := c.link.marks.Begun()
	if n <= begun {
		c.prune()
		return false
	}
	_ = c.link.peer.Notify(ctlWant, codec.Params(begun+(n-begun+1)/2))
	return true
}

func (c *client) push(msg *mailbox.Message, call *call) {
	if call != nil {
		c.calls[msg.ID] = call
		call.poller = &c.poller
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
func (c *client) flush() bool {
	l := c.link
	for {
		m := c.out.PeekUnsent()
		if m == nil {
			return true
		}
		if l.plain && l.peer.Buffered() > plainBuffer {
			return true
		}
		if !l.plain && !c.out.Granted(m) {
			// It was put in when more was granted, or before there was a link.
			if c.want() {
				return true
			}
			continue
		}
		err := c.blockedBy(m)
		body := m.Body
		if err == nil && l.plain {
			body, err = c.plainBody(m)
		}
		if err != nil {
			c.out.Cancel(m)
			c.fail(m, err)
			continue
		}
		if err := l.peer.Send(body, m.Segments); err != nil {
			if errors.Is(err, wire.ErrTooLarge) || !isClosed(err) {
				c.out.Cancel(m)
				c.fail(m, err)
				continue
			}
			return false
		}
		c.out.NextUnsent()
		if l.plain {
			c.begunUpTo(c.out.Sent())
		} else if len(m.Segments) > 0 && !m.Call {
			// So that the arrays are let go as soon as can be. The receiver of
			// a call holds them until it answers, and that tells us, too.
			_ = l.peer.Notify(ctlWant, codec.Params(c.out.Sent()))
		}
	}
}

// fail ends a message that will not be begun.
func (c *client) fail(m *mailbox.Message, err error) {
	if m.Call {
		if call := c.calls[m.ID]; call != nil {
			delete(c.calls, m.ID)
			call.end(callResult{err: err})
		}
	} else {
		c.sys.deadLetter(c.path, m.Method, err)
	}
	m.Drop()
}

// prune takes the receiver's mark; true if it made room.
func (c *client) prune() bool {
	if c.link == nil || c.link.plain {
		return false
	}
	before := c.out.Len()
	c.begunUpTo(c.link.marks.Begun())
	return c.out.Len() < before
}

func (c *client) begunUpTo(mark uint64) {
	ok := c.out.Begun(mark, func(position uint64, m *mailbox.Message) {
		if m.Call {
			if call := c.calls[m.ID]; call != nil {
				call.begun, call.msg = true, nil
			}
		} else if !c.link.plain && c.link.marks.Busy(position) {
			c.casts[position] = m.Method
		}
		m.Recycle()
	})
	if len(c.casts) > mailbox.MaxSlots {
		busy := c.link.marks.InHand()
		for p := range c.casts {
			if !busy[p] {
				delete(c.casts, p)
			}
		}
	}
	if !ok {
		c.link.violated(fmt.Errorf("%s claims to have begun message %d of %d: %w", c.path, mark, c.out.Sent(), wire.ErrProtocol))
	}
}

// credit is the receiver's word that room was made.
func (c *client) credit(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l {
		c.prune()
		c.flush()
		c.passOn(true)
	}
}

// drained goes on sending to a peer without credits.
func (c *client) drained(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l {
		c.flush()
		c.passOn(true)
	}
}

// reply takes the answer to a call, on the goroutine that reads the connection.
func (c *client) reply(peer *conn.Conn, id uint32, r conn.Reply) {
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
	call.end(callResult{reply: r, err: r.Fault})
}

// await waits for the end of a call.
func (c *client) await(ctx context.Context, call *call) (conn.Reply, error) {
	c.poller.Wait(ctx, &call.wait, c.stuck(ctx))
	if call.Over() {
		return call.res.reply, call.res.err
	}
	if res, ended := c.cancel(call); ended {
		return res.reply, res.err
	}
	return conn.Reply{}, contextError(ctx)
}

// cancel gives a call up. If it has ended in this very moment, cancel returns
// its end.
func (c *client) cancel(call *call) (callResult, bool) {
	c.mu.Lock()
	if c.calls[call.id] != call {
		c.mu.Unlock()
		return call.result(), true // somebody took it out and is about to end it, or has
	}
	delete(c.calls, call.id)
	if call.msg != nil && c.out.Cancel(call.msg) {
		call.msg.Drop()
		if len(c.waiters) > 0 {
			c.passOn(true)
		}
	} else if c.link != nil && !c.link.plain {
		_ = c.link.peer.Notify(ctlCancel, codec.Params(uint64(call.id)))
	}
	c.mu.Unlock()
	return callResult{}, false
}

// incarnation waits for a link and says whom it leads to.
func (c *client) incarnation(ctx context.Context) (Incarnation, error) {
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
			return uuid.Nil, contextError(ctx)
		}
	}
}
