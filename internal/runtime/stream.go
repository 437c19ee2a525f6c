package runtime

import (
	"context"
	"errors"
	"sync"

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
	var value []byte
	if err = m.Err; err == nil {
		_, value, err = codec.ParseItem(m.Params)
	}
	if err != nil {
		m.Drop()
		return nil, nil, err
	}
	return value, m, nil
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

// item takes one item off a connection.
func (s *sender) item(m *conn.Incoming) {
	id, _, err := codec.ParseItem(m.Params)
	if err != nil {
		return
	}
	s.mu.Lock()
	call := s.calls[uint32(id)]
	s.mu.Unlock()
	if call != nil && call.items != nil {
		call.items.put(m.Take())
		s.poller.Done(&call.items.wait)
		if call.pooled != nil {
			call.pooled.received()
		}
	}
}

// more lets the writer send n further items.
func (s *sender) more(call *call, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.calls[call.id] == call {
		s.current.tell(ctlMore, codec.Params(uint64(call.id), uint64(n)))
	}
}

// itemQueue holds the items that the reader has not taken: at most a window.
type itemQueue struct {
	mu      sync.Mutex
	items   []*conn.Incoming
	ended   bool
	dropped bool
	moved   bool // the message goes to another worker of its pool
	wait    conn.Waiter
}

// errMoved: the items will come by another connection.
var errMoved = errors.New("moved to another worker")

// Over reports whether there is something to take.
func (q *itemQueue) Over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended || q.moved || len(q.items) > 0
}

func newItemQueue() *itemQueue {
	q := &itemQueue{}
	q.wait.For, q.wait.Changed = q, make(chan struct{}, 1)
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
}

func (q *itemQueue) end() {
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
}

// next returns the next item; nil at the end.
func (q *itemQueue) next(ctx context.Context, s *sender) (*conn.Incoming, error) {
	for {
		q.mu.Lock()
		if len(q.items) > 0 {
			m := q.items[0]
			q.items[0] = nil
			q.items = q.items[1:]
			q.mu.Unlock()
			return m, nil
		}
		ended, moved := q.ended, q.moved
		q.mu.Unlock()
		if ended {
			return nil, nil
		}
		if moved {
			return nil, errMoved
		}
		if ctx.Err() != nil {
			return nil, port.ContextError(ctx)
		}
		s.poller.Wait(ctx, &q.wait, s.stuck(ctx))
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
