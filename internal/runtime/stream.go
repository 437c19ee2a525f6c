package runtime

import (
	"context"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/port"
)

// stream is a request that is answered by a sequence of items, at the reader.
type stream struct {
	call  *call
	inv   *invocation // that reads, if a handler does
	taken int         // items since the writer was told
}

// Next implements [port.Stream].
func (s *stream) Next(ctx context.Context) ([]byte, *conn.Incoming, error) {
	m, err := s.call.items.next(ctx, s.call.from)
	if err != nil || m == nil {
		return nil, nil, err
	}
	var frame itemFrame
	if err = m.Err; err == nil {
		err = codec.DecodeControl(m.Params, &frame)
	}
	if err != nil {
		m.Drop()
		return nil, nil, err
	}
	return frame.Value, m, nil
}

// Taken implements [port.Stream].
func (s *stream) Taken() {
	if s.taken++; s.taken == port.StreamWindow/2 {
		s.call.from.more(s.call, s.taken)
		s.taken = 0
	}
}

// End implements [port.Stream].
func (s *stream) End() ([]byte, error) {
	res := s.call.result()
	return res.reply.Err, res.err
}

// Close implements [port.Stream].
func (s *stream) Close() {
	s.inv.waited(s.call)
	if res, ended := s.call.from.cancel(s.call); ended && res.err == nil {
		res.reply.Drop()
	}
	s.call.items.drop()
}

// itemFrame is one item on the wire.
type itemFrame struct {
	ID    uint64             `msgpack:"id"`
	Value msgpack.RawMessage `msgpack:"value"`
}

// item takes one item off a link.
func (c *sender) item(m *conn.Incoming) {
	var frame struct {
		ID uint64 `msgpack:"id"`
	}
	if codec.DecodeControl(m.Params, &frame) != nil {
		return
	}
	c.mu.Lock()
	call := c.calls[uint32(frame.ID)]
	c.mu.Unlock()
	if call != nil && call.items != nil {
		call.items.put(m.Take())
		c.guests.Wake()
	}
}

// more lets the writer send n further items.
func (c *sender) more(call *call, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != nil && c.calls[call.id] == call {
		c.link.tell(ctlMore, codec.Params(uint64(call.id), uint64(n)))
	}
}

// itemQueue holds the items that the reader has not taken: at most a window.
type itemQueue struct {
	mu      sync.Mutex
	items   []*conn.Incoming
	ended   bool
	dropped bool
	changed chan struct{}
	wait    conn.Waiter
}

// Over reports whether there is something to take.
func (q *itemQueue) Over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended || len(q.items) > 0
}

func newItemQueue() *itemQueue {
	q := &itemQueue{changed: make(chan struct{}, 1)}
	q.wait = conn.Waiter{For: q, Changed: q.changed}
	return q
}

func (q *itemQueue) put(m *conn.Incoming) {
	q.mu.Lock()
	if q.dropped || q.ended || len(q.items) >= port.StreamWindow {
		m.Drop() // a writer that ignores its credit loses what is too much
	} else {
		q.items = append(q.items, m)
	}
	q.mu.Unlock()
	q.wake()
}

func (q *itemQueue) wake() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

func (q *itemQueue) end() {
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
	q.wake()
}

// next returns the next item; nil at the end.
func (q *itemQueue) next(ctx context.Context, c *sender) (*conn.Incoming, error) {
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
			return nil, port.ContextError(ctx)
		}
		c.guests.Wait(ctx, &q.wait, c.stuck(ctx))
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
