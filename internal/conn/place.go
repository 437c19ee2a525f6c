package conn

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/transport"
)

// The reader's place.
//
// A connection is read by a goroutine of its own. To hand what it reads to a
// goroutine that waits for it means to wake that one up, and the Go runtime
// then also wakes a thread to look for more work: together they cost more than
// all the rest of a call, on both sides. So the reading goroutine lends its
// place when there is one who will want the next message anyway: a caller who
// waits for a reply, a handler who waits for a message. That one, the guest,
// reads for itself; the kernel wakes exactly the goroutine that goes on.
//
// Nothing may depend on the guest's coming back. While the place is lent and
// empty, nobody reads: a caller thinks, a handler works. The reading goroutine
// looks in after grace, and if nobody used the place since it last looked, it
// takes it back. So what else comes, a cancellation, a stop, the peer's end,
// waits at most twice as long, and only where short handlers were the rule. Who
// expects something of the peer calls Recall and does not wait.

// grace is how long a lent place may be empty before somebody looks. It is
// longer than the kernel's tick, because each wait in the netpoller takes the
// next timer's time along: one that is nearer than the tick has the clock set
// for each message, which in a virtual machine costs as much as the message
// (with 1 ms a call took 37 us instead of 26).
const grace = 20 * time.Millisecond

// patience is how many times in a row it must have been worth while to lend
// the place before it is lent. It is doubled, up to a limit, each time that
// nobody came.
const (
	patience    = 8
	maxPatience = 1 << 10
)

type place struct {
	lane transport.Pollable // nil: the lane cannot be read in turns

	lent atomic.Bool // written under mu

	mu       sync.Mutex
	guest    bool  // somebody has it
	used     bool  // since the reading goroutine looked
	ever     bool  // since it was lent
	recalled bool  // the reading goroutine is to come back
	armed    bool  // it will look
	over     bool  // the connection ended, or is read otherwise
	worth    int   // times in a row
	patience int   // see there
	err      error // what a guest found
	wake     chan struct{}
	timer    *time.Timer
}

func (pl *place) init(lane transport.Conn) {
	pl.lane, _ = lane.(transport.Pollable)
	pl.patience = patience
	pl.wake = make(chan struct{}, 1)
}

// Lend is called by a Handler's method, while it runs, when the one for whom
// the message is will want the next one, too, and nobody else is waiting. The
// reading goroutine may then lend its place to [Peer.Assist]. It is true if the
// place is lent.
func (p *Conn) Lend() bool {
	pl := &p.place
	if pl.lane == nil {
		return false
	}
	pl.mu.Lock()
	defer pl.mu.Unlock()
	if pl.lent.Load() {
		return !pl.recalled
	}
	if pl.worth++; pl.worth < pl.patience || pl.over {
		return false
	}
	pl.worth = 0
	pl.used, pl.ever, pl.recalled = false, false, false
	select {
	case <-pl.wake: // of an earlier time
	default:
	}
	pl.arm()
	pl.lent.Store(true)
	return true
}

// Recall has the reading goroutine take its place, or keep it: somebody waits
// for a message who will not read.
func (p *Conn) Recall() {
	pl := &p.place
	if pl.lane == nil {
		return
	}
	pl.mu.Lock()
	defer pl.mu.Unlock()
	pl.worth = 0
	if pl.lent.Load() && !pl.recalled {
		pl.recalled = true
		if !pl.guest {
			pl.call()
		}
	}
}

// Lent reports whether [Peer.Assist] is likely to find the place free.
func (p *Conn) Lent() bool { return p.place.lent.Load() }

// Interrupt has a guest look whether its wait is over. It may be called at any
// time, also too early or too late.
func (p *Conn) Interrupt() {
	if p.place.lane != nil {
		p.place.lane.Interrupt()
	}
}

// Assist reads the connection on the caller's goroutine until over reports
// true, it is interrupted, or the connection ends, and calls the Handler as the
// reading goroutine would. It is false, and nothing was read, if the place is
// not to be had.
func (p *Conn) Assist(over interface{ Over() bool }) bool {
	pl := &p.place
	if !pl.lent.Load() || !pl.enter() {
		return false
	}
	var err error
	for err == nil && !over.Over() {
		var m transport.Message
		m, err = pl.lane.Receive()
		for ok := err == nil; ok; {
			if err = p.deliver(m); err != nil {
				break
			}
			m, ok, err = pl.lane.TryReceive() // it may be for others
		}
	}
	if errors.Is(err, transport.ErrInterrupted) {
		err = nil
	}
	pl.leave(err)
	return true
}

func (pl *place) enter() bool {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	if !pl.lent.Load() || pl.guest || pl.recalled {
		return false
	}
	pl.guest = true
	return true
}

func (pl *place) leave(err error) {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	pl.guest, pl.used, pl.ever = false, true, true
	if err != nil {
		pl.err, pl.recalled = err, true
	}
	switch {
	case pl.recalled:
		pl.call()
	case !pl.armed:
		pl.arm()
	}
}

// arm has the reading goroutine look after grace.
func (pl *place) arm() {
	pl.armed = true
	if pl.timer == nil {
		pl.timer = time.NewTimer(grace)
	} else {
		pl.timer.Reset(grace)
	}
}

// call wakes the reading goroutine.
func (pl *place) call() {
	select {
	case pl.wake <- struct{}{}:
	default:
	}
}

// away is the reading goroutine's time out of its place. It returns when it has
// it back, with the error that ended the connection meanwhile.
func (pl *place) away() error {
	for {
		select {
		case <-pl.timer.C:
		case <-pl.wake:
		}
		pl.mu.Lock()
		if pl.look() {
			err := pl.err
			pl.mu.Unlock()
			return err
		}
		pl.mu.Unlock()
	}
}

// look decides whether the reading goroutine takes its place back.
func (pl *place) look() bool {
	switch {
	case pl.guest:
		pl.armed = false // whoever leaves sees to it
		return false
	case pl.used && !pl.recalled:
		pl.used = false
		pl.arm()
		return false
	}
	pl.timer.Stop()
	pl.armed = false
	pl.lent.Store(false)
	if pl.ever {
		pl.patience = patience
	} else {
		pl.patience = min(2*pl.patience, maxPatience)
	}
	return true
}

// forbid ends the lending for good. A guest leaves when it is interrupted.
func (pl *place) forbid() {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	pl.over = true
	if pl.lent.Load() {
		pl.recalled = true
		if !pl.guest {
			pl.call()
		}
	}
}

// end is called by the reading goroutine when the connection has ended and the
// lane is closed: nobody enters any more, and it returns when nobody is in.
func (pl *place) end() {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	pl.over, pl.recalled = true, true
	pl.lent.Store(false)
	if pl.timer != nil {
		pl.timer.Stop()
	}
	for pl.guest {
		pl.mu.Unlock()
		<-pl.wake
		pl.mu.Lock()
	}
}
