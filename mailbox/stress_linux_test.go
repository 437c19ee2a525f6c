package mailbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/sys"
	"github.com/understudy-go/understudy/internal/wire"
)

// stressCalls is how many calls the stress test makes, in all of its parts
// together: UNDERSTUDY_STRESS=10000000 for a night.
func stressCalls(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("UNDERSTUDY_STRESS"))
	if err != nil {
		return 24_000
	}
	t.Logf("%d calls", n)
	return n
}

// asker is the sending end of a connection: callers wait for their replies.
type asker struct {
	*linkEnd
	poller conn.Poller

	mu    sync.Mutex
	calls map[uint32]*stressCall
	last  uint32
}

type stressCall struct {
	over atomic.Bool
	wait conn.Waiter
}

func (c *stressCall) Over() bool { return c.over.Load() }

func (a *asker) Reply(id uint32, r conn.Reply) {
	r.Drop()
	a.end(id)
}

func (a *asker) Closed(err error) {
	a.mu.Lock()
	ids := make([]uint32, 0, len(a.calls))
	for id := range a.calls {
		ids = append(ids, id)
	}
	a.mu.Unlock()
	for _, id := range ids {
		a.end(id)
	}
	a.closed <- err
}

func (a *asker) end(id uint32) {
	a.mu.Lock()
	c := a.calls[id]
	delete(a.calls, id)
	a.mu.Unlock()
	if c != nil {
		c.over.Store(true)
		a.poller.Done(&c.wait)
	}
}

// ask makes a call. It returns without an answer when the caller's time is over,
// or the connection's.
func (a *asker) ask(ctx context.Context) {
	c := &stressCall{}
	c.wait.For, c.wait.Changed = c, make(chan struct{}, 1)
	a.mu.Lock()
	a.last++
	id := a.last
	a.calls[id] = c
	err := a.peer.Send(wire.AppendRequest(nil, uint64(id), "ask", []byte{0x90}, nil), nil)
	a.mu.Unlock()
	if err != nil {
		a.end(id) // the connection has ended
	}
	a.poller.Wait(ctx, &c.wait, nil)
}

// hold makes the goroutine pause for about d, which may be nothing.
func hold(d time.Duration) {
	if d <= 0 {
		return
	}
	<-time.After(d)
}

// Callers and slots that come, go, pause, give up and stop at any moment: each
// call ends. Where a wake-up were lost, its sleeper would sleep for ever.
func TestNoWakeUpIsLost(t *testing.T) {
	calls := stressCalls(t)
	sys.Threads.Patience.Store(int64(time.Hour))
	defer sys.Threads.Patience.Store(0)
	for _, procs := range []int{1, 2, 4} {
		for _, slots := range []int{1, 3} {
			t.Run(fmt.Sprintf("GOMAXPROCS %d, %d slots", procs, slots), func(t *testing.T) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				inAllWays(t, func(t *testing.T, spin time.Duration) {
					stress(t, spin, slots, calls/(3*2*len(ways)))
				})
			})
		}
	}
}

func stress(t *testing.T, spin time.Duration, slots, calls int) {
	const callers = 3
	var left atomic.Int64
	left.Store(int64(calls))
	for life := 0; left.Load() > 0; life++ {
		in := NewInbox(slots, spin)
		a := &asker{linkEnd: &linkEnd{closed: make(chan error, 1)}, calls: make(map[uint32]*stressCall)}
		a.poller.Spin = spin
		f, end := feedFrom(t, in, life, 1000, a)
		end.closed, a.peer = a.closed, end.peer
		a.poller.AddSource(a.peer)
		var working, asking sync.WaitGroup
		for n := range slots {
			working.Go(func() {
				s := in.Slot(n, nil)
				rnd := rand.New(rand.NewPCG(uint64(n), uint64(life)))
				for {
					q, m, ok := s.Next()
					if !ok {
						return
					}
					if rnd.IntN(50) == 0 {
						hold(time.Duration(rnd.IntN(200)) * time.Microsecond)
					}
					_ = f.peer.Respond(m.ID, nil, []byte{0xc0}, nil) // or the connection has ended
					m.Recycle()
					q.End(n, true)
				}
			})
		}
		if life%4 != 3 {
			if err := end.upgrade(); err != nil {
				t.Fatal(err)
			}
		}
		stop := atomic.Bool{}
		for i := range callers {
			asking.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(i), uint64(life)))
				for !stop.Load() && left.Add(-1) >= 0 {
					ctx, cancel := context.Background(), func() {}
					switch rnd.IntN(20) {
					case 0:
						ctx, cancel = context.WithTimeout(ctx, time.Duration(rnd.IntN(100))*time.Microsecond)
					case 1:
						ctx, cancel = context.WithCancel(ctx)
						go cancel()
					case 2:
						hold(time.Duration(rnd.IntN(300)) * time.Microsecond)
					}
					a.ask(ctx)
					cancel()
				}
			})
		}
		if life%2 == 0 { // this one is stopped in the middle of its life
			for target := left.Load() - int64(min(calls/4+1, 2000)); left.Load() > max(target, 0); {
				runtime.Gosched()
			}
			stop.Store(true)
			if life%4 == 0 {
				_ = f.peer.Notify("$/end", nil)
				f.peer.Close()
			} else {
				end.peer.Close()
			}
		}
		asking.Wait()
		_, _ = end.end(), f.end()
		in.Close()
		working.Wait()
	}
}
