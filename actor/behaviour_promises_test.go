package actor_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// Whatever an actor's hands held when it died fails at once, with the reason:
// nothing of it waits for the replacement, or for the caller's ctx.
func TestCallsInHandEndWithTheirActor(t *testing.T) {
	everywhere(t, func(b *bed) {
		for _, then := range []string{"panic", "exit", "die", "exit code 3"} {
			if !b.process && (then == "die" || then == "exit code 3") {
				continue // it would be the test's end
			}
			b.start(supervisor.Child{Name: "p", Run: Puppets.With(b.stage()), Restart: supervisor.Temporary}, supervisor.Child{Name: "q", Run: Puppets.With(b.stage())})
			p := b.ref("p")
			calls := map[string]*actor.Future[string]{}
			for _, id := range []string{"a deferred call", "a second deferred call"} {
				calls[id] = PuppetDefer.Go(b.ctx, p, id)
				b.diary.expect(id)
			}
			calls["a call from an actor in the middle"] = PuppetRelay.Go(b.ctx, b.ref("q"), relay{Note: "relayed", Then: then, Route: []actor.Ref[puppet]{p}})
			for id, call := range calls {
				b.ends(call.Done(), id+" to the actor that died")
				_, err := call.Result()
				if x := b.exit(err); x.Path != "/p" || x.Begun != actor.BegunYes {
					b.Fatalf("%s: %#v", id, x)
				}
			}
			b.diary.expect("relayed", "relayed")
			b.must(b.tree.Stop(b.ctx))
		}
	})
}

// A caller whose ctx ends goes on, whether or not the reply ever comes: the
// handler does not listen, or cannot.
func TestCallerIsNotHeldByItsCall(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet()
		for _, deaf := range []string{"does not listen", "is stopped"} {
			if deaf == "is stopped" && !b.process {
				continue // so would be the test
			}
			g := b.gate()
			ctx, cancel := context.WithCancelCause(b.ctx)
			piped := PuppetAct.Go(ctx, p, act{Note: deaf, Gate: g.path})
			b.diary.expect(deaf)
			if deaf == "is stopped" {
				b.halt("p")
			}
			cause := errors.New("better things to do")
			cancel(cause)
			b.ends(piped.Done(), "the call to an actor that "+deaf)
			_, err := piped.Result()
			b.is(err, context.Canceled, cause)

			// One that is not begun; and Call itself, which may read for its reply.
			for _, end := range []func() (context.Context, context.CancelFunc){
				func() (context.Context, context.CancelFunc) { return context.WithTimeout(b.ctx, 50*time.Millisecond) },
				func() (context.Context, context.CancelFunc) {
					ctx, cancel := context.WithCancel(b.ctx)
					time.AfterFunc(50*time.Millisecond, cancel)
					return ctx, cancel
				},
			} {
				ctx, cancel := end()
				defer cancel()
				returned := make(chan struct{})
				go func() {
					defer close(returned)
					_, err = PuppetAdd.Call(ctx, p, 0)
				}()
				b.ends(returned, "the second call to an actor that "+deaf)
				b.is(err, ctx.Err())
			}
			if deaf == "is stopped" {
				b.must(syscall.Kill(b.pid("p"), syscall.SIGCONT))
			}
			g.open()
			check(b, 0)(PuppetAdd.Call(b.ctx, p, 0))
		}
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
