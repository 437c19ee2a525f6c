package actor_test

import (
	"fmt"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// Promise 3: messages that are not begun when an actor dies wait for its
// replacement.

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
