package conn

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/transport"
)

// Who reads a socket.
//
// A connection is read by a goroutine of its own. To hand what it reads to a
// goroutine that waits for it means to wake that one up, and the Go runtime
// then also wakes a thread to look for more work: together they cost more than
// all the rest of a call, on both sides. So where a connection without rings
// carries one message after the other for one waiter, the reading goroutine
// steps aside, and the leader of the poller reads for itself; the kernel wakes
// exactly the goroutine that goes on.
//
// Nothing may depend on a leader's coming back. While the reading goroutine is
// aside and no leader reads, the connection is not read: a caller thinks, a handler works. The
// reading goroutine looks in after grace, and if no leader has read since it last
// looked, it resumes. So what else comes, a cancellation, a stop, the peer's end,
// waits at most twice as long, and only where short handlers were the rule. What
// is sent as control has the reading goroutine resume at once, because its answer
// may be for someone who waits elsewhere.

// grace is how long the connection may go unread before the reading goroutine looks. It is
// longer than the kernel's tick, because each wait in the netpoller takes the
// next timer's time along: one that is nearer than the tick has the clock set
// for each message, which in a virtual machine costs as much as the message
// (with 1 ms a call took 37 us instead of 26).
const grace = 20 * time.Millisecond

// patience is how many messages must have been for a single waiter before the
// reading goroutine steps aside. It is doubled, up to a limit, each time that no
// leader came to read.
const (
	patience    = 8
	maxPatience = 1 << 10
)

// reader is the reading goroutine of a connection, or a leader in its stead.
type reader struct {
	socket transport.Pollable // nil: reading cannot change hands

	aside atomic.Bool  // the reading goroutine has stepped aside; written under mu
	free  atomic.Bool  // and a leader may read; likewise
	worth atomic.Int32 // messages for a single waiter since the last other one

	mu       sync.Mutex
	leader   bool // one reads
	used     bool // one has, since the reading goroutine looked
	ever     bool // one has, since the reading goroutine stepped aside
	resuming bool // the reading goroutine comes back
	armed    bool // it will look
	over     bool // the connection ended, or has rings
	patience int  // see there
	err      error
	wake     chan struct{}
	timer    *time.Timer
}

func (rd *reader) init(t transport.Conn) {
	rd.socket, _ = t.(transport.Pollable)
	rd.patience = patience
	rd.wake = make(chan struct{}, 1)
}

// waited returns the poller whose single waiter sleeps until the reading
// goroutine delivers something, if there is one; the message that is about to be
// delivered may be for it.
func (c *Conn) waited() *Poller {
	rd := &c.reader
	if rd.socket == nil || c.RingIn.Load() != nil {
		return nil
	}
	g := c.poller.Load()
	if g == nil {
		return nil
	}
	if !g.single(c) {
		rd.worth.Store(0)
		return nil
	}
	if !g.sleep.OnChannel() {
		return nil
	}
	return g
}

// delivered follows waited and the delivery. If the message was for that waiter,
// and so were enough before, the reading goroutine steps aside.
func (c *Conn) delivered(g *Poller) {
	if g == nil || g.sleep.OnChannel() || !c.reader.stepAside() {
		return
	}
	if g.sleep.OnChannel() {
		g.Wake() // it sleeps again, and no other goroutine reads
	}
}

func (rd *reader) stepAside() bool {
	if n := rd.worth.Add(1); n < patience {
		return false // less than any patience
	}
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if int(rd.worth.Load()) < rd.patience || rd.over {
		return false
	}
	rd.worth.Store(0)
	rd.used, rd.ever, rd.resuming = false, false, false
	select {
	case <-rd.wake: // of an earlier time
	default:
	}
	rd.arm()
	rd.aside.Store(true)
	rd.free.Store(true)
	return true
}

// resume has the reading goroutine read, or go on reading. A leader that reads
// at the moment reads to the end of its wait.
func (rd *reader) resume() {
	if rd.socket == nil {
		return
	}
	rd.worth.Store(0)
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if rd.aside.Load() && !rd.resuming {
		rd.resuming = true
		rd.free.Store(false)
		if !rd.leader {
			rd.call()
		}
	}
}

// Resume has the connection's own goroutine read it: something will come for
// which no waiter of its poller waits.
func (c *Conn) Resume() { c.reader.resume() }

// ReadByLeader reports whether a leader may read the connection's socket: for tests.
func (c *Conn) ReadByLeader() bool { return c.reader.free.Load() }

// readFor reads the connection on the goroutine of a leader until that has a
// reason to leave, and delivers to the handler as the reading goroutine would. It
// is false, and nothing was read, if the reading goroutine has not stepped aside.
func (c *Conn) readFor(l *leaderCheck) bool {
	rd := &c.reader
	if !rd.free.Load() || !rd.enter() {
		return false
	}
	sleep := &l.g.sleep
	var err error
	for err == nil {
		sleep.Reading(&rd.socket)
		if l.over() {
			break
		}
		var m transport.Message
		m, err = rd.socket.Receive()
		sleep.Awake()
		for ok := err == nil; ok; {
			if err = c.deliver(m, l.w); err != nil {
				break
			}
			m, ok, err = rd.socket.TryReceive() // it may be for others
		}
	}
	sleep.Awake()
	if errors.Is(err, transport.ErrInterrupted) {
		err = nil
	}
	rd.leave(err)
	return true
}

func (rd *reader) enter() bool {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if !rd.free.Load() {
		return false
	}
	rd.free.Store(false)
	rd.leader = true
	return true
}

func (rd *reader) leave(err error) {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	rd.leader, rd.used, rd.ever = false, true, true
	if err != nil {
		rd.err, rd.resuming = err, true
	}
	rd.free.Store(!rd.resuming)
	switch {
	case rd.resuming:
		rd.call()
	case !rd.armed:
		rd.arm()
	}
}

// arm has the reading goroutine look after grace.
func (rd *reader) arm() {
	rd.armed = true
	if rd.timer == nil {
		rd.timer = time.NewTimer(grace)
	} else {
		rd.timer.Reset(grace)
	}
}

// call wakes the reading goroutine.
func (rd *reader) call() {
	select {
	case rd.wake <- struct{}{}:
	default:
	}
}

// away is the time that the reading goroutine is aside. It returns when it reads
// again, with the error that ended the connection meanwhile.
func (rd *reader) away() error {
	for {
		select {
		case <-rd.timer.C:
		case <-rd.wake:
		}
		rd.mu.Lock()
		if rd.look() {
			err := rd.err
			rd.mu.Unlock()
			return err
		}
		rd.mu.Unlock()
	}
}

// look decides whether the reading goroutine reads again.
func (rd *reader) look() bool {
	switch {
	case rd.leader:
		rd.armed = false // the leader arms it when it leaves
		return false
	case rd.used && !rd.resuming:
		rd.used = false
		rd.arm()
		return false
	}
	rd.timer.Stop()
	rd.armed = false
	rd.aside.Store(false)
	rd.free.Store(false)
	if rd.ever {
		rd.patience = patience
	} else {
		rd.patience = min(2*rd.patience, maxPatience)
	}
	return true
}

// forbid has the reading goroutine read for good: what waits reads rings. A
// leader that reads leaves when it is woken.
func (rd *reader) forbid() {
	rd.mu.Lock()
	rd.over = true
	rd.mu.Unlock()
	rd.resume()
}

// end is called by the reading goroutine when the connection has ended and the
// socket is closed: no leader enters any more, and it returns when none is in.
func (rd *reader) end() {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	rd.over, rd.resuming = true, true
	rd.aside.Store(false)
	rd.free.Store(false)
	if rd.timer != nil {
		rd.timer.Stop()
	}
	for rd.leader {
		rd.mu.Unlock()
		<-rd.wake
		rd.mu.Lock()
	}
}
