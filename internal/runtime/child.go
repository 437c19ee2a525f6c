package runtime

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/orphans"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/internal/sys"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/transport"
)

// mainCalled says that this program can be its own child.
var mainCalled atomic.Bool

// thisProcess is what package actor reaches of this process.
type thisProcess struct{}

func init() { port.Install(thisProcess{}) }

// Main implements [port.Runtime].
func (thisProcess) Main() {
	orphans.RunSweeperIfAsked()
	if err := port.Unbound(); err != nil {
		panic("actor.Main: " + err.Error())
	}
	id, isActor := os.LookupEnv(port.EnvActor)
	mainCalled.Store(true)
	port.Complete()
	if !isActor {
		return
	}
	becomeActor(id)
	runChild(id)
}

// RunInInitializer implements [port.Runtime].
func (thisProcess) RunInInitializer(kind string) {
	orphans.RunSweeperIfAsked()
	if id, isActor := os.LookupEnv(port.EnvActor); isActor && os.Getenv(port.EnvKind) == kind {
		becomeActor(id)
		go runChild(id) // the initializer's goroutine is locked to the main thread, which is slow
		select {}
	}
	inInitializer.Store(kind, nil)
}

// inInitializer has the kinds whose actors run without Main.
var inInitializer sync.Map

// canBeOwnChild reports whether this program, executed again, runs an actor of
// the kind.
func canBeOwnChild(kind string) bool {
	_, ok := inInitializer.Load(kind)
	return ok || mainCalled.Load()
}

// becomeActor makes the process that of an actor.
func becomeActor(id string) {
	mainCalled.Store(true)
	os.Unsetenv(port.EnvActor)
	os.Unsetenv(port.EnvKind)
	process.ChildSetup()
}

// Self implements [port.Runtime].
func (thisProcess) Self() port.Actor {
	if h := mainHost.Load(); h != nil {
		return h
	}
	return nil
}

// child is an actor's process, seen from inside.
type child struct {
	sys      *System
	conn     *conn.Conn
	receiver *receiver
	server   *controlServer
	scanner  *wire.Scanner    // of the connection to the parent
	early    []*conn.Incoming // requests that wait for the start; of the reader's goroutine

	hosted atomic.Pointer[host] // h, for each message

	mu     sync.Mutex
	h      *host
	self   *Instance
	ending sync.Once
	orphan atomic.Bool // the parent is gone, or has closed the connection
}

// orphanTimeout bounds the orderly end of an actor whose parent closed the
// connection: no process waits for it any more.
const orphanTimeout = 5 * time.Second

func runChild(id string) {
	f := os.NewFile(3, "parent")
	c := &child{sys: newSystem(id, SystemOptions{})}
	c.scanner = newScanner(c.sys.opts.Inline)
	socket, err := transport.NewSocket(f, c.scanner.Frame, transport.SocketOptions{Files: conn.FileCount})
	if err != nil {
		fmt.Fprintf(os.Stderr, "understudy: this process was started as an actor, and descriptor 3 is not its parent: %v\n", err)
		os.Exit(1)
	}
	c.conn = conn.New(socket, c, c.sys.connOptions())
	c.sys.parent = c.conn
	c.server = newControlServer(c.sys, c.conn, "")
	c.receiver = &receiver{conn: c.conn, from: "parent"}
	c.logToParent()
	c.conn.Start()
	select {} // it ends by os.Exit
}

// Message is a user's message of the parent's process.
func (c *child) Message(m *conn.Incoming) {
	if c.host() == nil {
		m.Drop()
		return
	}
	c.receiver.Message(m)
}

// host is the actor, once it is about to start.
func (c *child) host() *host { return c.hosted.Load() }

// AcceptUpgrade implements [conn.UpgradeHandler].
func (c *child) AcceptUpgrade() error {
	if c.host() == nil {
		return actor.ErrNotRunning
	}
	return c.receiver.AcceptUpgrade()
}

func (c *child) Reply(_ uint32, r conn.Reply) { r.Drop() }

func (c *child) Control(m *conn.Incoming) {
	switch h := controls[m.Method]; {
	case h.child != nil:
		h.child(c, m)
	case h.receiver == nil:
		c.serve(m)
	case c.host() != nil:
		c.receiver.Control(m)
	}
}

func (c *child) stopOrdered(m *conn.Incoming) {
	var o stopOrder
	if codec.DecodeControl(m.Params, &o) != nil {
		return
	}
	h := c.host()
	if h == nil {
		os.Exit(0)
	}
	c.sys.Stopping()
	h.askStop(time.Duration(o.Timeout), o.Drain)
}

func (c *child) ping(m *conn.Incoming) {
	_ = c.conn.Respond(m.ID, nil, codec.EncodeControl(nil), nil)
}

// serve answers what other processes ask. Before it knows its own place in the
// tree, the child would send the question back to where it came from.
func (c *child) serve(m *conn.Incoming) {
	switch {
	case c.host() != nil:
		c.server.serve(m)
	case len(c.early) < maxRequests:
		c.early = append(c.early, m.Take())
	case m.Call:
		respondError(c.conn, m.ID, fmt.Errorf("control request %q: too many before the start", m.Method))
	}
}

// Closed is the end of the parent, or of its interest.
func (c *child) Closed(err error) {
	if c.host() == nil {
		os.Exit(0)
	}
	c.orphan.Store(true)
	c.receiver.Closed(err)
	c.sys.Stopping()
	c.self.Stop(orphanTimeout)
}

func (c *child) hello(m *conn.Incoming) {
	h, err := c.sys.checkHello(m.Params)
	if err == nil && c.receiver.progress != nil {
		err = fmt.Errorf("second hello: %w", wire.ErrProtocol)
	}
	var mine *hello
	if err == nil {
		mine = c.sys.hello()
		mine.Progress, err = c.receiver.sendProgress()
	}
	if err != nil {
		respondError(c.conn, m.ID, err)
		return
	}
	c.receiver.same.Store(h.Build != "" && h.Build == sys.BuildID())
	c.mu.Lock()
	if c.h != nil && c.receiver.queue == nil {
		c.receiver.open()
	}
	c.mu.Unlock()
	_ = c.conn.Respond(m.ID, nil, mapOf(mine).Map(), nil)
}

// start makes the actor. It runs on the reader's goroutine: the constructor
// does not.
func (c *child) start(m *conn.Incoming) {
	var o startOrder
	if err := wire.ReadParams(m.Params, take(&o)); err != nil {
		respondError(c.conn, m.ID, err)
		return
	}
	kind, err := port.KindByName(o.Kind)
	if err == nil && kind.Backend == nil {
		err = fmt.Errorf("kind %q has no backend in this program", o.Kind)
	}
	var inc uuid.UUID
	if err == nil {
		inc, err = uuid.Parse(o.Incarnation)
	}
	var segments []*segment.Segment
	if err == nil {
		segments, err = c.conn.Announced(o.Segments)
	}
	if err != nil {
		respondError(c.conn, m.ID, err)
		return
	}
	c.sys.opts.MaxMessage, c.sys.opts.Inline = o.MaxMessage, o.Inline
	c.sys.opts.Transport, c.sys.opts.Spin = Transport(o.Transport), time.Duration(o.Spin)
	c.scanner.Limits = newScanner(o.Inline).Limits // it is the reader's, and so are we
	c.conn.SetLimits(o.Inline, o.MaxMessage)
	h := newHost(c.sys, kind, o.Path, inc, o.Capacity, o.Bytes, false)
	c.mu.Lock()
	if c.h != nil {
		c.mu.Unlock()
		respondError(c.conn, m.ID, fmt.Errorf("second start: %w", wire.ErrProtocol))
		return
	}
	c.h, c.sys.self, c.receiver.h = h, h, h
	c.sys.program, c.receiver.from = o.Program, o.From
	h.grace, h.series = time.Duration(o.StopTimeout), o.Series
	if c.receiver.progress != nil {
		c.receiver.open()
	}
	c.self = &Instance{sys: c.sys, path: o.Path, kind: kind, incarnation: inc, number: o.Number, self: true, settings: Settings{Series: o.Series},
		ready: make(chan struct{}), done: make(chan struct{})}
	c.self.backend = selfBackend{hosted{c.self, h}, c}
	c.hosted.Store(h)
	c.mu.Unlock()
	setLogLevel(o.LogLevel)
	shm.SetStrict(o.Strict)
	shm.SetBudget(o.Memory) // the limit does not count memfds
	process.WatchHeap(o.Memory)
	mainHost.Store(h)
	id, src := m.ID, newSource(o.Args, segments, c.sys)
	go c.life(h, src, id, segments)
	for _, m := range c.early {
		c.server.serve(m)
		m.Drop()
	}
	c.early = nil
}

// life runs the actor and ends the process.
func (c *child) life(h *host, src *codec.Source, id uint64, segments []*segment.Segment) {
	go func() {
		<-h.ending
		// Ended by itself, it gives running handlers its stop timeout; asked
		// to, its parent counts the time.
		if !h.askedToStop() {
			c.self.bound(h.grace, byLingerLimit)
		}
	}()
	h.run(src, func(err error) {
		for _, s := range segments {
			s.Release()
		}
		if err != nil {
			respondError(c.conn, id, err)
			return
		}
		c.sys.setInstance(h.path, c.self, PathRunning)
		_ = c.conn.Respond(id, nil, codec.EncodeControl(nil), nil)
	})
	c.leave(h)
}

func (c *child) serveConnection(m *conn.Incoming) {
	var o connectOrder
	if codec.DecodeControl(m.Params, &o) != nil {
		return
	}
	f, err := c.conn.TakeFile(o.Token)
	if err == nil {
		if err = process.Spare(f); err != nil {
			f.Close()
		}
	}
	if err != nil {
		_ = c.conn.Notify(ctlRefused, codec.ControlParams(connectOrder{From: o.From}))
		c.sys.Emit(actor.Event{Type: actor.EventConnectionLost, Path: c.sys.fromPath(), Sender: o.From, Err: fmt.Errorf("connection from %s: %w", o.From, err)})
		return
	}
	h := c.host()
	if h == nil {
		f.Close()
		return
	}
	socket, err := transport.NewSocket(f, newScanner(c.sys.opts.Inline).Frame, transport.SocketOptions{Files: conn.FileCount})
	if err == nil {
		_ = h.accept(socket, o.From, nil) // an actor that ends refuses: the sender asks again
	}
}
