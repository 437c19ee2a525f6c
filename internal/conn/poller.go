package conn

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/transport"
)

// A Poller is where goroutines wait for what comes by some connections, its
// sources: callers for their replies and readers for a stream's items by the
// connection to one actor, handler slots for messages by all connections to
// theirs. It works by Leader/Followers (Schmidt et al., 2000): one of the
// waiters, the leader, reads the sources itself and delivers what it finds to
// whichever waiter it is for, so that nothing is handed to the one who waits
// alone. The others, its followers, sleep until their wait is over or the lead
// is theirs. A leader whose own wait is over passes the lead to the latest
// follower, whose message will probably be the last to come: so the lead changes
// seldom.
//
// Of a connection with rings the leader reads the ring. Another connection is
// read by its own goroutine, which delivers to the waiters; but if it is the only
// source, and carries one message after the other for a single waiter, the
// leader reads the socket in that goroutine's stead (see reader.go).
//
// A Poller outlives its connections, as the messages do. The zero value is ready.
type Poller struct {
	Spin time.Duration // how long a leader looks before it sleeps; see [transport.Spinner]

	state   atomic.Int64            // led, plus followed for each follower
	sources atomic.Pointer[sources] // nil: none; another one after each change
	sleep   transport.Sleeper       // of the leader
	spin    transport.Spinner       // of the leader
	check   leaderCheck             // of the leader

	mu        sync.Mutex
	followers []*Waiter
}

const (
	led      = 1
	followed = 2
)

type sources struct{ conns []*Conn }

// Waiter is one who waits.
type Waiter struct {
	For     interface{ Over() bool } // says whether the wait is over; asked on the waiter's goroutine
	Changed chan struct{}            // gets a token when it is, if the waiter follows; capacity 1. nil: only the leader's wait ends

	following atomic.Bool
	lead      chan struct{}
	at        int
}

// AddSource has waiters read c, unless it has ended. c has one poller at a time,
// and leaves it when it ends.
func (g *Poller) AddSource(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.mu.Lock()
	ended := c.err != nil
	if !ended {
		c.poller.Store(g)
	}
	c.mu.Unlock()
	if !ended {
		g.change(append(slices.DeleteFunc(g.conns(), func(o *Conn) bool { return o == c }), c))
	}
}

// RemoveSource has waiters not read c any more; those that wait, wait on.
func (g *Poller) RemoveSource(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.poller.CompareAndSwap(g, nil) {
		g.change(slices.DeleteFunc(g.conns(), func(o *Conn) bool { return o == c }))
		c.reader.resume()
	}
}

// upgraded says that a source has rings now.
func (g *Poller) upgraded() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.change(g.conns())
}

// conns returns a copy of the sources.
func (g *Poller) conns() []*Conn {
	if s := g.sources.Load(); s != nil {
		return slices.Clone(s.conns)
	}
	return nil
}

// change has the leader read other sources. The lock is held.
func (g *Poller) change(conns []*Conn) {
	g.sources.Store(&sources{conns})
	if len(conns) > 1 {
		for _, c := range conns {
			c.reader.resume() // the leader cannot wait for several sockets
		}
	}
	g.Wake()
}

// Wait waits until w's wait is over or ctx ends. stuck, if not nil, is called
// once if that will take a while.
func (g *Poller) Wait(ctx context.Context, w *Waiter, stuck func()) {
	for !w.For.Over() && ctx.Err() == nil {
		if !g.join(w) {
			if stuck != nil {
				stuck()
				stuck = nil
			}
			if !g.follow(ctx, w) {
				continue
			}
		}
		stuck = g.lead(ctx, w, stuck)
		g.resign()
	}
}

// Wake has the leader look whether its wait is over. It follows what made it so.
func (g *Poller) Wake() { g.sleep.Wake() }

// Asleep reports whether a leader sleeps and was not woken: for tests.
func (g *Poller) Asleep() bool { return g.sleep.Asleep() }

// Done wakes w, whose wait is over. It follows what made it so.
func (g *Poller) Done(w *Waiter) {
	if !w.following.Load() {
		g.Wake()
		return
	}
	select {
	case w.Changed <- struct{}{}:
	default:
	}
}

// Poll delivers what is in the rings, unless a leader does or is about to.
func (g *Poller) Poll() {
	if g.state.CompareAndSwap(0, led) {
		g.check.enter(g, nil, nil)
		g.check.pull()
		g.check.leave()
		g.resign()
	}
}

// Pending reports whether a ring has records that no reader has looked at.
func (g *Poller) Pending() bool {
	s := g.sources.Load()
	return s != nil && slices.ContainsFunc(s.conns, func(c *Conn) bool {
		r := c.RingIn.Load()
		if r == nil || !r.T.Enter() {
			return false
		}
		defer r.T.Leave()
		return r.T.Pending()
	})
}

// join makes w the leader, if there is none. Otherwise w follows. A leader who is
// alone comes and goes by one operation each.
func (g *Poller) join(w *Waiter) (leads bool) {
	if g.state.CompareAndSwap(0, led) {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.lead == nil {
		w.lead = make(chan struct{}, 1)
	}
	for {
		switch s := g.state.Load(); {
		case s == 0: // and so it has no followers
			if g.state.CompareAndSwap(0, led) {
				return true
			}
		case g.state.CompareAndSwap(s, s+followed):
			w.at = len(g.followers)
			g.followers = append(g.followers, w)
			w.following.Store(true)
			return false
		}
	}
}

// follow sleeps until w's wait may be over, ctx ends, or the lead is w's, which
// it reports.
func (g *Poller) follow(ctx context.Context, w *Waiter) (leads bool) {
	if !w.For.Over() { // it may have ended before Done could see w follow
		select {
		case <-w.lead:
			w.following.Store(false)
			return true
		case <-w.Changed:
		case <-ctx.Done():
		}
	}
	w.following.Store(false)
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.at < 0 {
		<-w.lead
		return true
	}
	g.remove(w)
	g.state.Add(-followed)
	return false
}

func (g *Poller) remove(w *Waiter) {
	last := len(g.followers) - 1
	g.followers[w.at] = g.followers[last]
	g.followers[w.at].at = w.at
	g.followers[last] = nil
	g.followers = g.followers[:last]
	w.at = -1
}

// resign passes the lead to the latest follower, if there is one.
func (g *Poller) resign() {
	if g.state.CompareAndSwap(led, 0) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state.CompareAndSwap(led, 0) {
		return // the last follower has left meanwhile
	}
	w := g.followers[len(g.followers)-1]
	g.remove(w)
	g.state.Add(-followed)
	w.lead <- struct{}{}
}

// single reports whether one waits, and has nothing else to read than c.
func (g *Poller) single(c *Conn) bool {
	s := g.sources.Load()
	return s != nil && g.state.Load() == led && len(s.conns) == 1 && s.conns[0] == c
}

// PullBatch is how many messages are taken out of a ring before the leader
// looks after itself.
const PullBatch = 64

// lead reads the sources until w's wait is over or ctx ends. It returns what is
// left of stuck.
func (g *Poller) lead(ctx context.Context, w *Waiter, stuck func()) func() {
	l := &g.check
	g.spin.Max = g.Spin
	l.enter(g, w, ctx.Done())
	defer l.leave()
	listening := l.done == nil
	for !w.For.Over() && ctx.Err() == nil {
		if g.sources.Load() != l.of {
			l.leave()
			l.enter(g, w, ctx.Done())
		}
		if l.pull() {
			if !w.For.Over() && g.state.Load() != led {
				runtime.Gosched() // for those whose replies these were
			}
			continue
		}
		var since int64
		if len(l.rings) > 0 {
			var ok bool
			if ok, since = g.spin.Spin(l); ok {
				continue
			}
		}
		if stuck != nil {
			stuck()
			stuck = nil
		}
		direct := l.socket != nil && l.socket.reader.free.Load()
		if !listening && (direct || len(l.rings) > 0) { // beside a channel one can wait for done
			listening = true
			defer context.AfterFunc(ctx, g.Wake)()
		}
		switch {
		case direct && l.socket.readFor(l):
		case len(l.rings) > 0 && g.sleep.Block(l.rings, l):
		default:
			g.sleep.Wait(l.rings, l, l.done)
		}
		if since != 0 {
			g.spin.Slept(since)
		}
	}
	return stuck
}

// leaderCheck is what a leader looks at.
type leaderCheck struct {
	g    *Poller
	w    *Waiter // nil: no one waits
	done <-chan struct{}

	of     *sources
	conns  []*Conn // with rings, which are entered
	pairs  []*RingPair
	rings  []*transport.Rings
	socket *Conn // to read in its reading goroutine's stead; nil: none
}

// enter takes the sources up.
func (l *leaderCheck) enter(g *Poller, w *Waiter, done <-chan struct{}) {
	l.g, l.w, l.done, l.of = g, w, done, g.sources.Load()
	if l.of == nil {
		return
	}
	for _, c := range l.of.conns {
		if r := c.RingIn.Load(); r != nil {
			if r.T.Enter() {
				l.conns, l.pairs, l.rings = append(l.conns, c), append(l.pairs, r), append(l.rings, r.T)
			}
		} else if len(l.of.conns) == 1 && c.reader.socket != nil {
			l.socket = c
		}
	}
}

// leave lets the sources go.
func (l *leaderCheck) leave() {
	for i, r := range l.rings {
		r.Leave()
		l.conns[i], l.pairs[i], l.rings[i] = nil, nil, nil
	}
	l.conns, l.pairs, l.rings = l.conns[:0], l.pairs[:0], l.rings[:0]
	l.w, l.done, l.of, l.socket = nil, nil, nil, nil
}

// Ready implements what [transport.Sleeper.Block] asks.
func (l *leaderCheck) Ready() bool {
	for _, r := range l.pairs {
		if r.Ready() {
			return true
		}
	}
	return l.over() || l.socket != nil && l.socket.reader.free.Load()
}

// over reports whether there is a reason not to wait, apart from what can be read.
func (l *leaderCheck) over() bool {
	if l.w.For.Over() || l.g.sources.Load() != l.of {
		return true
	}
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// pull takes some messages from each ring.
func (l *leaderCheck) pull() bool {
	got := false
	for i, r := range l.pairs {
		if r.Ready() {
			got = l.conns[i].pull(PullBatch, l.w) || got
		}
	}
	return got
}
