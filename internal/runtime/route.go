package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/sys"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/mailbox"
	"github.com/understudy-go/understudy/transport"
)

// Connections are direct: the first send asks upwards until a process knows the
// target's part of the tree, then downwards to the target's supervisor, which
// makes a fresh socket pair and hands an end to each. Nothing else is relayed.

// introduce makes a connection for a sender. What it waits for is another matter when this
// process leaves: then it asks again.
func (s *System) introduce(to *sender) (*connection, error) {
	if l, err := s.introduceIn(s.staying, to); err == nil || !s.leaving.Load() {
		return l, err
	}
	return s.introduceIn(s.ctx, to)
}

func (s *System) introduceIn(ctx context.Context, to *sender) (*connection, error) {
	for {
		r, err := s.route(ctx, to.target.path, to.target.kind)
		if err != nil {
			return nil, err
		}
		if r.pool != nil {
			to.foreign.Store(r.pool.kind.External != nil)
			return nil, errPool
		}
		var c *connection
		if r.inst != nil {
			c, err = r.inst.backend.connect(to)
		} else {
			c, err = s.introduceVia(ctx, r.conn, to)
		}
		if err == nil || !errors.Is(err, errRetry) {
			return c, err
		}
		if err := r.waitEnd(ctx); err != nil {
			return nil, err
		}
	}
}

// retryDelay spaces questions to another process whose actor is ending.
const retryDelay = 10 * time.Millisecond

// waitEnd waits until it makes sense to ask for the route again: the instance
// is gone, or, if it ends in another process, after a moment.
func (r route) waitEnd(ctx context.Context) error {
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	var gone <-chan struct{}
	if r.inst != nil {
		gone = r.inst.Done()
	} else {
		t.Reset(retryDelay)
	}
	select {
	case <-gone:
		return nil
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errRetry says that the target ended while it was introduced.
var errRetry = errors.New("the actor ended meanwhile")

func (s *System) fromPath() string {
	if s.self != nil {
		return s.self.path
	}
	return "/"
}

func (s *System) introduceVia(ctx context.Context, p *conn.Conn, to *sender) (*connection, error) {
	s.closeIdle()
	f, in, err := s.askIntroduction(ctx, p, s.order(to))
	if err != nil {
		return nil, err
	}
	socket, err := transport.NewSocket(f, newScanner(s.opts.Inline).Frame, transport.SocketOptions{Files: conn.FileCount})
	if err != nil {
		return nil, err
	}
	inc, err := uuid.Parse(in.Incarnation)
	if err != nil {
		socket.Close()
		return nil, fmt.Errorf("introduction to %s: %w", to.target.path, err)
	}
	c := newConnection()
	c.inc, c.pid = inc, in.PID
	c.conn = conn.New(socket, &connectionHandler{sender: to, connection: c}, s.connOptions())
	c.conn.Start()
	if err := s.sayHello(ctx, c); err != nil {
		c.conn.Close()
		if errors.Is(err, transport.ErrClosed) || isEOF(err) {
			err = errRetry // it ended before it answered; the next try learns why
		}
		return nil, err
	}
	return c, nil
}

func (s *System) order(to *sender) introduceOrder {
	o := introduceOrder{Path: to.target.path, Kind: to.target.kind, From: s.fromPath()}
	if s.leaving.Load() {
		o.Leaving, o.Stopped = true, s.self.askedToStop()
	}
	return o
}

// hopeless reports whether the asker leaves and should not wait for the
// instance: one that was asked to stop may be waiting for the asker's end in turn;
// and if the asker was asked to stop, too, so may the restart of any other.
func (o introduceOrder) hopeless(i *Instance) bool {
	return o.Leaving && (i.stopAsked() || o.Stopped && i.selfEnded())
}

func (s *System) hello() *hello {
	h := &hello{Min: protocolVersion, Max: protocolVersion, Build: sys.BuildID(), System: s.id, PID: os.Getpid(),
		Clock: sys.MonotonicNow(), Caps: []string{capProgress, capFiles, capStream, capPings, capConnect}}
	if s.opts.Transport != SocketTransport {
		h.Caps = append(h.Caps, capRings)
	}
	return h
}

// sayHello introduces us to the receiver of l and takes its answer. It is taken
// where it is read: with the end of the connection, which may be next, goes what
// came with it.
func (s *System) sayHello(ctx context.Context, c *connection) error {
	r, err := requestAnd(ctx, c.conn, ctlHello, mapOf(s.hello()).Params(), func(r *conn.Reply) {
		if r.Fault == nil && r.Err == nil {
			r.Fault = s.greet(c, *r)
		}
	})
	r.Drop()
	return err
}

// greet takes the receiver's answer to hello.
func (s *System) greet(c *connection, r conn.Reply) error {
	var h hello
	if err := wire.ReadFields(r.Result, take(&h)); err != nil {
		return err
	}
	if h.Min > protocolVersion || h.Max < protocolVersion {
		return fmt.Errorf("peer speaks protocol %d to %d, we speak %d: %w", h.Min, h.Max, protocolVersion, wire.ErrProtocol)
	}
	c.same = h.Build != "" && h.Build == sys.BuildID()
	c.capacity, c.capBytes = h.Capacity, h.Bytes
	if h.System != "" && h.System != s.id {
		return fmt.Errorf("peer belongs to system %s, we to %s: %w", h.System, s.id, wire.ErrProtocol)
	}
	c.pings, c.connects = slices.Contains(h.Caps, capPings), slices.Contains(h.Caps, capConnect)
	if s.opts.Transport != SocketTransport && slices.Contains(h.Caps, capRings) {
		c.rings = ringsAfter
		if s.opts.Transport == RingTransport {
			c.rings = 1
		}
	}
	if !c.same { // a stranger's word does not make our memory grow
		c.capacity, c.capBytes = min(h.Capacity, DefaultCapacity), min(h.Bytes, DefaultCapacityBytes)
		c.limitTo(h.Caps, h.Progress != 0)
	}
	if h.Progress == 0 {
		c.progress = mailbox.NewProgress() // fed by "$/begin"
		return nil
	}
	f, err := c.conn.TakeFile(h.Progress)
	if err != nil {
		return err
	}
	c.progress, err = mailbox.OpenProgress(f)
	c.paged = err == nil
	return err
}

// request sends a control request and waits for the answer. An error that the
// peer answered is returned as such.
func request(ctx context.Context, p *conn.Conn, method string, params []byte) (conn.Reply, error) {
	return requestAnd(ctx, p, method, params, func(*conn.Reply) {})
}

// requestAnd calls read with the answer on the goroutine that reads the
// connection, before anything else is read.
func requestAnd(ctx context.Context, p *conn.Conn, method string, params []byte, read func(*conn.Reply)) (conn.Reply, error) {
	ch := make(chan conn.Reply, 1)
	id := p.Request(method, params, func(r conn.Reply) {
		read(&r)
		ch <- r
	})
	var r conn.Reply
	select {
	case r = <-ch:
	case <-ctx.Done():
		if p.Abandon(id) {
			_ = p.Notify(ctlAbandon, codec.Params(uint64(id)))
			return conn.Reply{}, context.Cause(ctx)
		}
		r = <-ch // it has just come
	}
	if r.Fault != nil {
		r.Drop()
		return conn.Reply{}, fmt.Errorf("%s: %w", method, r.Fault)
	}
	if r.Err != nil {
		defer r.Drop()
		return conn.Reply{}, decodeRemote("", method, r.Err)
	}
	return r, nil
}

func (s *System) askIntroduction(ctx context.Context, p *conn.Conn, o introduceOrder) (*os.File, introduction, error) {
	var in introduction
	r, err := request(ctx, p, ctlIntroduce, codec.ControlParams(o))
	if isClosed(err) || isEOF(err) {
		return nil, in, errRetry // that process is ending: its supervisor decides
	}
	if err != nil {
		return nil, in, err
	}
	defer r.Drop()
	if err := codec.DecodeResult(r.Result, &in); err != nil {
		return nil, in, err
	}
	f, err := p.TakeFile(in.Token)
	if isClosed(err) {
		err = errRetry
	}
	return f, in, err
}

// introduceFor answers an introduction for another process. sendEnd sends it the
// end of a connection that it has made.
func (s *System) introduceFor(ctx context.Context, o introduceOrder, sendEnd func(make func() (*os.File, error)) (token uint64, err error)) (introduction, error) {
	for {
		r, err := s.routeFor(ctx, o)
		if err == nil && r.inst != nil && o.hopeless(r.inst) {
			err = fmt.Errorf("%s: %w", o.Path, actor.ErrStopped)
		}
		if err != nil {
			return introduction{}, err
		}
		if r.pool != nil {
			return introduction{}, fmt.Errorf("%s is a pool of another process: %w", o.Path, errors.ErrUnsupported)
		}
		var in introduction
		if r.inst != nil {
			in = introduction{Incarnation: r.inst.incarnation.String(), PID: r.inst.PID()}
			in.Token, err = sendEnd(func() (*os.File, error) { return r.inst.backend.connectFor(o.From) })
		} else {
			var f *os.File
			if f, in, err = s.askIntroduction(ctx, r.conn, o); err == nil {
				in.Token, err = sendEnd(func() (*os.File, error) { return f, nil })
				f.Close() // sendEnd has, unless it was too early
			}
		}
		if err == nil || !errors.Is(err, errRetry) {
			return in, err
		}
		if err := r.waitEnd(ctx); err != nil {
			return introduction{}, err
		}
	}
}

// routeFor is route, which an asker that was asked to stop does not wait for.
func (s *System) routeFor(ctx context.Context, o introduceOrder) (route, error) {
	if !o.Stopped {
		return s.route(ctx, o.Path, o.Kind)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, wait, err := s.routeNow(o.Path, o.Kind)
	if wait != nil {
		err = fmt.Errorf("%s: %w", o.Path, actor.ErrNotRunning)
	}
	return r, err
}

// exitReport says how the incarnation at the other end of a connection ended.
func (s *System) exitReport(ctx context.Context, c *connection, path string) (actor.Down, error) {
	if c.inst != nil {
		<-c.inst.Done() // which Close awaits, too
		return c.inst.down(), nil
	}
	return s.lookupExit(ctx, reportOrder{Path: path, Incarnation: c.inc.String()})
}

// owner returns the process that supervises path, if it is not this one.
func (s *System) owner(path string) *conn.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[path]; e != nil && (e.inst == nil || !e.inst.self) {
		return nil
	}
	if e := s.processAbove(path); e != nil {
		return e.inst.childConn()
	}
	if s.parent != nil && (!s.below(path) || path == s.self.path) {
		return s.parent
	}
	return nil
}

// lookupExit asks who supervises the path. That process may have ended, too, and
// its events have told of the end before.
func (s *System) lookupExit(ctx context.Context, o reportOrder) (actor.Down, error) {
	p := s.owner(o.Path)
	if p == nil {
		return s.exitOf(ctx, o.Path, o.Incarnation)
	}
	r, err := request(ctx, p, ctlReport, codec.ControlParams(o))
	if err != nil {
		if d, ok := s.told.of(o.Incarnation); ok {
			return d, nil
		}
		return actor.Down{}, err
	}
	defer r.Drop()
	var w wireDown
	err = codec.DecodeResult(r.Result, &w)
	return w.down(), err
}

func (s *System) watch(ctx context.Context, o watchOrder) (watchAnswer, error) {
	var a watchAnswer
	p := s.owner(o.Path)
	if p == nil {
		next, downs, final, err := s.exitsSince(ctx, o.Path, o.Cursor)
		for _, d := range downs {
			a.Downs = append(a.Downs, toWireDown(d, 0))
		}
		a.Cursor, a.Final = next, final
		return a, err
	}
	r, err := request(ctx, p, ctlWatch, codec.ControlParams(o))
	if err != nil {
		return a, err
	}
	defer r.Drop()
	return a, codec.DecodeResult(r.Result, &a)
}

// kill ends an incarnation by force, and returns when it is reaped.
func (s *System) kill(ctx context.Context, o killOrder) error {
	if p := s.owner(o.Path); p != nil {
		r, err := request(ctx, p, ctlKill, codec.ControlParams(o))
		r.Drop()
		return err
	}
	i, err := s.alive(o.Path, o.Incarnation)
	if err != nil {
		return err
	}
	i.Kill()
	select {
	case <-i.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// alive returns the incarnation that is supervised here under path, if it runs
// or starts; any for "".
func (s *System) alive(path, incarnation string) (*Instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[path]
	switch {
	case e == nil:
		return nil, s.because(path, errors.Join(actor.ErrNotRunning, actor.ErrNotFound))
	case e.inst == nil, incarnation != "" && e.inst.incarnation.String() != incarnation:
		return nil, s.because(path, actor.ErrNotRunning)
	}
	return e.inst, nil
}

func newScanner(inline int) *wire.Scanner {
	return &wire.Scanner{Limits: wire.Limits{Bytes: inline}.Message()}
}
