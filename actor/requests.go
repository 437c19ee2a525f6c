package actor

import (
	"context"
	"fmt"
	"sync"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
)

// Request is what an actor's process asks of the process that supervises it,
// outside of this library's calls: MessagePack-RPC in the other direction, as
// editors and language servers use it.
type Request struct {
	Path   string // the actor that asks
	Method string
	Params []any // decoded
	Call   bool  // an answer is awaited; a notification has none
}

// OnRequest gives what an [External] actor itself requests to serve, one request
// after the other, with a context that ends with the actor. The result or the
// error goes back to it. Without this option requests are answered with an
// error, and notifications are dropped.
func OnRequest(serve func(ctx context.Context, r Request) (any, error)) KindOption {
	return func(k *kindCore) { k.requests = serve }
}

// maxPeerRequests bounds the requests of one process that wait here.
const maxPeerRequests = 1024

// requestQueue serves the requests of one process in order.
type requestQueue struct {
	b      *processBody
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	waiting []*conn.Incoming
	running bool
	ended   bool
}

func newRequestQueue(b *processBody) *requestQueue {
	q := &requestQueue{b: b}
	q.ctx, q.cancel = context.WithCancel(b.i.sys.ctx)
	return q
}

// put takes a request; too many at once are refused.
func (q *requestQueue) put(m *conn.Incoming) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.ended:
		m.Drop()
	case q.b.i.kind.requests == nil:
		q.refuse(m, fmt.Errorf("method %q: %w", m.Method, ErrUnknown))
	case len(q.waiting) >= maxPeerRequests:
		q.refuse(m, fmt.Errorf("method %q: %w", m.Method, ErrMailboxFull))
	default:
		q.waiting = append(q.waiting, m)
		if !q.running {
			q.running = true
			go q.serve()
		}
	}
}

func (q *requestQueue) refuse(m *conn.Incoming, err error) {
	defer m.Drop()
	if m.Call {
		_ = q.b.conn.Respond(m.ID, q.b.foreignError(err), nil, nil)
	}
}

func (q *requestQueue) serve() {
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 || q.ended {
			q.running = false
			q.mu.Unlock()
			return
		}
		m := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
		q.answer(m)
	}
}

func (q *requestQueue) answer(m *conn.Incoming) {
	defer m.Drop()
	r := Request{Path: q.b.i.path, Method: m.Method, Call: m.Call}
	result, err := any(nil), codec.Decode(newSource(m.Params, m.Segments, q.b.i.sys), &r.Params)
	if err == nil {
		result, err = q.b.i.kind.requests(q.ctx, r)
	}
	if !m.Call {
		return
	}
	buf := q.b.i.sys.buffer()
	defer codec.PutBuffer(buf)
	if err == nil {
		err = codec.Encode(buf, result, false)
	}
	if err != nil {
		_ = q.b.conn.Respond(m.ID, q.b.foreignError(err), nil, nil)
		return
	}
	_ = q.b.conn.Respond(m.ID, nil, buf.B, buf.Segments)
}

// close drops what waits. A request that is being served finds its ctx ended.
func (q *requestQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.cancel()
	for _, m := range q.waiting {
		m.Drop()
	}
	q.waiting = nil
}
