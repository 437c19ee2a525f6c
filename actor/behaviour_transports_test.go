package actor_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// What could go wrong where messages lie in memory that two processes share,
// and the reader is whoever waits. The promises are those of all modes.

// The transport that a system asks for is the one that its first message takes:
// otherwise the suite would run twice over the same.
func TestTransports(t *testing.T) {
	inProcesses(t, func(b *bed) {
		p := b.puppet()
		check[int](b, 1)(PuppetAdd.Call(b.ctx, p, 1))
		maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", b.pid("p")))
		b.must(err)
		if rings := strings.Contains(string(maps), "understudy-ring"); rings != (b.transport == "ring") {
			b.Errorf("rings: %v", rings)
		}
	})
}

// mirror reads what others show.
type mirror struct{ kept [][]byte }

var (
	Mirrors = actor.Define("mirror", func(context.Context, actor.None) (*mirror, error) { return &mirror{}, nil })
	Keep    = actor.DefineMethod(Mirrors, "keep", func(m *mirror, _ context.Context, b []byte) (int, error) {
		m.kept = append(m.kept, b)
		return len(m.kept), nil
	})
	Kept  = actor.DefineMethod(Mirrors, "kept", func(m *mirror, _ context.Context, i int) ([]byte, error) { return m.kept[i], nil })
	Count = actor.DefineStream(Mirrors, "count", func(_ *mirror, _ context.Context, n int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
		}
	})

	Look *actor.Method[mirror, look, int] // it refers to the kind, and is set in init
)

// look counts what the one who is shown counts, after gate.
type look struct {
	At   actor.Ref[mirror]
	Note string
	Gate string
	stage
}

// Flood casts to a puppet: the first when there is a connection, the others without
// waiting for room.
var Flood = actor.DefineMethod(Mirrors, "flood", func(_ *mirror, ctx context.Context, f flood) (int, error) {
	err := PuppetAct.Cast(ctx, f.At, act{Note: "0"})
	for i := 1; i < f.N && err == nil; i++ {
		err = PuppetAct.TryCast(f.At, act{Note: fmt.Sprint(i)})
	}
	return f.N, err
})

type flood struct {
	At actor.Ref[puppet]
	N  int
}

func init() {
	Look = actor.DefineMethod(Mirrors, "look", func(_ *mirror, ctx context.Context, l look) (n int, err error) {
		write(l.Diary, l.Note)
		pass(l.Gate)
		for _, err := range Count.Open(ctx, l.At, 200) {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	})
}

func (b *bed) mirror(id string) actor.Ref[mirror] {
	b.Helper()
	r, err := Mirrors.Lookup(b.tree, id)
	b.must(err)
	return r
}

// A stream that waits for itself is refused as a call is, and so are two that
// cross.
func TestStreamCycle(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "a", Run: Mirrors.With(actor.None{})}, supervisor.Child{Name: "z", Run: Mirrors.With(actor.None{})})
		a, z := b.mirror("a"), b.mirror("z")
		check[int](b, 200)(Look.Call(b.ctx, a, look{At: z}))
		_, err := Look.Call(b.ctx, a, look{At: a})
		b.is(err, actor.ErrCallCycle)
		b.events.none(actor.EventDeadlock)
		g := b.gate()
		one := Look.Go(b.ctx, a, look{At: z, Note: "one", Gate: g.path, stage: b.stage()})
		b.diary.expect("one")
		two := Look.Go(b.ctx, z, look{At: a, Note: "two", Gate: g.path, stage: b.stage()})
		b.diary.expect("two")
		g.open()
		_, err1 := one.Result()
		_, err2 := two.Result()
		if (err1 == nil) == (err2 == nil) {
			b.Fatal(err1, err2)
		}
		b.is(cmpOr(err1, err2), actor.ErrCallCycle)
	})
}

func cmpOr(errs ...error) error {
	return errs[slices.IndexFunc(errs, func(err error) bool { return err != nil })]
}

// What a handler was given is its own for ever, and what a caller was answered
// likewise, however often the memory that it came in is used again.
func TestBytesAreKept(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "m", Run: Mirrors.With(actor.None{})})
		m := b.mirror("m")
		const n = 200
		of := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1+i*7%900) }
		for i := range n {
			check[int](b, i+1)(Keep.Call(b.ctx, m, of(i)))
		}
		var got [][]byte
		for i := range n {
			p, err := Kept.Call(b.ctx, m, i)
			b.must(err)
			got = append(got, p)
		}
		for i := range n {
			if !bytes.Equal(got[i], of(i)) {
				b.Fatalf("the bytes of message %d are %x", i, got[i])
			}
		}
	})
}

// Hundreds of messages wait for an actor that dies with one in hand: its
// replacement gets each of the others, once and in order.
func TestHundredsSurviveADeath(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet()
		g := b.gate()
		killer := PuppetAct.Go(b.ctx, p, act{Note: "killer", Gate: g.path, Then: map[bool]string{true: "die", false: "panic"}[b.process]})
		b.diary.expect("killer")
		const n = 900
		var want []string
		for i := range n {
			want = append(want, fmt.Sprint(i))
			b.must(PuppetAct.TryCast(p, act{Note: want[i], Fill: make([]byte, i%200)}))
		}
		g.open()
		_, err := killer.Result()
		b.exit(err)
		b.diary.expect(want...)
		b.diary.nothing()
	})
}

// A cancellation, a deadline and an orderly stop reach a handler although
// hundreds of messages wait unread before it.
func TestBusyHandlerIsReached(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet()
		fill := func() {
			for range 300 {
				b.must(PuppetAdd.TryCast(p, 1))
			}
		}
		ctx, cancel := context.WithCancel(b.ctx)
		held := PuppetAct.Go(ctx, p, act{Note: "held", Then: "ctx"})
		b.diary.expect("held")
		fill()
		cancel()
		b.diary.expect("ctx: the caller has given up")
		_, err := held.Result()
		b.is(err, context.Canceled)
		check[int](b, 300)(PuppetAdd.Call(b.ctx, p, 0))

		held = PuppetAct.Go(b.ctx, p, act{Note: "stopped", Then: "ctx"})
		b.diary.expect("stopped")
		fill()
		b.must(b.tree.StopChild(b.ctx, "p"))
		b.diary.expect("ctx: " + actor.ErrStopping.Error())
		_, err = held.Result()
		if err == nil {
			b.Fatal("the call that was stopped ended well")
		}
	})
}

// A stop with Drain serves what waits, wherever it lies: what a sibling sent is
// in memory that the stop, which comes from the parent, does not touch. By
// socket it may still be on its way, and then it stays with its sender.
func TestDrainOfHundreds(t *testing.T) {
	inProcesses(t, func(b *bed) {
		if b.transport != "ring" {
			b.Skip("not promised")
		}
		b.start(supervisor.Child{Name: "p", Run: Puppets.With(b.stage()), Drain: true}, supervisor.Child{Name: "m", Run: Mirrors.With(actor.None{})})
		g := b.gate()
		b.must(PuppetAct.Cast(b.ctx, b.ref("p"), act{Note: "first", Gate: g.path}))
		b.diary.expect("first")
		const n = 500
		check[int](b, n)(Flood.Call(b.ctx, b.mirror("m"), flood{b.ref("p"), n}))
		stopped := make(chan error, 1)
		go func() { stopped <- b.tree.StopChild(b.ctx, "p") }()
		for b.list()[0].State != "stopping" {
			b.must(b.ctx.Err())
		}
		g.open()
		for i := range n {
			b.diary.expect(fmt.Sprint(i))
		}
		b.must(<-stopped)
		b.diary.nothing()
		b.events.none(actor.EventDeadLetter)
	})
}

// Choirs are puppets with many hands.
var (
	Choirs = actor.Define("choir", newPuppet, actor.KindOptions{Concurrent: voices})
	Chant  = actor.DefineMethod(Choirs, "sing", (*puppet).Act)
)

const voices = 8

// Every slot of a concurrent actor works, whoever found the message: all hands
// hold, and what waits behind them is taken up by those that come free, again
// and again.
func TestNoSlotIsForgotten(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "c", Run: Choirs.With(b.stage())})
		c, err := Choirs.Lookup(b.tree, "c")
		b.must(err)
		for range 10 {
			g := b.gate()
			var calls []*actor.Future[string]
			for range voices {
				calls = append(calls, Chant.Go(b.ctx, c, act{Note: "in", Gate: g.path}))
			}
			for range voices {
				b.diary.expect("in") // all at once: none of them passes
			}
			for range voices {
				calls = append(calls, Chant.Go(b.ctx, c, act{Note: "next"}))
			}
			g.open()
			for _, f := range calls {
				_, err := f.Result()
				b.must(err)
			}
			for range voices {
				b.diary.expect("next")
			}
		}
	})
}

// An actor that is ending takes no rings any more, and that is nothing to
// report: the event is for a machine that cannot have any.
func TestRingsForAnEndingActor(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("process mode needs Linux")
	}
	b := newBed(t, true, "auto")
	b.start(supervisor.Child{Name: "m", Run: Mirrors.With(actor.None{})})
	m, g := b.mirror("m"), b.gate()
	held := Linger.Go(b.ctx, m, act{Gate: g.path, Note: b.diary.path})
	b.diary.expect("in hand")
	stopped := make(chan error, 1)
	go func() { stopped <- b.tree.StopChild(b.ctx, "m") }()
	b.diary.expect("lingering")
	for range 100 { // enough to earn rings
		b.must(Keep.TryCast(m, nil))
	}
	g.open()
	_, err := held.Result()
	b.must(err)
	b.must(<-stopped)
}

// Linger lasts longer than its ctx.
var Linger = actor.DefineMethod(Mirrors, "linger", func(_ *mirror, ctx context.Context, a act) (int, error) {
	write(a.Note, "in hand")
	<-ctx.Done()
	write(a.Note, "lingering")
	pass(a.Gate)
	return 0, nil
})
