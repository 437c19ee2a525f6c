package actor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// director is an actor that supervises puppets of its own, in processes of
// their own if it is one.
type director struct{ stage stage }

func (d *director) Hire(ctx context.Context, names []string) ([]actor.Ref[puppet], error) {
	spec := supervisor.Spec{Name: "cast", Intensity: 100}
	if os.Getpid() == d.stage.Test {
		spec.Defaults = supervisor.Child{InProcess: true}
	}
	for _, name := range names {
		spec.Children = append(spec.Children, supervisor.Child{Name: name, Run: Puppets.With(d.stage)})
	}
	tree, err := supervisor.Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	var refs []actor.Ref[puppet]
	for _, name := range names {
		r, err := Puppets.Lookup(tree, name)
		if err != nil {
			return nil, err
		}
		refs = append(refs, r)
	}
	return refs, nil
}

func (d *director) End(context.Context, actor.None) (int, error) {
	killSelf(d.stage.Test)
	return 0, nil
}

var (
	Directors    = actor.Define("director", func(_ context.Context, s stage) (*director, error) { return &director{s}, nil })
	DirectorHire = actor.DefineMethod(Directors, "hire", (*director).Hire)
	DirectorEnd  = actor.DefineMethod(Directors, "end", (*director).End)
)

// A reference in a message is as good as one's own: the receiver calls the
// actor directly, also across two levels of processes, both ways.
func TestReferencesInMessages(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "d", Run: Directors.With(b.stage())}, supervisor.Child{Name: "e", Run: Directors.With(b.stage())}, supervisor.Child{Name: "p", Run: Puppets.With(b.stage())})
		d, e := must(Directors.Lookup(b.tree, "d")), must(Directors.Lookup(b.tree, "e"))
		in, err := DirectorHire.Call(b.ctx, d, []string{"x", "y"})
		b.must(err)
		other, err := DirectorHire.Call(b.ctx, e, []string{"z"})
		b.must(err)
		x, y, z, p := in[0], in[1], other[0], b.ref("p")
		if x.Path() != "/d/cast/x" || z.Path() != "/e/cast/z" {
			b.Fatal(x, z)
		}
		for _, route := range [][]actor.Ref[puppet]{{x}, {p, x}, {x, p}, {x, y}, {y, z}, {z, x, p}, {p, z, y, x}} {
			check(b, "there")(PuppetRelay.Call(b.ctx, route[0], relay{Note: "there", Route: route[1:]}))
			for range route {
				b.diary.expect("there")
			}
		}
		// A death far away is known here, with its reason.
		_, err = PuppetRelay.Call(b.ctx, p, relay{Note: "x", Then: "panic", Route: []actor.Ref[puppet]{z}})
		if exit := b.exit(err); exit.Path != "/e/cast/z" || exit.Reason != actor.ReasonPanic || exit.Begun != actor.BegunYes {
			b.Fatalf("%#v", exit)
		}
		b.diary.expect("x", "x")
		check(b, 0)(PuppetAdd.Call(b.ctx, z, 0)) // and it has a replacement
		// The end of the process above is the end of those below; they come
		// back only if somebody hires them again.
		_, err = DirectorEnd.Call(b.ctx, d, actor.None{})
		b.exit(err)
		ctx, cancel := context.WithCancel(b.ctx)
		defer cancel()
		_, err = PuppetAdd.Call(ctx, x, 1)
		if err == nil {
			b.Fatal("it answered")
		}
		_, err = DirectorHire.Call(b.ctx, d, []string{"x"})
		b.must(err)
		check(b, 1)(PuppetAdd.Call(b.ctx, x, 1))
	})
}

// Links are direct: those between siblings work while their parent stands
// still.
func TestSiblingsOfAStoppedParent(t *testing.T) {
	inProcesses(t, func(b *bed) {
		b.start(supervisor.Child{Name: "d", Run: Directors.With(b.stage())})
		in, err := DirectorHire.Call(b.ctx, must(Directors.Lookup(b.tree, "d")), []string{"x", "y"})
		b.must(err)
		there := relay{Note: "there", Route: []actor.Ref[puppet]{in[1]}}
		check(b, "there")(PuppetRelay.Call(b.ctx, in[0], there)) // the introduction
		pid := b.pid("d")
		b.must(syscall.Kill(pid, syscall.SIGSTOP))
		defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
		for range 10 {
			check(b, "there")(PuppetRelay.Call(b.ctx, in[0], there))
		}
	})
}

// A pinned reference does not follow restarts.
func TestPin(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet()
		pin := must(p.Pin(b.ctx))
		inc, pinned := pin.Pinned()
		if _, loose := p.Pinned(); !pinned || loose || pin == p || pin.Path() != p.Path() || inc != b.list()[0].Incarnation {
			b.Fatal(p, pin)
		}
		check(b, 1)(PuppetAdd.Call(b.ctx, pin, 1))
		g := b.gate()
		b.must(PuppetAct.Cast(b.ctx, p, act{Note: "held", Gate: g.path, Then: "die"}))
		b.diary.expect("held")
		waiting := PuppetAct.Go(b.ctx, pin, act{Note: "for the first"})
		b.must(PuppetAct.Cast(b.ctx, pin, act{Note: "for the first"}))
		b.must(PuppetAct.Cast(b.ctx, p, act{Note: "for anybody"}))
		g.open()
		b.diary.expect("for anybody")
		_, err := waiting.Result()
		b.is(err, actor.ErrNotRunning)
		_, err = PuppetAdd.Call(b.ctx, pin, 1)
		b.is(err, actor.ErrNotRunning)
		for range 2 { // the one in hand, and the one that was pinned
			b.events.wait(actor.EventDeadLetter, "/p")
		}
		check(b, 1)(PuppetAdd.Call(b.ctx, p, 1))
		if again := must(p.Pin(b.ctx)); again == pin {
			b.Fatal("the second life has the first one's name")
		}
		// It is pinned in a message, too.
		check(b, "")(PuppetRelay.Call(b.ctx, p, relay{}))
		b.diary.nothing()
	})
}

// A monitor sees each life end exactly once.
func TestMonitor(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet()
		seen := make(chan actor.Down, 16)
		done := make(chan struct{})
		downs := p.Monitor(b.ctx)
		pin := must(p.Pin(b.ctx))
		pinned := pin.Monitor(b.ctx)
		go func() {
			defer close(done)
			for d, err := range downs {
				if err != nil {
					b.Error(err)
					return
				}
				seen <- d
			}
		}()
		var lives []actor.Incarnation
		for i, how := range []string{"panic", "exit", "exit nil"} {
			lives = append(lives, b.list()[0].Incarnation)
			_, err := PuppetAct.Call(b.ctx, p, act{Then: how})
			b.exit(err)
			d := <-seen
			if want := []actor.Reason{actor.ReasonPanic, actor.ReasonError, actor.ReasonNormal}[i]; d.Reason != want || d.Incarnation != lives[i] || d.Path != "/p" {
				b.Fatalf("%s: %+v", how, d)
			}
			check(b, 0)(PuppetAdd.Call(b.ctx, p, 0))
		}
		b.must(b.tree.StopChild(b.ctx, "p"))
		if d := <-seen; d.Reason != actor.ReasonShutdown {
			b.Fatalf("%+v", d)
		}
		b.must(b.tree.DeleteChild(b.ctx, "p"))
		<-done // gone for good
		if len(seen) > 0 {
			b.Fatalf("one more: %+v", <-seen)
		}
		n := 0
		for d, err := range pinned { // one life, one end
			b.must(err)
			if n++; d.Incarnation != lives[0] {
				b.Fatalf("%+v", d)
			}
		}
		if n != 1 {
			b.Fatalf("%d ends of one life", n)
		}
	})
}

// A monitor in another process than the supervisor's.
func TestMonitorAcrossProcesses(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "d", Run: Directors.With(b.stage())})
		in, err := DirectorHire.Call(b.ctx, must(Directors.Lookup(b.tree, "d")), []string{"x"})
		b.must(err)
		ctx, cancel := context.WithCancel(b.ctx)
		downs := in[0].Monitor(ctx)
		for range 2 {
			_, err = PuppetAct.Call(b.ctx, in[0], act{Then: "panic"})
			b.exit(err)
			check(b, 0)(PuppetAdd.Call(b.ctx, in[0], 0))
		}
		lives := make(map[actor.Incarnation]bool)
		for d, err := range downs {
			if err != nil {
				b.is(err, context.Canceled)
				break
			}
			if lives[d.Incarnation] || d.Reason != actor.ReasonPanic {
				b.Fatalf("%+v", d)
			}
			if lives[d.Incarnation] = true; len(lives) == 2 {
				cancel()
			}
		}
		cancel()
		if len(lives) != 2 {
			b.Fatalf("%d ends", len(lives))
		}
	})
}

// Inboxes: actors send to code that is none.
func TestInbox(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "c", Run: Couriers.With(actor.None{})})
		c := must(Couriers.Lookup(b.tree, "c"))
		in := actor.NewInbox[string](b.tree, 4)
		defer in.Close()
		check(b, "")(Deliver.Call(b.ctx, c, parcel{To: in.Ref(), N: 3}))
		for i := range 3 {
			if got := <-in.C(); got != fmt.Sprint(i) {
				b.Fatalf("%q", got)
			}
		}
		b.must(in.Ref().Send(b.ctx, "own"))
		if got := <-in.C(); got != "own" {
			b.Fatalf("%q", got)
		}
		// Nobody takes them: the sender is told.
		check(b, "full")(Deliver.Call(b.ctx, c, parcel{To: in.Ref(), N: 100}))
		if got := <-in.C(); got != "0" {
			b.Fatalf("%q", got)
		}
		in.Close()
		in.Close()
		if err := in.Ref().Send(b.ctx, "late"); err != nil {
			b.is(err, actor.ErrNotRunning)
		} else {
			b.events.wait(actor.EventDeadLetter, in.Ref().Path())
		}
		if said, err := Deliver.Call(b.ctx, c, parcel{To: in.Ref(), N: 1}); said != "gone" {
			b.must(err)
			b.events.wait(actor.EventDeadLetter, in.Ref().Path())
		}
	})
}

type courier struct{}

type parcel struct {
	To actor.InboxRef[string]
	N  int
}

// Deliver sends N messages; with more than 10 it does not wait.
func (*courier) Deliver(ctx context.Context, p parcel) (string, error) {
	for i := range p.N {
		var err error
		if p.N > 10 {
			err = p.To.TrySend(fmt.Sprint(i))
		} else {
			err = p.To.Send(ctx, fmt.Sprint(i))
		}
		switch {
		case errors.Is(err, actor.ErrMailboxFull):
			return "full", nil
		case errors.Is(err, actor.ErrNotRunning):
			return "gone", nil
		case err != nil:
			return "", err
		}
	}
	return "", nil
}

var (
	Couriers = actor.Define("courier", func(context.Context, actor.None) (*courier, error) { return &courier{}, nil })
	Deliver  = actor.DefineMethod(Couriers, "deliver", (*courier).Deliver)
)

// Timers: a message later, unless its actor has ended by then.
func TestAfter(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "p", Run: Puppets.With(b.stage())}, supervisor.Child{Name: "c", Run: Clocks.With(b.stage()), Restart: supervisor.Transient})
		c := must(Clocks.Lookup(b.tree, "c"))
		check(b, true)(ClockSet.Call(b.ctx, c, alarm{After: time.Millisecond, To: b.ref("p"), Note: "tick"}))
		b.diary.expect("tick") // though the handler's ctx has ended
		check(b, true)(ClockSet.Call(b.ctx, c, alarm{After: time.Hour, To: b.ref("p"), Note: "never", Stop: true}))
		_, err := ClockSet.Call(b.ctx, c, alarm{After: 50 * time.Millisecond, To: b.ref("p"), Note: "too late", End: true})
		b.exit(err)
		actor.After(b.ctx, 100*time.Millisecond, b.ref("p"), PuppetAct, act{Note: "marker"})
		b.diary.expect("marker") // later than what did not come
	})
}

type clock struct{}

type alarm struct {
	After time.Duration
	To    actor.Ref[puppet]
	Note  string
	Stop  bool
	End   bool
}

func (*clock) Set(ctx context.Context, a alarm) (bool, error) {
	t := actor.After(ctx, a.After, a.To, PuppetAct, act{Note: a.Note})
	if a.End {
		actor.Exit(ctx, nil)
	}
	return !a.Stop || t.Stop() && !t.Stop(), nil
}

var (
	Clocks   = actor.Define("clock", func(context.Context, stage) (*clock, error) { return &clock{}, nil })
	ClockSet = actor.DefineMethod(Clocks, "set", (*clock).Set)
)
