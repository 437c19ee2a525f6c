package actor_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// Promise 4: a call ends in exactly one way.

// A call ends at once, with the reason, when the actor dies in it.
func TestCallEndsWithItsActor(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet()
		for _, c := range []struct {
			then   string
			reason actor.Reason
			text   string
		}{
			{"panic", actor.ReasonPanic, "as told by panic"},
			{"exit", actor.ReasonError, "as told"},
			{"exit nil", actor.ReasonNormal, ""},
			{"die", actor.ReasonSignal, ""},
			{"exit code 3", actor.ReasonExitCode, ""},
		} {
			if !b.process && (c.then == "die" || c.then == "exit code 3") {
				continue // it would be the test's end
			}
			pin, err := p.Pin(b.ctx)
			b.must(err)
			inc, _ := pin.Pinned()
			call := PuppetAct.Go(b.ctx, p, act{Note: c.then, Then: c.then})
			b.ends(call.Done(), "the call that ended the actor by "+c.then)
			_, err = call.Result()
			x := b.exit(err)
			if x.Path != "/p" || x.Reason != c.reason || x.Begun != actor.BegunYes || x.Incarnation != inc {
				b.Fatalf("%s: %#v", c.then, x)
			}
			if !strings.Contains(err.Error(), c.text) {
				b.Fatalf("%s: the error does not say %q: %v", c.then, c.text, err)
			}
			switch c.then {
			case "exit":
				b.is(err, fs.ErrPermission)
			case "die":
				if x.Signal != syscall.SIGKILL {
					b.Fatalf("%#v", x)
				}
			case "exit code 3":
				if x.Code != 3 {
					b.Fatalf("%#v", x)
				}
			case "panic":
				if b.process && !strings.Contains(strings.Join(x.Stderr, "\n"), "last words") {
					b.Fatalf("its standard error was %q", x.Stderr)
				}
				var p *actor.PanicError
				if !errors.As(err, &p) || !strings.Contains(p.Stack, "behaviour_puppet_test.go") {
					b.Fatalf("no stack in %v", err)
				}
			}
			b.diary.expect(c.then) // begun once
			check(b, 0)(PuppetAdd.Call(b.ctx, p, 0))
		}
		b.diary.nothing()
	})
}

// An exit error comes through an actor in the middle.
func TestNestedExitError(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "a", Run: Puppets.With(b.stage())}, supervisor.Child{Name: "b", Run: Puppets.With(b.stage())})
		call := PuppetRelay.Go(b.ctx, b.ref("a"), relay{Note: "x", Then: "exit", Route: []actor.Ref[puppet]{b.ref("b")}})
		b.ends(call.Done(), "the call that ended the actor behind the one in the middle")
		_, err := call.Result()
		x := b.exit(err)
		if x.Path != "/b" || x.Reason != actor.ReasonError || x.Begun != actor.BegunYes {
			b.Fatalf("%#v", x)
		}
		b.is(err, fs.ErrPermission)
		var remote *actor.RemoteError
		if !errors.As(err, &remote) || remote.Path != "/a" {
			b.Fatalf("%#v", remote)
		}
		check(b, 0)(PuppetAdd.Call(b.ctx, b.ref("a"), 0)) // it lives

		if !b.process {
			return
		}
		_, err = PuppetRelay.Call(b.ctx, b.ref("a"), relay{Note: "x", Then: "explain", Route: []actor.Ref[puppet]{b.ref("b")}})
		if x := b.exit(err); x.Path != "/b" || x.Code != 3 || len(x.Stdout) != 1 || x.Stdout[0] != "the reason" || x.Stderr != nil {
			b.Fatalf("%#v", x)
		}
		if !strings.Contains(err.Error(), "stdout: the reason") {
			b.Fatalf("it does not say what /b printed: %v", err)
		}
	})
}

func TestActorThatWillNotComeBack(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(
			supervisor.Child{Name: "stopped", Run: Puppets.With(b.stage())},
			supervisor.Child{Name: "ended", Run: Puppets.With(b.stage()), Restart: supervisor.Transient},
			supervisor.Child{Name: "gone", Run: Puppets.With(b.stage()), Restart: supervisor.Temporary},
			supervisor.Child{Name: "ignored", Run: Puppets.With(stage{Start: "ignore"})},
		)
		refs := map[string]actor.Ref[puppet]{"stopped": b.ref("stopped"), "ended": b.ref("ended"), "gone": b.ref("gone"), "ignored": b.ref("ignored")}
		b.must(b.tree.StopChild(b.ctx, "stopped"))
		b.must(PuppetAct.Cast(b.ctx, refs["ended"], act{Then: "exit nil"}))
		b.must(PuppetAct.Cast(b.ctx, refs["gone"], act{Then: "panic"}))
		b.events.wait(actor.EventExited, "/ended")
		b.events.wait(actor.EventExited, "/gone")
		for name, r := range refs {
			_, err := PuppetAdd.Call(b.ctx, r, 1)
			if !errors.Is(err, actor.ErrStopped) && !errors.Is(err, actor.ErrNotRunning) {
				b.Fatalf("%s: %v", name, err)
			}
			b.gone(PuppetAdd.Cast(b.ctx, r, 1))
			// No waiting: either it says so, or a dead letter does.
			if err := PuppetAct.TryCast(r, act{}); err == nil {
				if e := b.events.wait(actor.EventDeadLetter, r.Path()); e.Method != "act" {
					b.Fatalf("%+v", e)
				}
			}
		}
		b.must(b.tree.RestartChild(b.ctx, "stopped"))
		check(b, 1)(PuppetAdd.Call(b.ctx, refs["stopped"], 1)) // the reference works again
	})
}

// Messages that wait when it turns out that nobody will come fail.
func TestWaitingMessagesOfAStoppedActor(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet()
		g := b.gate()
		held := PuppetAct.Go(b.ctx, p, act{Note: "held", Gate: g.path, Then: "ctx"})
		b.diary.expect("held")
		waiting := PuppetAct.Go(b.ctx, p, act{Note: "waiting"})
		b.must(PuppetAct.Cast(b.ctx, p, act{Note: "cast"}))
		stopped := make(chan error, 1)
		go func() { stopped <- b.tree.StopChild(b.ctx, "p") }()
		g.open()
		b.diary.expect("ctx: " + actor.ErrStopping.Error()) // the handler in hand is told
		_, err := held.Result()
		b.is(err, actor.ErrStopping)
		_, err = waiting.Result()
		b.gone(err)
		if e := b.events.wait(actor.EventDeadLetter, "/p"); e.Method != "act" {
			b.Fatalf("%+v", e)
		}
		b.must(<-stopped)
		b.diary.nothing()
	})
}

// The deadline is the handler's too; the caller does not wait for it.
func TestDeadline(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet()
		check(b, "true")(PuppetAct.Call(b.ctx, p, act{Then: "deadline"}))
		check(b, "false")(PuppetAct.Call(context.WithoutCancel(b.ctx), p, act{Then: "deadline"}))
		ctx, cancel := context.WithTimeout(b.ctx, 200*time.Millisecond)
		defer cancel()
		g := b.gate()
		call := PuppetAct.Go(ctx, p, act{Note: "late", Gate: g.path, Then: "ctx"})
		b.ends(call.Done(), "the call whose deadline has passed, though the gate is shut,")
		_, err := call.Result()
		b.is(err, context.DeadlineExceeded)
		g.open()
		b.diary.expect("late")
		if line := b.diary.next(); line != "ctx: "+context.DeadlineExceeded.Error() && line != "ctx: the caller has given up" {
			b.Fatal(line)
		}
		// An error that the handler makes of it is found on this side.
		ctx, cancel = context.WithCancel(b.ctx)
		cancel()
		_, err = PuppetAct.Call(ctx, p, act{Note: "never"})
		b.is(err, context.Canceled)
		check(b, 0)(PuppetAdd.Call(b.ctx, p, 0))
		b.diary.nothing()
	})
}

func TestCancellation(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet()
		ctx, cancel := context.WithCancelCause(b.ctx)
		cause := errors.New("changed my mind")
		call := PuppetAct.Go(ctx, p, act{Note: "begun", Then: "ctx"})
		b.diary.expect("begun")
		cancel(cause)
		b.ends(call.Done(), "the cancelled call")
		_, err := call.Result()
		b.is(err, cause)
		b.diary.expect("ctx: the caller has given up")

		// What is cancelled before its turn is not begun.
		inHand, letGo := context.WithCancel(b.ctx)
		PuppetAct.Go(inHand, p, act{Note: "held", Then: "ctx"})
		b.diary.expect("held")
		ctx, cancel = context.WithCancelCause(b.ctx)
		call = PuppetAct.Go(ctx, p, act{Note: "cancelled"})
		cancel(cause)
		b.ends(call.Done(), "the call that was cancelled before its turn")
		_, err = call.Result()
		b.is(err, cause)
		after := PuppetAct.Go(b.ctx, p, act{Note: "after"})
		letGo() // it hears of that after the other cancellation
		b.diary.expect("ctx: the caller has given up", "after")
		check(b, "after")(after.Result())
	})
}

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

// A call in hand of an actor that does not end when its tree is stopped gets that
// end, and learns that it was begun.
func TestBegunCallOfATreeThatIsStopped(t *testing.T) {
	everywhere(t, func(b *bed) {
		p, g := b.puppet(supervisor.Child{StopTimeout: 50 * time.Millisecond}), b.gate()
		call := PuppetAct.Go(b.ctx, p, act{Note: "begun", Gate: g.path})
		b.diary.expect("begun")
		_ = b.tree.Stop(b.ctx)
		_, err := call.Result()
		if x := b.exit(err); x.Begun != actor.BegunYes || x.Reason != actor.ReasonKilled {
			b.Fatalf("%v", err)
		}
		g.open()
	})
}

// After a stop that has returned, no send is taken for one that may arrive.
func TestSendsToAStoppedActor(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "l", Run: Leavers.With("")})
		check(b, "hello")(Leave.Call(b.ctx, b.leaver("l"), "hello"))
		b.must(b.tree.StopChild(b.ctx, "l"))
		b.is(Leave.Cast(b.ctx, b.leaver("l"), "hello"), actor.ErrStopped)
		b.is(Leave.TryCast(b.leaver("l"), "hello"), actor.ErrStopped, actor.ErrNotRunning)
	})
}
