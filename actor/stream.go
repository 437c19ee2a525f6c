package actor

import (
	"context"
	"iter"
	"sync"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
)

// streamWindow is how many items a writer may be ahead of its reader.
const streamWindow = 64

// Stream is a typed method of kind K that answers with a sequence of items.
type Stream[K, Req, Item any] struct {
	kind *kindCore
	name string
	as   Method[K, Req, Item] // the call that opens it
}

// NewStream declares a stream in the frontend of a kind: the split form.
func NewStream[Req, Item, K, A any](k *Kind[K, A], name string) *Stream[K, Req, Item] {
	mustTravel[Req]("stream %q of kind %q: the request", name, k.core.name)
	mustTravel[Item]("stream %q of kind %q: the item", name, k.core.name)
	k.core.declare(name)
	s := &Stream[K, Req, Item]{kind: k.core, name: name}
	s.as.kind, s.as.name = k.core, name
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
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		call := newCall()
		call.items = &itemQueue{}
		call.items.wait.For, call.items.wait.Changed = call.items, make(chan struct{}, 1)
		c, err := s.as.open(ctx, ref, req, call)
		if err != nil {
			yield(zero, sendError("stream", s.name, ref.to.path, err))
			return
		}
		inv := waits(ctx, c, call)
		defer func() {
			inv.waited(call)
			cancel()
			if r, err := c.await(ctx, call); err == nil {
				r.Drop()
			}
			call.items.drop()
		}()
		taken := 0
		for {
			in, err := call.items.next(ctx, c)
			if err != nil {
				yield(zero, sendError("stream", s.name, ref.to.path, err))
				return
			}
			if in == nil {
				break
			}
			item, err := decodeItem(c, &s.as.resp, in)
			if !yield(item, err) || err != nil {
				return
			}
			if taken++; taken == streamWindow/2 {
				c.more(call, taken)
				taken = 0
			}
		}
		res := call.result()
		if res.err != nil {
			yield(zero, sendError("stream", s.name, ref.to.path, res.err))
		} else if res.reply.Err != nil {
			yield(zero, decodeRemote(s.kind, c.path, s.name, res.reply.Err))
		}
	}
}

func (m *Method[K, Req, Resp]) open(ctx context.Context, ref Ref[K], req Req, call *call) (*client, error) {
	if ref.to.sys == nil {
		return nil, ErrUnbound
	}
	if ctx.Err() != nil {
		return nil, contextError(ctx)
	}
	c := ref.to.sys.client(ref.to)
	msg, err := encode(ctx, c, m.name, &m.req, &req, call, ref.to.pin)
	if err != nil {
		return nil, err
	}
	call.msg = msg
	return c, c.send(ctx, msg, call, false)
}

func decodeItem[Item any](c *client, coding *codec.Codec[Item], in *conn.Incoming) (item Item, err error) {
	defer in.Drop()
	if in.Err != nil {
		return item, in.Err
	}
	_, value, err := codec.ParseItem(in.Params)
	if err != nil {
		return item, err
	}
	src := codec.GetSource()
	defer codec.PutSource(src)
	src.B, src.Segments, src.Context = value, in.Segments, c.sys
	if err := coding.Decode(src, &item); err != nil {
		src.AutoRelease()
		return item, err
	}
	return item, nil
}

// item takes one item off a link.
func (c *client) item(m *conn.Incoming) {
	id, _, err := codec.ParseItem(m.Params)
	if err != nil {
		return
	}
	c.mu.Lock()
	call := c.calls[uint32(id)]
	c.mu.Unlock()
	if call != nil && call.items != nil {
		call.items.put(m.Take())
		c.poller.Done(&call.items.wait)
	}
}

// more lets the writer send n further items.
func (c *client) more(call *call, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != nil && c.calls[call.id] == call {
		_ = c.link.peer.Notify(ctlMore, codec.Params(uint64(call.id), uint64(n)))
	}
}

// itemQueue holds the items that the reader has not taken: at most a window.
type itemQueue struct {
	mu      sync.Mutex
	items   []*conn.Incoming
	ended   bool
	dropped bool
	wait    conn.Waiter
}

// Over reports whether there is something to take.
func (q *itemQueue) Over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended || len(q.items) > 0
}

func (q *itemQueue) put(m *conn.Incoming) {
	q.mu.Lock()
	if q.dropped || q.ended || len(q.items) >= streamWindow {
		m.Drop() // a writer that ignores its credit loses what is too much
	} else {
		q.items = append(q.items, m)
	}
	q.mu.Unlock()
}

func (q *itemQueue) end() {
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
}

// next returns the next item; nil at the end.
func (q *itemQueue) next(ctx context.Context, c *client) (*conn.Incoming, error) {
	for {
		q.mu.Lock()
		if len(q.items) > 0 {
			m := q.items[0]
			q.items[0] = nil
			q.items = q.items[1:]
			q.mu.Unlock()
			return m, nil
		}
		ended := q.ended
		q.mu.Unlock()
		if ended {
			return nil, nil
		}
		if ctx.Err() != nil {
			return nil, contextError(ctx)
		}
		c.poller.Wait(ctx, &q.wait, c.stuck(ctx))
	}
}

func (q *itemQueue) drop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropped = true
	for _, m := range q.items {
		m.Drop()
	}
	q.items = nil
}
