package actor

import (
	"context"
	"iter"

	"github.com/understudy-go/understudy/internal/port"
)

// Stream is a typed method of kind K that answers with a sequence of items.
type Stream[K, Req, Item any] struct {
	name string
	as   Method[K, Req, Item] // the call that opens it
}

// DeclareStream declares a stream in the frontend of a kind: the split form. It
// panics if values of type Req or Item cannot travel.
func DeclareStream[Req, Item, K, A any](k *Kind[K, A], name string) *Stream[K, Req, Item] {
	mustTravel[Req]("stream %q of kind %q: the request", name, k.kind.Name)
	mustTravel[Item]("stream %q of kind %q: the item", name, k.kind.Name)
	k.kind.Declare(name)
	s := &Stream[K, Req, Item]{name: name}
	s.as.kind, s.as.name = k.kind, name
	return s
}

// Name returns the name of the stream on the wire.
func (s *Stream[K, Req, Item]) Name() string { return s.name }

// Open starts the stream when the caller begins to range over the result.
// Leaving the loop cancels the handler; a slow reader slows it. An error, as
// [Method.Call] would return it, is the last item.
func (s *Stream[K, Req, Item]) Open(ctx context.Context, ref Ref[K], req Req) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		var zero Item
		to := ref.to.target()
		items, err := s.open(ctx, to, ref, &req)
		if err != nil {
			yield(zero, sendError("stream", s.name, to, err))
			return
		}
		defer items.Close()
		for {
			value, m, err := items.Next(ctx)
			if err != nil {
				yield(zero, sendError("stream", s.name, to, err))
				return
			}
			if m == nil {
				break
			}
			var item Item
			err = decode(to, &s.as.resp, value, m.Segments, &item)
			m.Drop()
			if !yield(item, err) || err != nil {
				return
			}
			items.Taken()
		}
		if raw, err := items.End(); err != nil {
			yield(zero, sendError("stream", s.name, to, err))
		} else if raw != nil {
			yield(zero, to.RemoteError(s.name, raw))
		}
	}
}

func (s *Stream[K, Req, Item]) open(ctx context.Context, to port.Target, ref Ref[K], req *Req) (port.Stream, error) {
	buf, id, err := s.as.begin(ctx, to, req, true)
	if err != nil {
		return nil, err
	}
	return to.Open(ctx, s.name, id, buf, ref.to.pin)
}
