package actor_test

import (
	"strconv"
	"syscall"
	"testing"

	"github.com/understudy-go/understudy/actor"
)

// Promise 2: a message is begun at most once, and what kills its actor is not tried
// again.

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
