package actor_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// Promise 1: one sender's messages to one actor are begun in the order in which the
// sends returned, also across a restart.

// One sender's messages are begun in the order in which its sends returned,
// each at most once, across every restart, and none is skipped but those in
// hand: guarantees 1, 2 and 3.
func TestOrderAcrossRestarts(t *testing.T) {
	for _, how := range []string{"panic", "exit", "die"} {
		t.Run(how, func(t *testing.T) {
			everywhere(t, func(b *bed) {
				p := b.puppet()
				const n = 120
				g := b.gate()
				b.must(PuppetAct.Cast(b.ctx, p, act{Note: "-1", Gate: g.path}))
				b.diary.expect("-1") // the queue builds up behind this one
				var calls []*actor.Future[string]
				for i := range n {
					a := act{Note: fmt.Sprint(i)}
					if i == 40 || i == 41 || i == 90 {
						a.Then = how
					}
					if i%2 == 0 {
						calls = append(calls, PuppetAct.Go(b.ctx, p, a))
					} else {
						b.must(PuppetAct.Cast(b.ctx, p, a))
					}
				}
				g.open()
				for i := range n {
					b.diary.expect(fmt.Sprint(i))
				}
				for k, c := range calls {
					v, err := c.Result()
					if i := 2 * k; i == 40 || i == 90 {
						if x := b.exit(err); x.Begun != actor.BegunYes {
							b.Fatalf("%d: %#v", i, x)
						}
					} else if err != nil || v != fmt.Sprint(i) {
						b.Fatalf("%d: %v, %v", i, v, err)
					}
				}
				// The cast in hand is not lost in silence.
				if e := b.events.wait(actor.EventDeadLetter, "/p"); e.Method != "act" {
					b.Fatalf("%+v", e)
				}
				b.events.none(actor.EventDeadLetter)
				b.diary.nothing()
			})
		})
	}
}

// What is sent while the actor is down waits, as long as it may come back.
func TestSendsDuringRestart(t *testing.T) {
	everywhere(t, func(b *bed) {
		g := b.gate()
		b.start(supervisor.Child{Name: "s", Run: Slowpokes.With(g.path)})
		r, err := Slowpokes.Lookup(b.tree, "s")
		b.must(err)
		down := SlowpokeEnd.Go(b.ctx, r, actor.None{})
		_, err = down.Result()
		b.exit(err)
		// Its second life waits at the gate, in its constructor.
		b.events.wait(actor.EventExited, "/s")
		call := SlowpokeSay.Go(b.ctx, r, "one")
		b.must(SlowpokeSay.Cast(b.ctx, r, "two"))
		ctx, cancel := context.WithCancel(b.ctx)
		gone := SlowpokeSay.Go(ctx, r, "three")
		cancel()
		_, err = gone.Result()
		b.is(err, context.Canceled)
		select {
		case <-call.Done():
			b.Fatal(call.Result())
		default:
		}
		g.open()
		check(b, 1)(call.Result())
		check(b, 3)(SlowpokeSay.Call(b.ctx, r, "four"))
	})
}

// Many goroutines of one process send side by side: each one's messages keep
// their order.
func TestOrderOfManyGoroutines(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet(supervisor.Child{Mailbox: actor.Mailbox{Messages: 8}}) // full most of the time
		const senders, each = 8, 30
		errs := make(chan error, senders)
		for s := range senders {
			go func() {
				var err error
				for i := 0; i < each && err == nil; i++ {
					err = PuppetAct.Cast(b.ctx, p, act{Note: fmt.Sprint(s, " ", i)})
					runtime.Gosched()
				}
				errs <- err
			}()
		}
		next := make([]int, senders)
		for range senders * each {
			var s, i int
			if _, err := fmt.Sscan(b.diary.next(), &s, &i); err != nil {
				b.Fatal(err)
			}
			if i != next[s] {
				b.Fatalf("sender %d: message %d was begun when it was %d's turn", s, i, next[s])
			}
			next[s]++
		}
		for range senders {
			b.must(<-errs)
		}
	})
}

// slowpoke's second and later lives begin when a gate opens.
type slowpoke struct{ said []string }

func newSlowpoke(_ context.Context, gate string) (*slowpoke, error) {
	first, err := os.OpenFile(gate+".lived", os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		pass(gate)
		return &slowpoke{}, nil
	}
	return &slowpoke{}, first.Close()
}

func (s *slowpoke) Say(_ context.Context, what string) (int, error) {
	s.said = append(s.said, what)
	return len(s.said), nil
}

func (s *slowpoke) End(context.Context, actor.None) (int, error) { panic("end") }

var (
	Slowpokes   = actor.Define("slowpoke", newSlowpoke)
	SlowpokeSay = actor.DefineMethod(Slowpokes, "say", (*slowpoke).Say)
	SlowpokeEnd = actor.DefineMethod(Slowpokes, "end", (*slowpoke).End)
)
