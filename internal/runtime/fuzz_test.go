//go:build linux

package runtime

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/memfd"
	"github.com/understudy-go/understudy/internal/sys"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/mailbox"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/transport"
)

type fuzzed struct{}

var (
	fuzzKind = actor.Define("fuzzed", func(context.Context, actor.None) (*fuzzed, error) { return &fuzzed{}, nil })
	_        = actor.DefineMethod(fuzzKind, "echo", func(_ *fuzzed, _ context.Context, v any) (any, error) { return v, nil })
	_        = actor.DefineMethod(fuzzKind, "sum", func(_ *fuzzed, _ context.Context, a shm.Array[float64]) (int, error) { return a.Len(), nil })
	_        = actor.DefineMethod(fuzzKind, "ref", func(_ *fuzzed, _ context.Context, r actor.Ref[fuzzed]) (actor.Ref[fuzzed], error) { return r, nil })
)

// fuzzTransport is the receiving end of a connection whose peer sends data and goes.
type fuzzTransport struct {
	data    []byte
	scanner *wire.Scanner
	page    bool // descriptors are progress page; otherwise something else

	mu     sync.Mutex
	closed bool
}

func (l *fuzzTransport) Receive() (transport.Message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return transport.Message{}, transport.ErrClosed
	}
	if len(l.data) == 0 {
		return transport.Message{}, io.EOF
	}
	n, err := l.scanner.Frame(l.data)
	if err != nil || n == 0 {
		return transport.Message{}, errors.Join(err, io.ErrUnexpectedEOF)
	}
	m := transport.Message{Body: append([]byte(nil), l.data[:n]...)}
	l.data = l.data[n:]
	if conn.FileCount(m.Body) > 0 {
		f, err := os.Open(os.DevNull)
		if l.page {
			f.Close()
			f, err = memfd.Create("fuzz", 4096, unix.F_SEAL_SHRINK, unix.F_SEAL_GROW)
		}
		if err != nil {
			return transport.Message{}, err
		}
		m.Files = []*os.File{f}
	}
	return m, nil
}

func (l *fuzzTransport) Send(transport.Message) error { return nil }
func (l *fuzzTransport) Buffered() int                { return 0 }

func (l *fuzzTransport) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}

// withoutEnd is a side of the connection without what would end this process.
type withoutEnd struct {
	conn.Handler
	closed func(error)
	done   chan struct{}
}

func (w *withoutEnd) Control(m *conn.Incoming) {
	if m.Method != ctlStart && m.Method != ctlStop {
		w.Handler.Control(m)
	}
}

func (w *withoutEnd) Closed(err error) {
	w.closed(err)
	close(w.done)
}

// FuzzHello feeds a child, and the parent of one, with whatever a peer may say
// in its hello, its control messages, its requests and its answers.
func FuzzHello(f *testing.F) {
	good := hello{Min: 1, Max: 1, Build: sys.BuildID(), System: "s", PID: 1, Clock: 1, Caps: []string{capProgress}, Progress: 1}
	file := wire.AppendNotify(nil, "$/file", codec.Params(1), nil)
	greet := wire.AppendRequest(nil, 1<<31|9, ctlHello, mapOf(&good).Params(), nil)
	notify := func(method string, v any) []byte {
		return wire.AppendNotify(append([]byte(nil), greet...), method, codec.ControlParams(v), nil)
	}
	for _, seed := range [][]byte{
		greet,
		append(append([]byte(nil), greet...), greet...),
		wire.AppendResponse(append([]byte(nil), file...), 1<<31|1, nil, mapOf(&good).Map(), nil),
		wire.AppendResponse(nil, 1<<31|1, codec.EncodeControl("no"), nil, nil),
		wire.AppendResponse(nil, 1, nil, codec.EncodeControl(5), nil),
		wire.AppendNotify(append([]byte(nil), file...), ctlBegin, codec.Params(1), nil),
		wire.AppendNotify(nil, ctlBegin, codec.Params(1<<60), nil),
		wire.AppendNotify(nil, ctlWant, codec.Params(5), nil),
		wire.AppendNotify(nil, ctlMore, codec.Params(1, 1<<63), nil),
		wire.AppendNotify(nil, ctlCancel, codec.Params(1), nil),
		wire.AppendRequest(append([]byte(nil), greet...), 5, "echo", []byte{0x91, 5}, nil),
		wire.AppendRequest(append([]byte(nil), greet...), 5, "sum", []byte{0x91, 0x95, 0, 0, 1, 10, 1}, nil),
		wire.AppendRequest(append([]byte(nil), greet...), 5, "ref", []byte{0x91, 0x93, 0xa2, '/', 'x', 0xa1, 'k', 0xa0}, nil),
		wire.AppendRequest(nil, 6, ctlIntroduce, codec.ControlParams(introduceOrder{Path: "/x", Kind: "fuzzed"}), nil),
		wire.AppendRequest(nil, 6, ctlReport, codec.ControlParams(reportOrder{Path: "/x"}), nil),
		wire.AppendRequest(nil, 6, ctlWatch, codec.ControlParams(watchOrder{Path: "/x"}), nil),
		notify(ctlEnded, wireExit{ExitStatus: actor.ExitStatus{Reason: 3}, Error: &wireError{Text: "x", Is: []string{"io.EOF"}, Exit: &wireExitCase{Begun: 9}}}),
		notify(ctlEvent, wireEvent{Type: "exited", Path: "/x", Exit: &wireExit{}}),
		append(codec.AppendItemHead(nil, 1), 0xc0),
		notify(ctlConnect, connectOrder{Token: 1}),
		notify(ctlProbe, map[string]any{}),
		notify(ctlLog, map[string]any{"msg": "x"}),
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, data []byte, page bool) {
		before := shm.Stats()
		fuzzChild(t, data, page)
		fuzzParent(t, data, page)
		if after := shm.Stats(); after.Segments != before.Segments {
			t.Errorf("segments left: %+v, before: %+v", after, before)
		}
	})
}

func fuzzSystem() (*System, func(t *testing.T)) {
	s := newSystem("fuzz", SystemOptions{Logger: slog.New(slog.DiscardHandler), MaxMessage: 1 << 20, Inline: 1 << 16})
	return s, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("the system does not end: %v", err)
		}
	}
}

// fuzzChild is an actor's end of the connection.
func fuzzChild(t *testing.T, data []byte, page bool) {
	sys, end := fuzzSystem()
	defer end(t)
	h := newHost(sys, RoleOf(fuzzKind.With(actor.None{})).Kind, "/fuzzed", uuid.New(), 16, 1<<16, false)
	ready := make(chan error, 1)
	go h.run(newSource(nil, nil, sys), func(err error) { ready <- err })
	if err := <-ready; err == nil {
		t.Fatal("started without arguments")
	}
	<-h.ended
	h = newHost(sys, RoleOf(fuzzKind.With(actor.None{})).Kind, "/fuzzed", uuid.New(), 16, 1<<16, false)
	go h.run(newSource([]byte{0x90}, nil, sys), func(err error) { ready <- err })
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	sys.self = h
	c := &child{sys: sys, h: h, receiver: &receiver{h: h, from: "parent"}}
	socket := &fuzzTransport{data: data, scanner: newScanner(sys.opts.Inline), page: page}
	side := &withoutEnd{Handler: c, done: make(chan struct{}), closed: func(err error) { c.server.close(); c.receiver.Closed(err) }}
	c.conn = conn.New(socket, side, sys.connOptions())
	c.receiver.conn = c.conn
	c.server = newControlServer(sys, c.conn, "")
	c.conn.Start()
	<-side.done
	h.finish(actor.ExitStatus{Reason: actor.ReasonShutdown})
	<-h.ended
	h.closeConnections()
	if c.receiver.queue != nil {
		c.receiver.queue.Close(true)
	} else if c.receiver.progress != nil {
		c.receiver.progress.Close()
	}
}

// fuzzParent is the other end, with a call and a stream under way.
func fuzzParent(t *testing.T, data []byte, page bool) {
	sys, end := fuzzSystem()
	defer end(t)
	i := &Instance{sys: sys, path: "/fuzzed", kind: RoleOf(fuzzKind.With(actor.None{})).Kind, incarnation: uuid.New(), ready: make(chan struct{}), done: make(chan struct{})}
	b := newProcessBackend(i, EncodedRole{})
	i.backend = b
	socket := &fuzzTransport{data: data, scanner: newScanner(sys.opts.Inline), page: page}
	s := sys.target("/fuzzed", "fuzzed").get()
	c := newConnection()
	c.progress, c.inc, c.inst, c.kept = mailbox.NewProgress(), i.incarnation, i, true
	p := (*processHandler)(b)
	side := &withoutEnd{Handler: p, done: make(chan struct{}), closed: func(err error) {
		b.server.close()
		b.requests.close()
		close(i.done)
		s.down(c, err)
	}}
	b.conn = conn.New(socket, side, sys.connOptions())
	b.server, b.requests = newControlServer(sys, b.conn, "/fuzz"), newRequestQueue(b)
	c.conn = b.conn
	b.connection, b.sender = c, s
	b.caller.Store(s)
	calls := []*call{newCall(s, 1), newCall(s, 2)}
	calls[1].items = newItemQueue()
	s.mu.Lock()
	s.up(c)
	for _, call := range calls {
		call.msg = &mailbox.Message{ID: call.id, Call: true, Method: "echo", Body: wire.AppendRequest(nil, uint64(call.id), "echo", []byte{0x91, 5}, nil)}
		s.push(call.msg, call)
	}
	s.mu.Unlock()
	// The answer to hello, of whichever peer.
	greeted := make(chan struct{})
	b.conn.Request(ctlHello, codec.ControlParams(sys.hello()), func(r conn.Reply) {
		defer close(greeted)
		defer r.Drop()
		if r.Fault != nil || r.Err != nil {
			_ = decodeRemote("/fuzzed", ctlHello, r.Err)
			return
		}
		other := newConnection()
		other.conn = b.conn
		if sys.greet(other, r) == nil {
			other.progress.Close()
		}
	})
	b.conn.Start()
	<-side.done
	<-greeted
	s.close(actor.ErrStopped)
	for _, call := range calls {
		r := call.result()
		if r.err == nil {
			var v any
			if r.reply.Err == nil {
				_ = codec.DecodeResult(r.reply.Result, &v)
			} else {
				_ = decodeRemote("/fuzzed", "echo", r.reply.Err)
			}
			r.reply.Drop()
		}
		if call.items != nil {
			call.items.drop()
		}
	}
}
