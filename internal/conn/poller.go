package conn

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/understudy-go/understudy/transport"
)

// Guests are those who wait for what comes from one actor: callers for their
// replies, readers for a stream's items. Where the connection has a ring they
// read it themselves: one at a time, the leader, who delivers what it finds to
// whoever it is for. The others, its followers, sleep until what they wait for
// is there or the lead is theirs. A leader whose own wait is over passes the
// lead to the latest follower, whose reply will probably be the last to come:
// so the lead changes seldom. Without a ring everybody is a follower, of the
// goroutine that reads the socket.
//
// They outlive a connection, as the messages do. The zero value is ready.
type Poller struct {
	mu        sync.Mutex
	peer      *Conn // whose ring there is to read; nil: none
	bell      *transport.Doorbell
	led       bool
	followers []*Waiter

	parked atomic.Bool       // the leader sleeps
	spin   transport.Spinner // of the leader
}

// Waiter is one of the guests.
type Waiter struct {
	For     interface{ Over() bool } // says that the wait is over; asked on any goroutine
	Changed chan struct{}            // gets a token when it is; capacity 1

	lead chan struct{}
	at   int
}

// keep puts the token back that says that the wait is over.
func (w *Waiter) keep() {
	if w.For.Over() {
		select {
		case w.Changed <- struct{}{}:
		default:
		}
	}
}

// Open says that p has rings, and which bell is rung for those who read. The
// bell is closed by Shut.
func (g *Poller) Open(p *Conn, bell *transport.Doorbell) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bell != nil {
		g.bell.Close()
	}
	g.peer, g.bell = p, bell
	if !g.led {
		g.pass()
	}
}

// Shut says that the connection of p has ended.
func (g *Poller) Shut(p *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.peer == p {
		g.bell.Close() // wakes the leader
		g.peer, g.bell = nil, nil
	}
}

// Wait waits until w's wait is over or ctx ends. stuck, if not nil, is called
// once if that will take a while.
func (g *Poller) Wait(ctx context.Context, w *Waiter, stuck func()) {
	for !w.For.Over() && ctx.Err() == nil {
		p, bell := g.join(w)
		if p == nil {
			if stuck != nil {
				stuck()
				stuck = nil
			}
			select {
			case <-w.Changed:
				g.leave(w)
				w.keep()
				continue
			case <-ctx.Done():
				g.leave(w)
				return
			case <-w.lead:
				if p, bell = g.reading(); p == nil {
					g.resign()
					continue
				}
			}
		}
		p.lead(ctx, g, bell, w, stuck)
		stuck = nil
		g.resign()
		if p.gone.Load() {
			runtime.Gosched() // for the goroutine that is about to say so: see Shut
		}
	}
}

// Wake has a leader that sleeps look whether its wait is over. It follows what
// made it so.
func (g *Poller) Wake() {
	if !g.parked.Load() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bell != nil {
		g.bell.Ring()
	}
}

func (g *Poller) reading() (*Conn, *transport.Doorbell) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.peer, g.bell
}

// join makes w the leader, if there is a ring to read and none leads; then it
// returns what to read. Otherwise w follows until leave.
func (g *Poller) join(w *Waiter) (*Conn, *transport.Doorbell) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.peer != nil && !g.led {
		g.led = true
		return g.peer, g.bell
	}
	if w.lead == nil {
		w.lead = make(chan struct{}, 1)
	}
	w.at = len(g.followers)
	g.followers = append(g.followers, w)
	return nil, nil
}

// leave ends the following of w. If it was given the lead meanwhile, it passes
// that on.
func (g *Poller) leave(w *Waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.at < 0 {
		<-w.lead
		g.pass()
		return
	}
	g.remove(w)
}

func (g *Poller) remove(w *Waiter) {
	last := len(g.followers) - 1
	g.followers[w.at] = g.followers[last]
	g.followers[w.at].at = w.at
	g.followers[last] = nil
	g.followers = g.followers[:last]
	w.at = -1
}

// pass gives the lead to a follower, or to nobody. The lock is held.
func (g *Poller) pass() {
	last := len(g.followers) - 1
	if g.led = last >= 0 && g.peer != nil; g.led {
		w := g.followers[last]
		g.remove(w)
		w.lead <- struct{}{}
	}
}

func (g *Poller) resign() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass()
}

// alone reports whether nobody follows.
func (g *Poller) alone() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.followers) == 0
}

// guestWatch is what a leader looks at.
type leaderCheck struct {
	g    *Poller
	p    *Conn
	r    *RingPair
	w    *Waiter
	done <-chan struct{}
}

func (l *leaderCheck) Ready() bool {
	if l.r.Ready() || l.w.For.Over() || l.p.gone.Load() {
		return true
	}
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// asleep is the last look before the leader sleeps. It asks for the bell only
// now that the bell is listened to: what is rung for one sleep is rung once.
func (l *leaderCheck) asleep() bool {
	l.r.T.Park()
	l.g.parked.Store(true)
	return l.Ready()
}

// pullAtOnce is how many messages are taken out of a ring before whoever waits
// looks after itself.
const PullBatch = 64

// lead reads the ring until w's wait is over, ctx ends, or there is nothing to
// read any more.
func (p *Conn) lead(ctx context.Context, g *Poller, bell *transport.Doorbell, w *Waiter, stuck func()) {
	r := p.RingIn.Load()
	if r == nil || !r.T.Enter() {
		return
	}
	defer r.T.Leave()
	g.spin.Max = p.opts.Spin
	watch := leaderCheck{g: g, p: p, r: r, w: w, done: ctx.Done()}
	listening := false
	for !w.For.Over() && ctx.Err() == nil && !p.gone.Load() {
		if r.Ready() && p.Pull(PullBatch) {
			if !w.For.Over() && !g.alone() {
				runtime.Gosched() // for those whose replies these were
			}
			continue
		}
		ok, since := g.spin.Spin(&watch)
		if ok {
			continue
		}
		if stuck != nil {
			stuck()
			stuck = nil
		}
		if !listening && watch.done != nil {
			listening = true
			defer context.AfterFunc(ctx, g.Wake)()
		}
		err := bell.Wait(watch.asleep)
		g.parked.Store(false)
		r.T.Unpark()
		if err != nil {
			return // the connection has ended
		}
		g.spin.Slept(since)
	}
}
