package actor_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// Promise 6: a full mailbox blocks the sender until its ctx ends, or is
// ErrMailboxFull.

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
