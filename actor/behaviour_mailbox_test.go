package actor_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// A full mailbox blocks its sender until ctx ends, or says so: guarantee 6.
func TestFullMailbox(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet(supervisor.Child{Mailbox: actor.Mailbox{Messages: 4}})
		g := b.gate()
		b.must(PuppetAct.Cast(b.ctx, p, act{Note: "held", Gate: g.path}))
		b.diary.expect("held") // begun: it does not count any more
		for i := range 4 {
			b.must(PuppetAct.TryCast(p, act{Note: fmt.Sprint(i)}))
		}
		b.is(PuppetAct.TryCast(p, act{Note: "too much"}), actor.ErrMailboxFull)
		ctx, cancel := context.WithCancel(b.ctx)
		blocked := make(chan error, 3)
		go func() { blocked <- PuppetAct.Cast(ctx, p, act{Note: "too late"}) }()
		go func() { _, err := PuppetAct.Call(ctx, p, act{Note: "too late"}); blocked <- err }()
		go func() { _, err := PuppetAct.Go(ctx, p, act{Note: "too late"}).Result(); blocked <- err }()
		cancel()
		for range 3 {
			b.is(<-blocked, context.Canceled)
		}
		waiting := make(chan error, 1)
		go func() { waiting <- PuppetAct.Cast(b.ctx, p, act{Note: "4"}) }()
		g.open()
		b.diary.expect("0", "1", "2", "3", "4")
		b.must(<-waiting)
		b.diary.nothing()
		b.events.none(actor.EventConnectionLost)
	})
}

// The capacity is in bytes as well; one message of any size fits into an empty
// mailbox.
func TestMailboxBytes(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet(supervisor.Child{Mailbox: actor.Mailbox{Bytes: 64 << 10}})
		g := b.gate()
		b.must(PuppetAct.Cast(b.ctx, p, act{Note: "held", Gate: g.path}))
		b.diary.expect("held")
		third := make([]byte, 20<<10)
		for range 3 {
			b.must(PuppetAct.TryCast(p, act{Note: "third", Fill: third}))
		}
		b.is(PuppetAct.TryCast(p, act{Note: "too much", Fill: third}), actor.ErrMailboxFull)
		b.must(PuppetAct.TryCast(p, act{Note: "small"}))
		g.open()
		b.diary.expect("third", "third", "third", "small")
		check(b, 0)(PuppetAdd.Call(b.ctx, p, 0))
		b.must(PuppetAct.Cast(b.ctx, p, act{Note: "oversized", Fill: make([]byte, 1<<20)}))
		b.must(PuppetAct.Cast(b.ctx, p, act{Note: "another", Fill: make([]byte, 1<<20)}))
		b.diary.expect("oversized", "another")
		b.events.none(actor.EventConnectionLost)
	})
}

// What TryCast puts in before there is a connection counts against the capacity that
// the receiver turns out to have.
func TestBurstBeforeTheConnection(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet(supervisor.Child{Mailbox: actor.Mailbox{Messages: 2}})
		const n = 200
		for i := range n {
			for {
				err := PuppetAct.TryCast(p, act{Note: fmt.Sprint(i)})
				if err == nil {
					break
				}
				b.is(err, actor.ErrMailboxFull)
				b.must(b.ctx.Err())
			}
		}
		for i := range n {
			b.diary.expect(fmt.Sprint(i))
		}
		b.events.none(actor.EventConnectionLost)
		b.events.none(actor.EventExited)
	})
}

// Memory is bounded on both sides when the receiver does not take anything.
func TestStoppedReceiver(t *testing.T) {
	inProcesses(t, func(b *bed) {
		const capacity, size = 256 << 10, 4 << 10
		p := b.puppet(supervisor.Child{Mailbox: actor.Mailbox{Messages: 1 << 20, Bytes: capacity}})
		check(b, 0)(PuppetAdd.Call(b.ctx, p, 0))
		b.halt("p")
		accepted := 0
		for {
			err := PuppetAct.TryCast(p, act{Fill: make([]byte, size)})
			if err != nil {
				b.is(err, actor.ErrMailboxFull)
				break
			}
			if accepted++; accepted*size > 2*capacity {
				b.Fatalf("%d messages of %d bytes were accepted, capacity %d", accepted, size, capacity)
			}
		}
		if accepted*size < capacity/2 {
			b.Fatalf("only %d messages were accepted", accepted)
		}
		if n := system(b.tree).Stats().Unbegun; n*size > capacity || n < accepted-8 { // the stop takes a moment
			b.Fatalf("%d messages are in our hands, %d were accepted", n, accepted)
		}
		waiting := make(chan error, 1)
		go func() { waiting <- PuppetAct.Cast(b.ctx, p, act{Note: "go on"}) }()
		b.must(syscall.Kill(b.pid("p"), syscall.SIGCONT))
		b.must(<-waiting)
		b.diary.expect("go on")
	})
}

// Messages larger than the stream's limit travel in memory of their own; those
// over the system's limit do not travel at all. Both directions.
func TestMessagesOfAnySize(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.startSpec(supervisor.Spec{Children: []supervisor.Child{
			{Name: "p", Run: Puppets.With(b.stage())}, {Name: "q", Run: Puppets.With(b.stage())}}}, supervisor.Options{Inline: 64 << 10, MaxMessage: 1 << 20})
		p := b.ref("p")
		for _, n := range []int{0, 1, 60 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 300 << 10, 1000 << 10} {
			r, err := PuppetEcho.Call(b.ctx, p, echo{Data: make([]byte, n), Want: n})
			if err != nil || r.Got != n || len(r.Data) != n {
				b.Fatalf("%d bytes: got %d, answered %d: %v", n, r.Got, len(r.Data), err)
			}
		}
		_, err := PuppetEcho.Call(b.ctx, p, echo{Data: make([]byte, 1<<20)})
		b.is(err, actor.ErrTooLarge)
		b.is(PuppetEcho.Cast(b.ctx, p, echo{Data: make([]byte, 1<<20)}), actor.ErrTooLarge)
		_, err = PuppetEcho.Call(b.ctx, p, echo{Want: 1 << 20})
		b.is(err, actor.ErrTooLarge)
		r, err := PuppetEcho.Call(b.ctx, p, echo{Want: 3}) // nobody was harmed
		if err != nil || len(r.Data) != 3 {
			b.Fatal(r, err)
		}
		b.events.none(actor.EventExited)
		b.events.none(actor.EventConnectionLost)
	})
}

// Large messages that are not begun go to the replacement like any other.
func TestLargeMessagesAcrossARestart(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.startSpec(supervisor.Spec{Children: []supervisor.Child{{Name: "p", Run: Puppets.With(b.stage())}}}, supervisor.Options{Inline: 64 << 10})
		p := b.ref("p")
		g := b.gate()
		b.must(PuppetAct.Cast(b.ctx, p, act{Note: "held", Gate: g.path, Then: "die"}))
		b.diary.expect("held")
		for i := range 4 {
			b.must(PuppetAct.Cast(b.ctx, p, act{Note: fmt.Sprint(i), Fill: make([]byte, 200<<10)}))
		}
		g.open()
		b.diary.expect("0", "1", "2", "3")
		b.events.wait(actor.EventDeadLetter, "/p")
	})
}

// A method that nobody serves, a reference of another kind, none at all.
func TestWrongAddresses(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "p", Run: Puppets.With(b.stage())}, supervisor.Child{Name: "f", Run: Faucets.With(actor.None{})})
		_, err := ghostMethod().Call(b.ctx, b.ref("p"), 1)
		b.is(err, actor.ErrUnknown)
		b.must(ghostMethod().Cast(b.ctx, b.ref("p"), 1))
		b.is(b.events.wait(actor.EventCastFailed, "/p").Err, actor.ErrUnknown)
		_, err = Puppets.Lookup(b.tree, "f")
		b.is(err, actor.ErrKindMismatch)
		_, err = Puppets.Lookup(b.tree, "nobody")
		b.is(err, actor.ErrNotFound)
		_, err = Puppets.Lookup(nil, "p")
		b.is(err, actor.ErrUnbound)
		var zero actor.Ref[puppet]
		if !zero.IsZero() || zero.Path() != "" {
			b.Fatal(zero)
		}
		_, err = PuppetAdd.Call(b.ctx, zero, 1)
		b.is(err, actor.ErrUnbound)
		b.is(PuppetAdd.Cast(b.ctx, zero, 1), actor.ErrUnbound)
		b.is(PuppetAdd.TryCast(zero, 1), actor.ErrUnbound)
		_, err = PuppetAdd.Go(b.ctx, zero, 1).Result()
		b.is(err, actor.ErrUnbound)
		_, err = zero.Pin(b.ctx)
		b.is(err, actor.ErrUnbound)
		for _, err := range zero.Monitor(b.ctx) {
			b.is(err, actor.ErrUnbound)
		}
		// In a message it stays nobody.
		_, err = PuppetRelay.Call(b.ctx, b.ref("p"), relay{Route: []actor.Ref[puppet]{{}}})
		b.is(err, actor.ErrUnbound)
		check(b, 1)(PuppetAdd.Call(b.ctx, b.ref("p"), 1))
		check(b, 1)(Ping.Call(b.ctx, must(Faucets.Lookup(b.tree, "f")), actor.None{}))
	})
}
