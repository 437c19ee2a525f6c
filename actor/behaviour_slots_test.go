package actor_test

import (
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// Handlers run one at a time, or n at a time for a kind that says so.
func TestConcurrent(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "p", Run: Puppets.With(b.stage())}, supervisor.Child{Name: "c", Run: Crowds.With(b.stage())})
		c, err := Crowds.Lookup(b.tree, "c")
		b.must(err)
		first, second := b.gate(), b.gate()
		calls := []*actor.Future[string]{
			CrowdAct.Go(b.ctx, c, act{Note: "1", Gate: first.path}),
			CrowdAct.Go(b.ctx, c, act{Note: "2", Gate: second.path}),
			CrowdAct.Go(b.ctx, c, act{Note: "3"}),
		}
		seen := map[string]bool{b.diary.next(): true, b.diary.next(): true} // both are in, side by side
		if !seen["1"] || !seen["2"] {
			b.Fatal(seen)
		}
		b.diary.nothing()
		second.open()
		b.diary.expect("3")
		check(b, "3")(calls[2].Result())
		select {
		case <-calls[0].Done():
			b.Fatal(calls[0].Result())
		default:
		}
		first.open()
		check(b, "1")(calls[0].Result())
		// The ordinary kind: the second is begun when the first is done.
		g := b.gate()
		one := PuppetAct.Go(b.ctx, b.ref("p"), act{Note: "one", Gate: g.path})
		two := PuppetAct.Go(b.ctx, b.ref("p"), act{Note: "two"})
		b.diary.expect("one")
		b.diary.nothing()
		g.open()
		check(b, "one")(one.Result())
		check(b, "two")(two.Result())
	})
}

// A death with several messages in hand ends them all, and replays none.
func TestDeathOfACrowd(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "c", Run: Crowds.With(b.stage())})
		c, err := Crowds.Lookup(b.tree, "c")
		b.must(err)
		held := CrowdAct.Go(b.ctx, c, act{Note: "held", Then: "ctx"})
		b.diary.expect("held")
		killer := CrowdAct.Go(b.ctx, c, act{Note: "killer", Then: "die"})
		b.diary.expect("killer")
		_, err = killer.Result()
		b.exit(err)
		_, err = held.Result()
		if b.process {
			if x := b.exit(err); x.Begun != actor.BegunYes {
				b.Fatalf("%#v", x)
			}
		} else {
			b.is(err, actor.ErrStopping) // a goroutine has the time to say so
			b.diary.expect("ctx: " + actor.ErrStopping.Error())
		}
		check(b, "next")(CrowdAct.Call(b.ctx, c, act{Note: "next"}))
		b.diary.expect("next")
	})
}

func crossThroughBegun(b *bed, future bool) {
	b.start(supervisor.Child{Name: "p", Run: Puppets.With(b.stage())}, supervisor.Child{Name: "q", Run: Puppets.With(b.stage())}, supervisor.Child{Name: "r", Run: Puppets.With(b.stage())})
	g := b.gate()
	calls := []*actor.Future[string]{PuppetRelay.Go(b.ctx, b.ref("r"),
		relay{Note: "r", Gate: g.path, Route: []actor.Ref[puppet]{b.ref("p")}, Future: future})}
	b.diary.expect("r")
	calls = append(calls, PuppetRelay.Go(b.ctx, b.ref("p"),
		relay{Note: "in", Route: []actor.Ref[puppet]{b.ref("q"), b.ref("r")}, Future: future}))
	b.diary.expect("in", "in") // p's and q's
	g.open()
	refused := 0
	for _, c := range calls {
		if _, err := c.Result(); err != nil {
			b.is(err, actor.ErrCallCycle)
			refused++
		}
	}
	if refused != 1 {
		b.Fatalf("%d of 2 calls were refused", refused)
	}
}
