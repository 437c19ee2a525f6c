package actor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/supervisor"
)

// faucet is an actor that answers with streams.
type faucet struct{}

// pour is what a stream is asked for.
type pour struct {
	N     int
	Diary string // gets a line for each item that was taken off the handler
	Then  string // after N items: "", error, die, panic
	Test  int
}

func (*faucet) Pour(ctx context.Context, r pour) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range r.N {
			if !yield(i, nil) {
				write(r.Diary, "left: "+context.Cause(ctx).Error())
				return
			}
			if r.Diary != "" {
				write(r.Diary, fmt.Sprint("poured ", i))
			}
		}
		switch r.Then {
		case "error":
			yield(0, fmt.Errorf("dry: %w", io.ErrUnexpectedEOF))
		case "die":
			if os.Getpid() == r.Test {
				panic("dry")
			}
			killSelf(r.Test)
		case "panic":
			panic("dry")
		}
	}
}

// Frames pours arrays.
func (*faucet) Frames(_ context.Context, n int) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		for i := range n {
			a, err := shm.New[int32](2, 3)
			if err == nil {
				for k := range a.Data() {
					a.Data()[k] = int32(100*i + k)
				}
			}
			if !yield(frame{Number: i, Pixels: a}, err) || err != nil {
				return
			}
		}
	}
}

type frame struct {
	Number int
	Pixels shm.Array[int32]
}

func (*faucet) Ping(context.Context, actor.None) (int, error) { return 1, nil }

var (
	Faucets = actor.Define("faucet", func(context.Context, actor.None) (*faucet, error) { return &faucet{}, nil })
	Pour    = actor.DefineStream(Faucets, "pour", (*faucet).Pour)
	Frames  = actor.DefineStream(Faucets, "frames", (*faucet).Frames)
	Ping    = actor.DefineMethod(Faucets, "ping", (*faucet).Ping)
)

func (b *bed) faucet() actor.Ref[faucet] {
	b.Helper()
	b.start(supervisor.Child{Name: "f", Run: Faucets.With(actor.None{})})
	r, err := Faucets.Lookup(b.tree, "f")
	b.must(err)
	return r
}

// drink takes all items and returns how many came in order, and the error.
func drink(b *bed, seq iter.Seq2[int, error]) (n int, err error) {
	b.Helper()
	for v, e := range seq {
		if err != nil {
			b.Fatalf("an item after the error %v", err)
		}
		if e != nil {
			err = e
			continue
		}
		if v != n {
			b.Fatalf("item %d is %d", n, v)
		}
		n++
	}
	return n, err
}

func TestStreams(t *testing.T) {
	everywhere(t, func(b *bed) {
		f := b.faucet()
		for _, n := range []int{0, 1, 63, 64, 65, 1000} {
			check(b, n)(drink(b, Pour.Open(b.ctx, f, pour{N: n})))
		}
		n, err := drink(b, Pour.Open(b.ctx, f, pour{N: 100, Then: "error"}))
		if n != 100 {
			b.Fatalf("%d items before the error", n)
		}
		b.is(err, io.ErrUnexpectedEOF)
		ctx, cancel := context.WithCancel(b.ctx)
		cancel()
		_, err = drink(b, Pour.Open(ctx, f, pour{N: 1}))
		b.is(err, context.Canceled)
		check(b, 1)(Ping.Call(b.ctx, f, actor.None{}))
	})
}

// Leaving the loop cancels the handler.
func TestLeavingAStream(t *testing.T) {
	everywhere(t, func(b *bed) {
		f := b.faucet()
		for v, err := range Pour.Open(b.ctx, f, pour{N: 1 << 30, Diary: b.diary.path}) {
			b.must(err)
			if v == 3 {
				break
			}
		}
		for {
			if line := b.diary.next(); line == "left: the caller has given up" {
				break
			}
		}
		check(b, 1)(Ping.Call(b.ctx, f, actor.None{})) // the slot is free
		// So does the end of its ctx, whoever ended it.
		ctx, cancel := context.WithCancelCause(b.ctx)
		defer cancel(nil)
		cause := errors.New("thirst is quenched")
		n := 0
		var last error
		for _, err := range Pour.Open(ctx, f, pour{N: 1 << 30}) {
			if n++; n == 100 {
				cancel(cause)
			}
			last = err
		}
		b.is(last, cause)
		check(b, 1)(Ping.Call(b.ctx, f, actor.None{}))
	})
}

// A slow reader slows the writer: its lead is bounded.
func TestSlowReader(t *testing.T) {
	everywhere(t, func(b *bed) {
		f := b.faucet()
		const lead = 64 + 1 // the window, and the item that waits for credit
		poured := 0
		n := 0
		for v, err := range Pour.Open(b.ctx, f, pour{N: 1000, Diary: b.diary.path}) {
			b.must(err)
			if v == 0 || v == 500 {
				// Whatever the writer does while we do not read, it does now: it
				// reaches the end of its window and no farther.
				for poured < map[int]int{0: 64, 500: 532}[v] {
					b.diary.expect(fmt.Sprint("poured ", poured))
					poured++
				}
			}
			for more := true; more; {
				select {
				case line := <-b.diary.lines:
					if want := fmt.Sprint("poured ", poured); line != want {
						b.Fatalf("%q, want %q", line, want)
					}
					poured++
				default:
					more = false
				}
			}
			if poured > v+1+lead+32 { // credit comes in halves of a window
				b.Fatalf("the writer is at %d while the reader is at %d", poured, v)
			}
			n++
		}
		if n != 1000 {
			b.Fatalf("%d items", n)
		}
	})
}

func TestStreamEndsWithItsActor(t *testing.T) {
	everywhere(t, func(b *bed) {
		f := b.faucet()
		for _, how := range []string{"die", "panic"} {
			n, err := drink(b, Pour.Open(b.ctx, f, pour{N: 10, Then: how, Test: os.Getpid()}))
			x := b.exit(err)
			if n != 10 || x.Begun != actor.BegunYes || x.Path != "/f" {
				b.Fatalf("%d items, %#v", n, x)
			}
		}
		check(b, 3)(drink(b, Pour.Open(b.ctx, f, pour{N: 3})))
	})
}

func TestStreamOfArrays(t *testing.T) {
	everywhere(t, func(b *bed) {
		f := b.faucet()
		n := 0
		for v, err := range Frames.Open(b.ctx, f, 200) {
			b.must(err)
			if v.Number != n || len(v.Pixels.Data()) != 6 || v.Pixels.Data()[5] != int32(100*n+5) {
				b.Fatalf("frame %d is %d: %v", n, v.Number, v.Pixels.Data())
			}
			v.Pixels.Release() // it belongs to the reader
			n++
		}
		if n != 200 {
			b.Fatal(n)
		}
		for v, err := range Frames.Open(b.ctx, f, 1<<20) { // left early: what nobody took is released
			b.must(err)
			v.Pixels.Release()
			break
		}
		check(b, 1)(Ping.Call(b.ctx, f, actor.None{}))
	})
}
