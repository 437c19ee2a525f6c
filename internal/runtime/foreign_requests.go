package runtime

import (
	"context"
	"fmt"
	"sync"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/wire"
)

// The requests of one process that wait here are bounded, and so are the answers
// that it does not read: while there are more, none of its requests is begun.
const (
	maxPeerRequests     = 1024
	maxPeerRequestBytes = 16 << 20
)

// maxRefused is how many bytes may wait for a process that goes on requesting
// while it does not read what is refused. Then it is cut off.
const maxRefused = 2 * wire.ReplyWindow

// requestQueue serves the requests of one process in order.
type requestQueue struct {
	b      *processBackend
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	waiting []*conn.Incoming
	bytes   int // of them
	running bool
	ended   bool
}

func newRequestQueue(b *processBackend) *requestQueue {
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
	case q.b.i.kind.Requests == nil:
		q.respondError(m, fmt.Errorf("method %q: %w", m.Method, actor.ErrUnknown))
	case len(q.waiting) >= maxPeerRequests || len(q.waiting) > 0 && q.bytes+m.Size() > maxPeerRequestBytes:
		q.respondError(m, fmt.Errorf("method %q: %w", m.Method, actor.ErrMailboxFull))
	default:
		q.waiting = append(q.waiting, m)
		q.bytes += m.Size()
		if !q.running {
			q.running = true
			go q.serve()
		}
	}
}

func (q *requestQueue) respondError(m *conn.Incoming, err error) {
	defer m.Drop()
	if !m.Call {
		return
	}
	_ = q.b.conn.Respond(m.ID, q.b.program.encodeError(err), nil, nil)
	if q.b.conn.Buffered() > maxRefused {
		q.b.accuse(fmt.Errorf("it goes on requesting and does not read the answers: %w", wire.ErrProtocol))
		q.b.conn.Close()
	}
}

func (q *requestQueue) serve() {
	for {
		poll(q.ctx, func() bool { return q.b.conn.Buffered() <= wire.ReplyWindow })
		q.mu.Lock()
		if len(q.waiting) == 0 || q.ended {
			q.running = false
			q.mu.Unlock()
			return
		}
		m := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.bytes -= m.Size()
		q.mu.Unlock()
		q.answer(m)
	}
}

func (q *requestQueue) answer(m *conn.Incoming) {
	defer m.Drop()
	var params []any
	result, err := any(nil), codec.Decode(newSource(m.Params, m.Segments, q.b.i.sys), &params)
	if err == nil {
		result, err = q.b.i.kind.Requests(q.ctx, q.b.i.path, m.Method, params, m.Call)
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
		_ = q.b.conn.Respond(m.ID, q.b.program.encodeError(err), nil, nil)
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
