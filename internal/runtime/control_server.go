package runtime

import (
	"context"
	"fmt"
	"sync"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/wire"
)

// controlServer answers the control requests of a process below us, or of the
// one above: introductions and exit reports. Each may wait for long, so each has
// a goroutine, and their number is bounded.
type controlServer struct {
	sys  *System
	conn *conn.Conn
	// below is the path of the process that asks, if it is below us: it asks for
	// itself, or for what is below it. "" is the process above.
	below string

	making sync.Mutex // while a descriptor is made and sent

	mu     sync.Mutex
	open   map[uint64]context.CancelFunc
	closed bool
}

// maxRequests bounds the control requests of one process that wait here.
const maxRequests = 4096

func newControlServer(sys *System, c *conn.Conn, below string) *controlServer {
	return &controlServer{sys: sys, conn: c, below: below, open: make(map[uint64]context.CancelFunc)}
}

func (s *controlServer) serve(m *conn.Incoming) {
	if h := controls[m.Method]; h.server != nil {
		h.server(s, m)
	} else {
		unknownControl(s.conn, m)
	}
}

func (s *controlServer) report(m *conn.Incoming) {
	answer(s, m, func(ctx context.Context, o reportOrder) (any, error) {
		d, err := s.sys.lookupExit(ctx, o)
		return toWireDown(d, 0), err
	})
}

func (s *controlServer) watch(m *conn.Incoming) {
	answer(s, m, func(ctx context.Context, o watchOrder) (any, error) { return s.sys.watch(ctx, o) })
}

func (s *controlServer) kill(m *conn.Incoming) {
	answer(s, m, func(ctx context.Context, o killOrder) (any, error) { return nil, s.sys.kill(ctx, o) })
}

// abandon ends the work for a request whose asker has given up.
func (s *controlServer) abandon(m *conn.Incoming) {
	var id uint64
	if codec.DecodeParams(m.Params, &id) != nil {
		return
	}
	s.mu.Lock()
	cancel := s.open[id]
	s.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

func (s *controlServer) event(m *conn.Incoming) {
	var w wireEvent
	if codec.DecodeControl(m.Params, &w) == nil {
		e := w.event()
		s.sys.told.note(e)
		s.sys.Emit(e)
	}
}

// answer has f answer the request, in a goroutine of its own.
func answer[T any](s *controlServer, m *conn.Incoming, f func(context.Context, T) (any, error)) {
	if !m.Call {
		return
	}
	var order T
	if err := codec.DecodeControl(m.Params, &order); err != nil {
		respondError(s.conn, m.ID, err)
		return
	}
	id := m.ID
	ctx, cancel := context.WithCancel(s.sys.ctx)
	s.mu.Lock()
	if s.closed || len(s.open) >= maxRequests || s.open[id] != nil {
		s.mu.Unlock()
		cancel()
		respondError(s.conn, id, fmt.Errorf("control request %q: too many at once", m.Method))
		return
	}
	s.open[id] = cancel
	s.mu.Unlock()
	s.sys.spawn(func() {
		defer func() {
			s.mu.Lock()
			delete(s.open, id)
			s.mu.Unlock()
			cancel()
		}()
		result, err := f(ctx, order)
		if err != nil {
			respondError(s.conn, id, err)
			return
		}
		_ = s.conn.Respond(id, nil, codec.EncodeControl(result), nil)
	})
}

func (s *controlServer) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, cancel := range s.open {
		cancel()
	}
}

// checkHello reads what a peer says of itself.
func (s *System) checkHello(params []byte) (hello, error) {
	var h hello
	if err := wire.ReadParams(params, take(&h)); err != nil {
		return h, err
	}
	if h.Min > protocolVersion || h.Max < protocolVersion {
		return h, fmt.Errorf("peer speaks protocol %d to %d, we speak %d: %w", h.Min, h.Max, protocolVersion, wire.ErrProtocol)
	}
	return h, nil
}
