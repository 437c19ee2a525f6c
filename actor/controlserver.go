package actor

import (
	"context"
	"fmt"
	"sync"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/wire"
)

// controlServer answers the control requests of a process below us, or of the
// one above: introductions and obituaries. Each may wait for long, so each has
// a goroutine, and their number is bounded.
type controlServer struct {
	sys  *System
	peer *conn.Conn

	mu     sync.Mutex
	open   map[uint64]context.CancelFunc
	closed bool
}

// maxRequests bounds the control requests of one process that wait here.
const maxRequests = 4096

func newControlServer(sys *System, peer *conn.Conn) *controlServer {
	return &controlServer{sys: sys, peer: peer, open: make(map[uint64]context.CancelFunc)}
}

func (s *controlServer) serve(m *conn.Incoming) {
	switch m.Method {
	case ctlIntroduce:
		var o introduceOrder
		s.answer(m, &o, func(ctx context.Context) (any, error) {
			f, in, err := s.sys.offer(ctx, o)
			if err != nil {
				return nil, err
			}
			defer f.Close()
			in.Token, err = s.peer.SendFile(f)
			return in, err
		})
	case ctlObituary:
		var o obituaryOrder
		s.answer(m, &o, func(ctx context.Context) (any, error) {
			d, err := s.sys.lookupExit(ctx, o)
			return toWireDown(d, 0), err
		})
	case ctlWatch:
		var o watchOrder
		s.answer(m, &o, func(ctx context.Context) (any, error) { return s.sys.watch(ctx, o) })
	case ctlPrevent:
		var id uint64
		if codec.DecodeParams(m.Params, &id) == nil {
			s.mu.Lock()
			cancel := s.open[id]
			s.mu.Unlock()
			if cancel != nil {
				cancel()
			}
		}
	case ctlEvent:
		var w wireEvent
		if codec.DecodeControl(m.Params, &w) == nil {
			s.sys.Emit(w.event())
		}
	case ctlLog:
		s.sys.logRecord(m.Params)
	default:
		if m.Call {
			s.refuse(m.ID, fmt.Errorf("control request %q: %w", m.Method, ErrUnknown))
		}
	}
}

func (s *controlServer) refuse(id uint64, err error) {
	_ = s.peer.Respond(id, encodeRemote(&noKind, err), nil, nil)
}

func (s *controlServer) answer(m *conn.Incoming, order any, f func(context.Context) (any, error)) {
	if !m.Call {
		return
	}
	if err := codec.DecodeControl(m.Params, order); err != nil {
		s.refuse(m.ID, err)
		return
	}
	id := m.ID
	ctx, cancel := context.WithCancel(s.sys.ctx)
	s.mu.Lock()
	if s.closed || len(s.open) >= maxRequests || s.open[id] != nil {
		s.mu.Unlock()
		cancel()
		s.refuse(id, fmt.Errorf("control request %q: too many at once", m.Method))
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
		result, err := f(ctx)
		if err != nil {
			s.refuse(id, err)
			return
		}
		_ = s.peer.Respond(id, nil, codec.EncodeControl(result), nil)
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
	if err := wire.ReadParams(params, h.take); err != nil {
		return h, err
	}
	if h.Min > protocolVersion || h.Max < protocolVersion {
		return h, fmt.Errorf("peer speaks protocol %d to %d, we speak %d: %w", h.Min, h.Max, protocolVersion, wire.ErrProtocol)
	}
	return h, nil
}
