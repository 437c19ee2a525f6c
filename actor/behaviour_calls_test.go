package actor_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/actor"
)

func TestCallsAndCasts(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet()
		check(b, 2)(PuppetAdd.Call(b.ctx, p, 2))
		b.must(PuppetAdd.Cast(b.ctx, p, 3))
		b.must(PuppetAdd.TryCast(p, 4))
		check(b, 9)(PuppetAdd.Call(b.ctx, p, 0))
		f := PuppetAdd.Go(b.ctx, p, 1)
		g := PuppetAdd.Go(b.ctx, p, 1)
		<-g.Done()
		check(b, 11)(g.Result())
		check(b, 10)(f.Result())
		check(b, 10)(f.Result()) // as often as one likes
		check(b, "x7")(PuppetWords.Call(b.ctx, p, wordy{A: "x", B: 7}))
		pid, err := PuppetPID.Call(b.ctx, p, actor.None{})
		b.must(err)
		if own := pid == b.stage().Test; own == b.process {
			b.Fatalf("it runs in process %d, the test in %d", pid, b.stage().Test)
		}
		me, err := PuppetMe.Call(b.ctx, p, actor.None{})
		b.must(err)
		if me != p {
			b.Fatalf("it calls itself %v, we %v", me, p)
		}
	})
}

// A handler's error goes to the caller, and the actor lives on.
func TestErrorsCrossTheBoundary(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet()
		_, err := PuppetAct.Call(b.ctx, p, act{Then: "error"})
		b.is(err, errPuppet)
		var remote *actor.RemoteError
		if !errors.As(err, &remote) || remote.Text != errPuppet.Error() || remote.Path != "/p" || remote.Method != "act" {
			b.Fatalf("%#v", remote)
		}
		_, err = PuppetMisread.Call(b.ctx, p, mislabeled{})
		if err == nil || !strings.Contains(err.Error(), "decoder bug") {
			b.Fatalf("a panicking decoder: %v", err)
		}
		check(b, 1)(PuppetAdd.Call(b.ctx, p, 1)) // the same life
		if n := len(b.list()); n != 1 || b.list()[0].Restarts != 0 {
			b.Fatalf("%+v", b.list())
		}
	})
}

// Replying later, exactly once.
func TestLater(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet()
		first, second := PuppetDefer.Go(b.ctx, p, "one"), PuppetDefer.Go(b.ctx, p, "two")
		b.diary.expect("one", "two") // the slot is free meanwhile
		select {
		case <-first.Done():
			b.Fatal(first.Result())
		default:
		}
		twice, err := PuppetRelease.Call(b.ctx, p, "now")
		b.must(err)
		if len(twice) != 2 || !twice[0] || !twice[1] {
			b.Fatalf("second replies were accepted: %v", twice)
		}
		check(b, "now")(first.Result())
		check(b, "now")(second.Result())
		// A reply that never comes ends with its actor.
		third := PuppetDefer.Go(b.ctx, p, "three")
		b.diary.expect("three")
		_, err = PuppetAct.Call(b.ctx, p, act{Then: "panic"})
		b.exit(err)
		_, err = third.Result()
		if x := b.exit(err); x.Begun != actor.BegunYes || x.Reason != actor.ReasonPanic {
			b.Fatalf("%#v", x)
		}
	})
}
