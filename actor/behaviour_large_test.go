package actor_test

import (
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

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
