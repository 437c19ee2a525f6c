package actor_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/supervisor"
)

// parrot says what it is told.
type parrot struct{}

func (parrot) Say(_ context.Context, b []byte) ([]byte, error) { return b, nil }

func (parrot) Repeat(_ context.Context, b []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for range 2 {
			if !yield(b, nil) {
				return
			}
		}
	}
}

var (
	Parrots = actor.Define("parrot", func(context.Context, actor.NoArgs) (*parrot, error) { return &parrot{}, nil })
	Say     = actor.Handle(Parrots, "say", func(p *parrot, ctx context.Context, b []byte) ([]byte, error) { return p.Say(ctx, b) })
	Repeat  = actor.HandleStream(Parrots, "repeat", func(p *parrot, ctx context.Context, b []byte) iter.Seq2[[]byte, error] { return p.Repeat(ctx, b) })
)

// TestLargeMessages: what does not fit inline travels all the same, as a
// request, a response and an item of a stream; the limit is the system's.
func TestLargeMessages(t *testing.T) {
	everywhere(t, func(b *bed) {
		const limit = wire.DefaultInline * 2
		b.startSpec(supervisor.Spec{MaxMessage: limit, Children: []supervisor.Child{supervisor.Actor(Parrots, "polly", actor.NoArgs{})}})
		polly, err := Parrots.Ref(b.tree, "polly")
		if err != nil {
			b.Fatal(err)
		}
		large := bytes.Repeat([]byte("understudy"), (wire.DefaultInline+1<<20)/10)
		if got, err := Say.Call(b.ctx, polly, large); err != nil || !bytes.Equal(got, large) {
			b.Errorf("said %d bytes and heard %d: %v", len(large), len(got), err)
		}
		items := 0
		for got, err := range Repeat.Open(b.ctx, polly, large) {
			if err != nil || !bytes.Equal(got, large) {
				b.Fatalf("said %d bytes and heard %d: %v", len(large), len(got), err)
			}
			items++
		}
		if items != 2 {
			b.Errorf("heard it %d times", items)
		}
		if _, err := Say.Call(b.ctx, polly, make([]byte, limit)); !errors.Is(err, actor.ErrTooLarge) || !strings.Contains(err.Error(), "/polly") {
			b.Errorf("a message over the limit: %v", err)
		}
	})
}

// hoarder keeps what its constructor was given.
type hoarder struct{ n int }

func newHoarder(_ context.Context, b []byte) (*hoarder, error) { return &hoarder{len(b)}, nil }

func (h *hoarder) Size(context.Context, actor.NoArgs) (int, error) { return h.n, nil }

var (
	Hoarders = actor.Define("hoarder", newHoarder)
	Hoarded  = actor.Handle(Hoarders, "size", (*hoarder).Size)
)

func TestLargeArguments(t *testing.T) {
	everywhere(t, func(b *bed) {
		const size = wire.DefaultInline + 1<<20
		b.start(supervisor.Actor(Hoarders, "h", make([]byte, size)))
		h, err := Hoarders.Ref(b.tree, "h")
		if err != nil {
			b.Fatal(err)
		}
		if n, err := Hoarded.Call(b.ctx, h, actor.NoArgs{}); err != nil || n != size {
			b.Fatalf("constructed with %d bytes, it got %d: %v", size, n, err)
		}
	})
}
