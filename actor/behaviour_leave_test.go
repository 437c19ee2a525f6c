package actor_test

import (
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// held is two puppets: the casts of s wait, because r is at a gate.
func (b *bed) held(fields supervisor.Child) (s, r actor.Ref[puppet], g *gate) {
	b.Helper()
	fields.Name, fields.Run = "s", Puppets.With(b.stage())
	b.start(supervisor.Child{Name: "r", Run: Puppets.With(b.stage())}, fields)
	s, r, g = b.ref("s"), b.ref("r"), b.gate()
	b.must(PuppetAct.Cast(b.ctx, r, act{Note: "r waits", Gate: g.path}))
	b.diary.expect("r waits")
	return s, r, g
}

const casts = 1000 // fewer than a mailbox takes

// What an actor has sent arrives although it has ended since in good order: by
// itself, with an error, because it was stopped.
func TestCastsSurviveTheirSender(t *testing.T) {
	for _, how := range []string{"exit nil", "exit", "stop"} {
		t.Run(how, func(t *testing.T) {
			everywhere(t, func(b *bed) {
				s, r, g := b.held(supervisor.Child{Restart: supervisor.Transient})
				b.must(PuppetBurst.Cast(b.ctx, s, burst{To: r, N: casts, Note: "sent", Then: how}))
				b.diary.expect("sent")
				stopped := make(chan error, 1)
				go func() {
					if how == "stop" {
						stopped <- b.tree.StopChild(b.ctx, "s")
					}
					close(stopped)
				}()
				g.open()
				b.must(<-stopped)
				b.events.wait(actor.EventExited, "/s")
				check[int](b, casts)(PuppetAdd.Call(b.ctx, r, 0))
				if b.events.has(actor.EventDeadLetter, "/r") {
					b.Fatalf("%s", b.events)
				}
			})
		})
	}
}

// They also arrive at the replacement of a receiver that crashes meanwhile.
func TestCastsOfASenderThatEndedReachTheReplacement(t *testing.T) {
	everywhere(t, func(b *bed) {
		s, r, g := b.held(supervisor.Child{Restart: supervisor.Temporary})
		b.must(PuppetAct.Cast(b.ctx, r, act{Note: "r crashes", Then: "panic"}))
		b.must(PuppetBurst.Cast(b.ctx, s, burst{To: r, N: casts, Note: "sent", Then: "exit nil"}))
		b.diary.expect("sent")
		g.open()
		b.diary.expect("r crashes")
		b.events.wait(actor.EventExited, "/s")
		check[int](b, casts)(PuppetAdd.Call(b.ctx, r, 0))
	})
}

// What the stop timeout leaves over is counted: each cast arrives, or is a dead
// letter.
func TestCastsThatTheSenderCannotWaitForAreDeadLetters(t *testing.T) {
	everywhere(t, func(b *bed) {
		s, r, g := b.held(supervisor.Child{Restart: supervisor.Temporary, StopTimeout: 100 * time.Millisecond})
		b.must(PuppetBurst.Cast(b.ctx, s, burst{To: r, N: casts, Then: "exit nil"}))
		x := b.events.wait(actor.EventExited, "/s").Exit
		if x.Reason != actor.ReasonNormal {
			b.Fatalf("it ended with %v", x)
		}
		dead := 0
		if b.process {
			for ; dead < casts; dead++ {
				if e := b.events.wait(actor.EventDeadLetter, "/r"); e.Method != "add" || e.Sender != "/s" {
					b.Fatalf("%+v", e)
				}
			}
		}
		g.open()
		check[int](b, casts-dead)(PuppetAdd.Call(b.ctx, r, 0))
		b.events.none(actor.EventDeadLetter)
	})
}

// Actors that are stopped at the same time do not wait for each other, nor for a
// receiver whose restart waits for them.
func TestLeavingActorsDoNotWaitForEachOther(t *testing.T) {
	fields := func(b *bed, name string) supervisor.Child {
		return supervisor.Child{Name: name, Run: Puppets.With(b.stage()), StopTimeout: time.Hour}
	}
	t.Run("stopped", func(t *testing.T) {
		everywhere(t, func(b *bed) {
			b.startSpec(supervisor.Spec{Strategy: supervisor.Dynamic}, supervisor.Options{})
			b.must(b.tree.StartChild(b.ctx, fields(b, "x")))
			b.must(b.tree.StartChild(b.ctx, fields(b, "y")))
			x, y := b.ref("x"), b.ref("y")
			b.must(PuppetBurst.Cast(b.ctx, x, burst{To: y, N: casts, Note: "sent", Then: "ctx"}))
			b.must(PuppetBurst.Cast(b.ctx, y, burst{To: x, N: casts, Note: "sent", Then: "ctx"}))
			b.diary.expect("sent", "sent")
			done := make(chan struct{})
			go func() { defer close(done); _ = b.tree.Stop(b.ctx) }()
			b.ends(done, "the stop")
		})
	})
	t.Run("restarted", func(t *testing.T) {
		everywhere(t, func(b *bed) {
			g := b.gate()
			b.startSpec(supervisor.Spec{Strategy: supervisor.OneForAll, Children: []supervisor.Child{fields(b, "r"), fields(b, "s")}}, supervisor.Options{})
			b.must(PuppetAct.Cast(b.ctx, b.ref("r"), act{Gate: g.path, Then: "panic"}))
			b.must(PuppetBurst.Cast(b.ctx, b.ref("s"), burst{To: b.ref("r"), N: casts, Note: "sent"}))
			b.diary.expect("sent")
			g.open()
			b.events.wait(actor.EventExited, "/r")
			done := make(chan struct{})
			go func() { defer close(done); b.events.wait(actor.EventExited, "/s") }()
			b.ends(done, "the sender")
		})
	})
}
