package actor_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

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

// Killed from outside, at any moment, while messages pour in: they are begun in
// order, at most once, and none is skipped but the one in hand, which is a
// dead letter.
func TestKilledAtAnyMoment(t *testing.T) {
	inProcesses(t, func(b *bed) {
		p := b.puppet()
		const n, kills = 2000, 5
		check(b, 0)(PuppetAdd.Call(b.ctx, p, 0))
		sent := make(chan error, 1)
		go func() {
			for i := range n {
				if err := PuppetAct.Cast(b.ctx, p, act{Note: strconv.Itoa(i)}); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		skipped, killed := 0, 0
		last := -1
		for last < n-1 {
			i, err := strconv.Atoi(b.diary.next())
			b.must(err)
			if i <= last {
				b.Fatalf("%d was begun after %d", i, last)
			}
			skipped += i - last - 1
			last = i
			if killed < kills && i > (killed+1)*n/(kills+2) {
				killed++
				if pid := b.pid("p"); pid > 0 {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			}
		}
		b.must(<-sent)
		b.diary.nothing()
		if skipped > kills {
			b.Fatalf("%d messages were lost in %d kills", skipped, kills)
		}
		for range skipped { // begun, but killed before they could write
			b.events.wait(actor.EventDeadLetter, "/p")
		}
	})
}

// A message that kills the decoder is not replayed for ever: it was begun.
func TestPoison(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet()
		g := b.gate()
		b.must(PuppetAct.Cast(b.ctx, p, act{Note: "held", Gate: g.path}))
		b.diary.expect("held")
		b.must(PuppetSwallow.Cast(b.ctx, p, poison(antidote{b.diary.path, b.stage().Test})))
		call := PuppetSwallow.Go(b.ctx, p, poison(antidote{b.diary.path, b.stage().Test}))
		b.must(PuppetAct.Cast(b.ctx, p, act{Note: "healthy"}))
		g.open()
		b.diary.expect("decoding poison", "decoding poison", "healthy")
		_, err := call.Result()
		if x := b.exit(err); x.Begun != actor.BegunYes {
			b.Fatalf("%#v", x)
		}
		if e := b.events.wait(actor.EventDeadLetter, "/p"); e.Method != "swallow" {
			b.Fatalf("%+v", e)
		}
		b.events.none(actor.EventDeadLetter)
	})
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
