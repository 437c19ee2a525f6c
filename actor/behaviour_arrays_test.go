package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/supervisor"
)

// gallery is an actor that deals in arrays.
type gallery struct{ kept shm.Array[float64] }

type picture = shm.Array[float64]

func total(a picture) (sum float64) {
	for _, v := range a.Data() {
		sum += v
	}
	return sum
}

func (g *gallery) Sum(_ context.Context, a picture) (float64, error) { return total(a), nil }

// Keep keeps what it gets; Show says what it has.
func (g *gallery) Keep(_ context.Context, a picture) (actor.None, error) {
	g.kept = a.Keep()
	return actor.None{}, nil
}

// Forget holds on to what it gets without keeping it.
func (g *gallery) Forget(_ context.Context, a picture) (actor.None, error) {
	g.kept = a
	return actor.None{}, nil
}

func (g *gallery) Show(context.Context, actor.None) (float64, error) {
	if _, err := g.kept.Slice(); err != nil {
		return 0, fmt.Errorf("%w (%v)", errReleased, err)
	}
	return total(g.kept), nil
}

func (g *gallery) Free(context.Context, actor.None) (int, error) {
	g.kept.Release()
	runtime.GC()
	return shm.Stats().Handles, nil
}

// Paint answers with a new array.
func (g *gallery) Paint(_ context.Context, n int) (picture, error) {
	a, err := shm.New[float64](n)
	if err != nil {
		return a, err
	}
	for i := range a.Data() {
		a.Data()[i] = 2
	}
	return a, nil
}

// Scribble writes to what it gets.
func (g *gallery) Scribble(_ context.Context, a picture) (bool, error) {
	a.Data()[0] = 7
	return a.IsShared(), nil
}

// Forward sends what it gets to another one.
func (g *gallery) Forward(ctx context.Context, f forward) (float64, error) {
	return GallerySum.Call(ctx, f.To, f.Picture)
}

type forward struct {
	To      actor.Ref[gallery]
	Picture picture
}

var errReleased = fmt.Errorf("the gallery's array is released: %w", shm.ErrReleased)

var (
	Galleries       = actor.Define("gallery", func(context.Context, actor.None) (*gallery, error) { return &gallery{}, nil }, actor.KindOptions{Errors: []error{shm.ErrReleased}})
	GallerySum      = actor.DefineMethod(Galleries, "sum", (*gallery).Sum)
	GalleryKeep     = actor.DefineMethod(Galleries, "keep", (*gallery).Keep)
	GalleryForget   = actor.DefineMethod(Galleries, "forget", (*gallery).Forget)
	GalleryShow     = actor.DefineMethod(Galleries, "show", (*gallery).Show)
	GalleryFree     = actor.DefineMethod(Galleries, "free", (*gallery).Free)
	GalleryPaint    = actor.DefineMethod(Galleries, "paint", (*gallery).Paint)
	GalleryScribble = actor.DefineMethod(Galleries, "scribble", (*gallery).Scribble)
	GalleryForward  *actor.Method[gallery, forward, float64]
)

func init() { GalleryForward = actor.DefineMethod(Galleries, "forward", (*gallery).Forward) }

func (b *bed) galleries(ids ...string) (refs []actor.Ref[gallery]) {
	b.Helper()
	var children []supervisor.Child
	for _, id := range ids {
		children = append(children, supervisor.Child{Name: id, Run: Galleries.With(actor.None{})})
	}
	b.start(children...)
	for _, id := range ids {
		refs = append(refs, must(Galleries.Lookup(b.tree, id)))
	}
	return refs
}

func filled(n int, v float64) picture {
	a := must(shm.New[float64](n))
	for i := range a.Data() {
		a.Data()[i] = v
	}
	return a
}

// Arrays in requests and replies, and on to a sibling; sent more than once;
// views of one; released by the sender at once.
func TestArrays(t *testing.T) {
	everywhere(t, func(b *bed) {
		refs := b.galleries("g", "h")
		g, h := refs[0], refs[1]
		a := filled(1000, 1)
		check(b, 1000.0)(GallerySum.Call(b.ctx, g, a))
		if !a.Frozen() {
			b.Fatal("it was sent and is not frozen")
		}
		check(b, 1000.0)(GallerySum.Call(b.ctx, g, a))
		check(b, 1000.0)(GallerySum.Call(b.ctx, h, a))
		check(b, 10.0)(GallerySum.Call(b.ctx, g, a.View(5, 15)))
		check(b, 1000.0)(GalleryForward.Call(b.ctx, g, forward{To: h, Picture: a}))
		sum := GallerySum.Go(b.ctx, g, a)
		a.Release() // at once: the message holds the memory
		check(b, 1000.0)(sum.Result())
		if _, err := a.Slice(); err == nil {
			b.Fatal("it was released and can be read")
		}
		_, err := GallerySum.Call(b.ctx, g, a)
		b.is(err, shm.ErrReleased)
		check(b, 0.0)(GallerySum.Call(b.ctx, g, picture{}))

		painted, err := GalleryPaint.Call(b.ctx, g, 500)
		b.must(err)
		if total(painted) != 1000 || !painted.Frozen() {
			b.Fatal(painted)
		}
		check(b, 1000.0)(GallerySum.Call(b.ctx, h, painted)) // what one made, another one reads
		painted.Release()
		b.must(GalleryPaint.Cast(b.ctx, g, 500)) // nobody gets that one: it is let go
	})
}

// What a handler receives is released when it returns, unless it keeps it.
func TestReleaseOfReceivedArrays(t *testing.T) {
	everywhere(t, func(b *bed) {
		g := b.galleries("g")[0]
		a := filled(10, 1)
		defer a.Release()
		_, err := GalleryForget.Call(b.ctx, g, a)
		b.must(err)
		_, err = GalleryShow.Call(b.ctx, g, actor.None{})
		b.is(err, shm.ErrReleased)
		_, err = GalleryKeep.Call(b.ctx, g, a)
		b.must(err)
		check(b, 10.0)(GalleryShow.Call(b.ctx, g, actor.None{}))
		n, err := GalleryFree.Call(b.ctx, g, actor.None{})
		b.must(err)
		if want := map[bool]int{true: 0, false: 1}[b.process]; n != want { // in-process, ours is one
			b.Fatalf("%d handles, want %d", n, want)
		}
	})
}

// A frozen array cannot be written, by nobody; a shared one by all.
func TestWritesToArrays(t *testing.T) {
	everywhere(t, func(b *bed) {
		g := b.galleries("g")[0]
		a := filled(10, 1)
		defer a.Release()
		_, err := GalleryScribble.Call(b.ctx, g, a)
		var p *actor.PanicError
		if x := b.exit(err); x.Reason != actor.ReasonPanic || !errors.As(err, &p) || !strings.Contains(p.Stack, "Scribble") {
			b.Fatalf("%v: %v", x.Reason, err)
		}
		if total(a) != 10 {
			b.Fatal("it was written to")
		}
		check(b, 10.0)(GallerySum.Call(b.ctx, g, a))
		s := must(shm.NewShared[float64](10))
		defer s.Release()
		check(b, true)(GalleryScribble.Call(b.ctx, g, s))
		if total(s) != 7 {
			b.Fatal("what was written there is not seen here")
		}
		s.Data()[1] = 3
		check(b, 10.0)(GallerySum.Call(b.ctx, g, s)) // nor the other way
	})
}

// Arrays of messages that are not begun go to the replacement; those of
// messages that never will be are let go (the leak check says so).
func TestArraysAcrossARestart(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "g", Run: Galleries.With(actor.None{})})
		g := must(Galleries.Lookup(b.tree, "g"))
		a := filled(10, 1)
		defer a.Release()
		if b.process || runtime.GOOS == "linux" {
			crash := GalleryScribble.Go(b.ctx, g, a)
			var sums []*actor.Future[float64]
			for range 20 {
				sums = append(sums, GallerySum.Go(b.ctx, g, a))
			}
			_, err := crash.Result()
			b.exit(err)
			for _, s := range sums {
				check(b, 10.0)(s.Result())
			}
		}
		b.must(b.tree.StopChild(b.ctx, "g"))
		_, err := GallerySum.Call(b.ctx, g, a)
		b.gone(err)
		if n := system(b.tree).Stats().Unbegun; n != 0 {
			b.Fatalf("%d messages wait for nobody", n)
		}
	})
}
