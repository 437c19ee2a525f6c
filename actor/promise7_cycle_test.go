package actor_test

import (
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// Promise 7: a call that would wait for itself fails at once, and calls that wait
// for each other are found.

// A call that would wait for itself is refused at once: guarantee 7.
func TestCallCycle(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "a", Run: Puppets.With(b.stage())}, supervisor.Child{Name: "b", Run: Puppets.With(b.stage())})
		a, z := b.ref("a"), b.ref("b")
		for _, route := range [][]actor.Ref[puppet]{{a}, {z, a}, {z, z}, {a, z}} {
			_, err := PuppetRelay.Call(b.ctx, a, relay{Route: route})
			b.is(err, actor.ErrCallCycle)
			b.events.none(actor.EventDeadlock) // no search was needed
		}
		check(b, "")(PuppetRelay.Call(b.ctx, a, relay{Route: []actor.Ref[puppet]{z}}))
	})
}

// With a slot to spare an actor may call itself, but not twice over.
func TestCallCycleWithASlotToSpare(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "c", Run: Crowds.With(b.stage())}, supervisor.Child{Name: "p", Run: Puppets.With(b.stage())})
		c, err := Crowds.Lookup(b.tree, "c")
		b.must(err)
		p := b.ref("p")
		check(b, "")(PuppetRelay.Call(b.ctx, c, relay{Route: []actor.Ref[puppet]{c}}))
		check(b, "")(PuppetRelay.Call(b.ctx, c, relay{Route: []actor.Ref[puppet]{p, c}}))
		_, err = PuppetRelay.Call(b.ctx, c, relay{Route: []actor.Ref[puppet]{c, c}})
		b.is(err, actor.ErrCallCycle)
		_, err = PuppetRelay.Call(b.ctx, c, relay{Route: []actor.Ref[puppet]{p, c, p}})
		b.is(err, actor.ErrCallCycle)
	})
}

// Calls that cross wait for each other, and no chain shows it: it is found and
// reported, one call fails, and the other goes on.
func TestCrossedCalls(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "a", Run: Puppets.With(b.stage())}, supervisor.Child{Name: "b", Run: Puppets.With(b.stage())}, supervisor.Child{Name: "c", Run: Puppets.With(b.stage())})
		for _, names := range [][]string{{"a", "b"}, {"a", "b", "c"}} {
			g := b.gate()
			var calls []*actor.Future[string]
			for i, name := range names {
				next := b.ref(names[(i+1)%len(names)])
				calls = append(calls, PuppetRelay.Go(b.ctx, b.ref(name), relay{Note: "in", Gate: g.path, Route: []actor.Ref[puppet]{next}}))
				b.diary.expect("in")
			}
			g.open()
			refused := 0
			for _, c := range calls {
				if _, err := c.Result(); err != nil {
					b.is(err, actor.ErrCallCycle)
					refused++
				} else {
					b.diary.expect("in") // of the one that was called
				}
			}
			if refused != 1 {
				b.Fatalf("%d calls of %d were refused", refused, len(names))
			}
			found := false
			for _, name := range names {
				found = found || b.events.has(actor.EventDeadlock, "/"+name)
			}
			if !found {
				b.Fatalf("no event; there were: %s", b.events)
			}
		}
	})
}

// A circle of calls is found although one of them is begun, so that in the inbox
// of its receiver nothing waits; and although handlers wait for futures.
func TestCrossedCallsThroughOneThatIsBegun(t *testing.T) {
	for name, future := range map[string]bool{"call": false, "future": true} {
		t.Run(name, func(t *testing.T) { everywhere(t, func(b *bed) { crossThroughBegun(b, future) }) })
	}
}

// Handlers that merely wait long are left alone.
func TestNoFalseDeadlock(t *testing.T) {
	everywhere(t, func(b *bed) {
		var children []supervisor.Child
		for _, id := range []string{"a", "b", "c", "d"} {
			children = append(children, supervisor.Child{Name: id, Run: Puppets.With(b.stage())})
		}
		b.start(children...)
		g := b.gate()
		held := PuppetAct.Go(b.ctx, b.ref("b"), act{Note: "held", Gate: g.path})
		b.diary.expect("held")
		through := PuppetRelay.Go(b.ctx, b.ref("a"), relay{Note: "a", Route: []actor.Ref[puppet]{b.ref("b")}})
		b.diary.expect("a")
		behind := PuppetAct.Go(b.ctx, b.ref("a"), act{Note: "behind"})
		// By the time that a true one, which is younger, is found, it has been
		// looked into.
		crossed := b.gate()
		for name, other := range map[string]string{"c": "d", "d": "c"} {
			PuppetRelay.Go(b.ctx, b.ref(name), relay{Note: "crossed", Gate: crossed.path, Route: []actor.Ref[puppet]{b.ref(other)}})
			b.diary.expect("crossed")
		}
		crossed.open()
		b.diary.expect("crossed") // the one that got through
		g.open()
		for _, c := range []*actor.Future[string]{held, through, behind} {
			_, err := c.Result()
			b.must(err)
		}
		if b.events.has(actor.EventDeadlock, "/a") || b.events.has(actor.EventDeadlock, "/b") {
			b.Fatal(b.events)
		}
	})
}
