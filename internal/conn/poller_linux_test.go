package conn

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/transport"
)

// wish is something that a guest waits for.
type wish struct {
	over atomic.Bool
	wait Waiter
}

func newWish() *wish {
	w := &wish{}
	w.wait = Waiter{For: w, Changed: make(chan struct{}, 1)}
	return w
}

func (w *wish) Over() bool { return w.over.Load() }

func (w *wish) grant(g *Poller) {
	w.over.Store(true)
	select {
	case w.wait.Changed <- struct{}{}:
	default:
	}
	g.Wake()
}

// callers are guests who ask over whatever connection there is.
type callers struct {
	t      *testing.T
	guests Poller

	mu                          sync.Mutex
	end                         *ringEnd // of the connection that stands; nil: none
	wishes                      map[uint32]*wish
	lastID                      uint32
	replies, cut, given, byRing int
}

// connect makes a connection, to a peer that answers at once or in a while, and
// perhaps with rings. The result ends it.
func (c *callers) connect(spin bool) (end func()) {
	fds := socketFDs(c.t)
	a, b := newRingEnd(c.t, fds[0]), newRingEnd(c.t, fds[1])
	if !spin {
		a.peer.opts.Spin = -1
	}
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
	b.onRinged = func() { late.Go(b.serve) }
	a.onReply = func(id uint32, r Reply) {
		if r.mem != nil {
			c.count(&c.byRing)
		}
		r.Drop()
		if w := c.take(id); w != nil {
			c.count(&c.replies)
			w.grant(&c.guests)
		}
	}
	a.peer.Start()
	b.peer.Start()
	bell, err := transport.NewDoorbell()
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.end = a
	c.mu.Unlock()
	if rand.IntN(4) == 0 {
		bell.Close() // this one goes by its socket
	} else {
		a.peer.Upgrade(bell, func(err error) {
			if err != nil {
				bell.Close()
				return
			}
			c.guests.Open(a.peer, bell)
		})
	}
	return func() {
		if rand.IntN(2) == 0 {
			a.peer.Close()
		} else {
			b.peer.Close()
		}
		<-a.closed
		c.guests.Shut(a.peer)
		c.mu.Lock()
		c.end = nil
		left := c.wishes
		c.wishes = make(map[uint32]*wish)
		c.mu.Unlock()
		for _, w := range left {
			c.count(&c.cut)
			w.grant(&c.guests)
		}
		_ = b.end()
		a.bell.Close()
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
	for c.end == nil { // between two links
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
	c.guests.Wait(ctx, &w.wait, nil)
	if !w.Over() && ctx.Err() == nil {
		c.t.Error("a guest left for nothing")
	}
	if !w.Over() {
		c.take(id)
		c.count(&c.given)
	}
}

// Nobody waits for ever: not when the leader leaves, or gives up, or its
// connection ends and another one comes.
func TestGuestsNobodyWaitsForEver(t *testing.T) {
	for name, spin := range map[string]bool{"spinning": true, "sleeping": false} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			c := &callers{t: t, wishes: make(map[uint32]*wish)}
			const guests, each = 12, 500
			var waiting sync.WaitGroup
			var calls atomic.Int64
			for range guests {
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
			for links := int64(1); ; links++ {
				end := c.connect(spin)
				for calls.Load() < links*100 && !isOver(over) {
					runtime.Gosched()
				}
				end()
				if isOver(over) {
					break
				}
			}
			if c.guests.led || len(c.guests.followers) > 0 || c.guests.peer != nil || c.guests.parked.Load() {
				t.Errorf("led %v, %d followers, peer %v, when all is over", c.guests.led, len(c.guests.followers), c.guests.peer)
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
func TestGuestsPassTheLead(t *testing.T) {
	leaktest.Check(t)
	a, b := ringEnds(t)
	var g Poller
	wishes := []*wish{newWish(), newWish(), newWish()}
	a.onReply = func(id uint32, r Reply) { r.Drop(); wishes[id].grant(&g) }
	if err := a.offer(); err != nil {
		t.Fatal(err)
	}
	<-b.ringed
	a.peer.opts.Spin = -1
	g.Open(a.peer, a.bell)
	done := make([]chan struct{}, len(wishes))
	for i, w := range wishes {
		done[i] = make(chan struct{})
		go func() {
			defer close(done[i])
			g.Wait(context.Background(), &w.wait, nil)
		}()
		for { // the first leads and sleeps, the others follow
			g.mu.Lock()
			stands := g.led && len(g.followers) == i
			g.mu.Unlock()
			if stands {
				break
			}
			runtime.Gosched()
		}
	}
	for _, i := range []int{0, 1, 2} { // the leader first, each time
		if err := b.peer.Respond(uint64(i), nil, []byte{0xc0}, nil); err != nil {
			t.Fatal(err)
		}
		<-done[i]
	}
	if g.led {
		t.Error("nobody is left, and somebody leads")
	}
	g.Shut(a.peer)
	_, _ = a.end(), b.end()
}

// The last look comes behind the wish for the bell, and sees all that there is
// to see: a record, the end of the wait, of the caller's patience, of the
// connection.
func TestGuestLooksLast(t *testing.T) {
	leaktest.Check(t)
	sender, e := ringEnds(t)
	e.onMessage = func(m *Incoming) { m.Drop() }
	if err := sender.offer(); err != nil {
		t.Fatal(err)
	}
	<-e.ringed
	r := e.peer.RingIn.Load()
	r.T.Enter()
	defer r.T.Leave()
	guest := leaderCheck{g: &Poller{}, p: e.peer, r: r, w: &newWish().wait}
	if guest.asleep() || !guest.g.parked.Load() {
		t.Error("not asleep beside an empty ring")
	}
	if err := sender.peer.Send(noteOf(1), nil); err != nil {
		t.Fatal(err)
	}
	if !guest.asleep() {
		t.Error("asleep beside a record")
	}
	e.peer.Pull(1)
	if guest.asleep() {
		t.Error("not asleep though all was pulled")
	}
	guest.w.For.(*wish).over.Store(true)
	if !guest.asleep() {
		t.Error("asleep when the wait is over")
	}
	guest.w = &newWish().wait
	done := make(chan struct{})
	close(done)
	if guest.done = done; !guest.asleep() {
		t.Error("asleep when the caller has given up")
	}
	guest.done = nil
	_, _ = sender.end(), e.end()
	if !guest.asleep() {
		t.Error("asleep when the connection has ended")
	}
}
