package actor_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// Promise 5: nothing is lost in silence.

// The events of casts that came to nothing name who sent them.
func TestEventsNameTheSender(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "poster", Run: Posters.With(actor.None{})}, supervisor.Child{Name: "p", Run: Puppets.With(b.stage())}, supervisor.Child{Name: "gone", Run: Puppets.With(b.stage())})
		poster, err := Posters.Lookup(b.tree, "poster")
		b.must(err)
		from := map[string]func(letter) error{
			"/":       func(l letter) error { return PuppetAct.Cast(b.ctx, l.To, l.Act) },
			"/poster": func(l letter) error { _, err := Post.Call(b.ctx, poster, l); return err },
		}
		for sender, post := range from {
			if !b.process {
				sender = "/" // whose process it is
			}
			b.must(post(letter{b.ref("p"), act{Then: "error"}}))
			if e := b.events.wait(actor.EventCastFailed, "/p"); e.Sender != sender || e.Method != "act" {
				b.Errorf("a cast that failed: %+v", e)
			}
			b.must(post(letter{b.ref("p"), act{Note: "in hand", Then: "panic"}}))
			b.diary.expect("in hand")
			if e := b.events.wait(actor.EventDeadLetter, "/p"); e.Sender != sender || e.Method != "act" {
				b.Errorf("a cast that was cut off: %+v", e)
			}
		}
	})
}

// An inbox that is open when its system stops is no actor that hangs, also
// when it is full and its senders wait.
func TestOpenInboxAtAnOrderlyStop(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start()
		idle, full := actor.NewInbox[string](b.tree, 4), actor.NewInbox[string](b.tree, 1)
		for i := range 2 { // the one in the channel, the other in a handler's hands or about to be
			b.must(full.Ref().Send(b.ctx, fmt.Sprint(i)))
		}
		b.must(b.tree.Stop(b.ctx))
		for _, in := range []*actor.Inbox[string]{idle, full} {
			b.events.wait(actor.EventExited, in.Ref().Path())
		}
		b.events.none(actor.EventAbandoned)
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

// poster casts on behalf of others.
type poster struct{}

type letter struct {
	To  actor.Ref[puppet]
	Act act
}

func (*poster) Post(ctx context.Context, l letter) (actor.None, error) {
	return actor.None{}, PuppetAct.Cast(ctx, l.To, l.Act)
}

var (
	Posters = actor.Define("poster", func(context.Context, actor.None) (*poster, error) { return &poster{}, nil })
	Post    = actor.DefineMethod(Posters, "post", (*poster).Post)
)
