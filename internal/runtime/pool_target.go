package runtime

import (
	"context"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/mailbox"
)

// What target does when its path is a pool. That is found out with the first
// message, when it asks for a connection: it is already made then, and is made
// over (the Found forms).

// callPool is Call.
func (t *target) callPool(ctx context.Context, method string, id uint32, buf *codec.Buffer, pin uuid.UUID) (conn.Reply, error) {
	m := t.newPoolMessage(ctx, method)
	if err := m.build(ctx, method, id, buf, pin); err != nil {
		return conn.Reply{}, err
	}
	if err := m.submit(ctx); err != nil {
		return conn.Reply{}, err
	}
	return m.await(ctx)
}

func (t *target) callFound(ctx context.Context, made *call) (conn.Reply, error) {
	m := t.newPoolMessage(ctx, made.msg.Method)
	if err := m.adopt(ctx, made.msg); err != nil {
		return conn.Reply{}, err
	}
	if err := m.submit(ctx); err != nil {
		return conn.Reply{}, err
	}
	return m.await(ctx)
}

// goPool is Go.
func (t *target) goPool(ctx context.Context, method string, id uint32, buf *codec.Buffer, pin uuid.UUID) (port.Call, error) {
	m := t.newPoolMessage(ctx, method)
	if err := m.build(ctx, method, id, buf, pin); err != nil {
		return nil, err
	}
	m.inv = invocationOf(ctx)
	return m, m.submit(ctx)
}

func (t *target) goFound(ctx context.Context, made *call) (port.Call, error) {
	m := t.newPoolMessage(ctx, made.msg.Method)
	if err := m.adopt(ctx, made.msg); err != nil {
		return nil, err
	}
	m.inv = invocationOf(ctx)
	return m, m.submit(ctx)
}

// Wait implements [port.Call].
func (m *PoolMessage) Wait(ctx context.Context) (conn.Reply, error) { return m.await(ctx) }

// Waits implements [port.Call]. await notes it for the worker's call.
func (m *PoolMessage) Waits() (done func()) { return func() {} }

// castPool is Cast.
func (t *target) castPool(ctx context.Context, method string, id uint32, buf *codec.Buffer, pin uuid.UUID, try bool) error {
	m := t.newPoolMessage(ctx, method)
	m.Cast, m.Try = true, try
	if err := m.build(ctx, method, id, buf, pin); err != nil {
		return err
	}
	return m.cast(ctx)
}

func (t *target) castFound(ctx context.Context, msg *mailbox.Message, try bool) error {
	m := t.newPoolMessage(ctx, msg.Method)
	m.Cast, m.Try = true, try
	if err := m.adopt(ctx, msg); err != nil {
		return err
	}
	return m.cast(ctx)
}

// cast submits a cast and waits until there is room for it.
func (m *PoolMessage) cast(ctx context.Context) error {
	if err := m.submit(ctx); err != nil {
		return err
	}
	for {
		m.mu.Lock()
		over, err := m.over, m.res.err
		if m.call != nil && !over {
			m.admitted = true
		}
		admitted := m.admitted
		m.mu.Unlock()
		switch {
		case admitted:
			return nil
		case over: // or it is answered already
			return err
		}
		select {
		case <-m.changed:
		case <-ctx.Done():
			res, over := m.giveUp()
			if over && res.err != nil && res.err != ErrGivenUp {
				return res.err
			}
			return port.ContextError(ctx)
		}
	}
}

// toPool takes casts that were queued before the path was known to be a pool to
// it. The lock is held.
func (c *sender) toPool() {
	c.target.pooled.Store(true)
	c.stood = false
	c.arrays.Store(!c.foreign.Load())
	var casts []*mailbox.Message
	c.out.Reset(func(m *mailbox.Message, _ bool) bool {
		casts = append(casts, m)
		return true
	})
	for _, w := range c.waiters {
		close(w)
	}
	c.waiters = nil
	if len(casts) == 0 {
		return
	}
	c.sys.spawn(func() {
		for _, m := range casts {
			if err := c.target.castFound(c.sys.ctx, m, true); err != nil {
				c.sys.deadLetter(c.target.path, m.Method, err)
			}
		}
	})
}

// openPool is Open.
func (t *target) openPool(ctx context.Context, method string, id uint32, buf *codec.Buffer, pin uuid.UUID) (port.Stream, error) {
	m := t.newPoolMessage(ctx, method)
	m.Stream, m.items = true, newItemQueue()
	if err := m.build(ctx, method, id, buf, pin); err != nil {
		return nil, err
	}
	return &poolStream{m: m}, m.submit(ctx)
}

func (t *target) openFound(ctx context.Context, made *call) (port.Stream, error) {
	m := t.newPoolMessage(ctx, made.msg.Method)
	m.Stream, m.items = true, made.items
	if err := m.adopt(ctx, made.msg); err != nil {
		return nil, err
	}
	return &poolStream{m: m}, m.submit(ctx)
}

// poolStream is stream of a pool.
type poolStream struct {
	m     *PoolMessage
	taken int
}

// Next implements [port.Stream].
func (s *poolStream) Next(ctx context.Context) ([]byte, *conn.Incoming, error) {
	m := s.m
	for {
		m.mu.Lock()
		call, over := m.call, m.over
		m.mu.Unlock()
		if call == nil && over {
			return nil, nil, nil
		}
		if call != nil {
			inv := waits(ctx, call)
			in, err := m.items.next(ctx, call.from)
			inv.waited(call)
			if err == nil && in != nil {
				var value []byte
				if err = in.Err; err == nil {
					_, value, err = codec.ParseItem(in.Params)
				}
				if err != nil {
					in.Drop()
					return nil, nil, err
				}
				return value, in, nil
			}
			if err != errMoved {
				return nil, nil, err
			}
		}
		select {
		case <-m.changed:
		case <-ctx.Done():
			return nil, nil, port.ContextError(ctx)
		}
	}
}

// Taken implements [port.Stream].
func (s *poolStream) Taken() {
	if s.taken++; s.taken < port.StreamWindow/2 {
		return
	}
	s.m.mu.Lock()
	call := s.m.call
	s.m.mu.Unlock()
	call.from.more(call, s.taken)
	s.m.allow(s.taken)
	s.taken = 0
}

// End implements [port.Stream].
func (s *poolStream) End() ([]byte, error) {
	r, err := s.m.await(context.Background())
	return r.Err, err
}

// Close implements [port.Stream].
func (s *poolStream) Close() {
	if res, over := s.m.giveUp(); over && res.err == nil {
		res.reply.Drop()
	}
	s.m.items.drop()
}

var _ port.Stream = (*poolStream)(nil)
var _ port.Call = (*PoolMessage)(nil)
