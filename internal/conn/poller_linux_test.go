package conn

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/sys"
	"github.com/understudy-go/understudy/internal/wire"
)

// wish is something that a waiter waits for.
type wish struct {
	over atomic.Bool
	wait Waiter
}

func newWish() *wish {
	w := &wish{}
	w.wait.For, w.wait.Changed = w, make(chan struct{}, 1)
	return w
}

func (w *wish) Over() bool { return w.over.Load() }

func (w *wish) grant(g *Poller) {
	w.over.Store(true)
	g.Done(&w.wait)
}

// callers are waiters who ask over whatever connection there is.
type callers struct {
	t         *testing.T
	poller    Poller
	noFutexes bool

	mu                          sync.Mutex
	end                         *ringEnd // of the connection that stands; nil: none
	wishes                      map[uint32]*wish
	lastID                      uint32
	replies, cut, given, byRing int
}

// connect makes a connection, to a peer that answers at once or in a while, and
// perhaps with rings. The result ends it.
func (c *callers) connect() (end func()) {
	fds := socketFDs(c.t)
	a, b := newRingEnd(c.t, fds[0]), newRingEnd(c.t, fds[1])
	var late sync.WaitGroup
	b.onMessage = func(m *Incoming) {
		id := m.ID
		m.Drop()
		answer := func() { _ = b.peer.Respond(id, nil, []byte{0xc0}, nil) } // or the connection has ended
		if rand.IntN(3) > 0 {
			answer()
			return
		}
		late.Add(1)
		go func() {
			defer late.Done()
			for range rand.IntN(20) {
				runtime.Gosched()
			}
			answer()
		}()
	}
	a.onReply = func(id uint32, r Reply) {
		if r.mem != nil {
			c.count(&c.byRing)
		}
		r.Drop()
		if w := c.take(id); w != nil {
			c.count(&c.replies)
			w.grant(&c.poller)
		}
	}
	a.peer.Start()
	b.peer.Start()
	late.Go(b.serve)
	c.poller.AddSource(a.peer)
	c.mu.Lock()
	c.end = a
	c.mu.Unlock()
	if rand.IntN(4) != 0 { // else this one goes by its socket
		a.peer.Upgrade(func(error) {})
	}
	return func() {
		if rand.IntN(2) == 0 {
			a.peer.Close()
		} else {
			b.peer.Close()
		}
		<-a.closed
		c.poller.RemoveSource(a.peer)
		c.mu.Lock()
		c.end = nil
		left := c.wishes
		c.wishes = make(map[uint32]*wish)
		c.mu.Unlock()
		for _, w := range left {
			c.count(&c.cut)
			w.grant(&c.poller)
		}
		_ = b.end()
		late.Wait()
	}
}

func (c *callers) count(n *int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*n++
}

func (c *callers) take(id uint32) *wish {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.wishes[id]
	delete(c.wishes, id)
	return w
}

// call asks and waits, until the answer, the end of the connection, or ctx's.
func (c *callers) call(ctx context.Context) {
	w := newWish()
	c.mu.Lock()
	for c.end == nil { // between two connections
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	c.lastID++
	id := c.lastID
	c.wishes[id] = w
	err := c.end.peer.Send(wire.AppendRequest(nil, uint64(id), "ask", nil, nil), nil)
	c.mu.Unlock()
	_ = err // then its end is under way, and ours
	c.poller.Wait(ctx, &w.wait, nil)
	if !w.Over() && ctx.Err() == nil {
		c.t.Error("a waiter left for nothing")
	}
	if !w.Over() {
		c.take(id)
		c.count(&c.given)
	}
}

// No waiter waits for ever: not when the leader leaves, or gives up, or its
// connection ends and another one comes.
func TestPollerNoWaiterWaitsForEver(t *testing.T) {
	for name, c := range map[string]*callers{
		"spinning":             {},
		"sleeping":             {poller: Poller{Spin: -1}},
		"sleeping on channels": {poller: Poller{Spin: -1}, noFutexes: true},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			sys.Threads.Off.Store(c.noFutexes)
			defer sys.Threads.Off.Store(false)
			c.t, c.wishes = t, make(map[uint32]*wish)
			const waiters, each = 12, 500
			var waiting sync.WaitGroup
			var calls atomic.Int64
			for range waiters {
				waiting.Add(1)
				go func() {
					defer waiting.Done()
					for range each {
						ctx, cancel := context.WithCancel(context.Background())
						if rand.IntN(5) == 0 {
							go func() {
								for range rand.IntN(50) {
									runtime.Gosched()
								}
								cancel()
							}()
						}
						c.call(ctx)
						cancel()
						calls.Add(1)
					}
				}()
			}
			over := make(chan struct{})
			go func() { waiting.Wait(); close(over) }()
			for connections := int64(1); ; connections++ {
				end := c.connect()
				for calls.Load() < connections*100 && !isOver(over) {
					runtime.Gosched()
				}
				end()
				if isOver(over) {
					break
				}
			}
			if s, n := c.poller.state.Load(), len(c.poller.followers); s != 0 || n != 0 || len(c.poller.conns()) > 0 {
				t.Errorf("state %d, %d followers, %d sources, when all is over", s, n, len(c.poller.conns()))
			}
			if c.replies == 0 || c.byRing == 0 || c.given == 0 {
				t.Errorf("%d replies, %d of them by ring, %d calls cut, %d given up", c.replies, c.byRing, c.cut, c.given)
			}
			t.Logf("%d replies, %d of them by ring, %d calls cut, %d given up", c.replies, c.byRing, c.cut, c.given)
		})
	}
}

func isOver(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// The lead goes to a follower when the leader's own wait is over.
func TestPollerPassesTheLead(t *testing.T) {
	leaktest.Check(t)
	a, b := ringEnds(t)
	g := Poller{Spin: -1}
	wishes := []*wish{newWish(), newWish(), newWish()}
	a.onReply = func(id uint32, r Reply) { r.Drop(); wishes[id].grant(&g) }
	if err := a.upgrade(); err != nil {
		t.Fatal(err)
	}
	b.upgraded()
	g.AddSource(a.peer)
	done := make([]chan struct{}, len(wishes))
	for i, w := range wishes {
		done[i] = make(chan struct{})
		go func() {
			defer close(done[i])
			g.Wait(context.Background(), &w.wait, nil)
		}()
		for g.state.Load() != led+followed*int64(i) { // the first leads and sleeps, the others follow
			runtime.Gosched()
		}
	}
	for _, i := range []int{0, 1, 2} { // the leader first, each time
		if err := b.peer.Respond(uint64(i), nil, []byte{0xc0}, nil); err != nil {
			t.Fatal(err)
		}
		<-done[i]
	}
	if g.state.Load() != 0 {
		t.Error("no waiter is left, and one leads")
	}
	_, _ = a.end(), b.end()
}

// The last look, which follows the preparations for a sleep, sees all that there
// is to see: a record, the end of the wait, of the caller's patience, of the
// connection.
func TestLeaderLooksLast(t *testing.T) {
	leaktest.Check(t)
	sender, e := ringEnds(t)
	e.onMessage = func(m *Incoming) { m.Drop() }
	if err := sender.upgrade(); err != nil {
		t.Fatal(err)
	}
	e.upgraded()
	g := &e.poller
	g.AddSource(e.peer)
	w := newWish()
	l := &leaderCheck{}
	l.enter(g, &w.wait, nil)
	defer l.leave()
	if l.Ready() {
		t.Error("ready beside an empty ring")
	}
	if err := sender.peer.Send(noteOf(1), nil); err != nil {
		t.Fatal(err)
	}
	if !l.Ready() {
		t.Error("not ready beside a record")
	}
	if !l.pull() || l.Ready() {
		t.Error("ready though all was pulled")
	}
	w.over.Store(true)
	if !l.Ready() {
		t.Error("not ready when the wait is over")
	}
	w.over.Store(false)
	done := make(chan struct{})
	close(done)
	if l.done = done; !l.Ready() {
		t.Error("not ready when the caller has given up")
	}
	l.done = nil
	_, _ = sender.end(), e.end()
	if !l.Ready() {
		t.Error("not ready when the connection has ended")
	}
}
