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
	if !isActor {
		return
	}
	os.Unsetenv(port.EnvActor)
	process.ChildSetup()
	runChild(id)
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
	sys     *System
	peer    *conn.Conn
	link    *receiver
	server  *controlServer
	scanner *wire.Scanner    // of the connection to the parent
	early   []*conn.Incoming // requests that wait for the start; of the reader's goroutine

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
	lane, err := transport.NewSocket(f, c.scanner, transport.WithFileCount(conn.FileCount))
	if err != nil {
		fmt.Fprintf(os.Stderr, "understudy: this process was started as an actor, and descriptor 3 is not its parent: %v\n", err)
		os.Exit(1)
	}
	c.peer = conn.New(lane, c, c.sys.peerOptions())
	c.sys.parent = c.peer
	c.server = newControlServer(c.sys, c.peer)
	c.link = &receiver{peer: c.peer, from: "parent"}
	c.logToParent()
	c.peer.Start()
	select {} // it ends by os.Exit
}

// Message is a user's message of the parent's process.
func (c *child) Message(m *conn.Incoming) {
	if c.host() == nil {
		m.Drop()
		return
	}
	c.link.Message(m)
}

// host is the actor, once it is about to start.
func (c *child) host() *host { return c.hosted.Load() }

// AcceptUpgrade implements [conn.UpgradeHandler].
func (c *child) AcceptUpgrade() error {
	if c.host() == nil {
		return actor.ErrNotRunning
	}
	return c.link.AcceptUpgrade()
}

func (c *child) Reply(_ uint32, r conn.Reply) { r.Drop() }

func (c *child) Control(m *conn.Incoming) {
	switch h := controls[m.Method]; {
	case h.child != nil:
		h.child(c, m)
	case h.receiver == nil:
		c.serve(m)
	case c.host() != nil:
		c.link.Control(m)
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
	h.askStop(time.Duration(o.Timeout), o.Drain)
}

func (c *child) ping(m *conn.Incoming) {
	_ = c.peer.Respond(m.ID, nil, codec.EncodeControl(nil), nil)
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
		refuseControl(c.peer, m.ID, fmt.Errorf("control request %q: too many before the start", m.Method))
	}
}

// Closed is the end of the parent, or of its interest.
func (c *child) Closed(err error) {
	if c.host() == nil {
		os.Exit(0)
	}
	c.orphan.Store(true)
	c.link.Closed(err)
	c.self.Stop(orphanTimeout)
}

func (c *child) hello(m *conn.Incoming) {
	h, err := c.sys.checkHello(m.Params)
	if err == nil && c.link.marks != nil {
		err = fmt.Errorf("second hello: %w", wire.ErrProtocol)
	}
	var mine *hello
	if err == nil {
		mine = c.sys.hello()
		mine.Marks, err = c.link.sendMarks()
	}
	if err != nil {
		refuseControl(c.peer, m.ID, err)
		return
	}
	c.link.same.Store(h.Build != "" && h.Build == sys.BuildID())
	c.mu.Lock()
	if c.h != nil && c.link.queue == nil {
		c.link.open()
	}
	c.mu.Unlock()
	_ = c.peer.Respond(m.ID, nil, mapOf(mine).Map(), nil)
}

// start makes the actor. It runs on the reader's goroutine: the constructor
// does not.
func (c *child) start(m *conn.Incoming) {
	var o startOrder
	if err := wire.ReadParams(m.Params, take(&o)); err != nil {
		refuseControl(c.peer, m.ID, err)
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
		segments, err = c.peer.Announced(o.Segments)
	}
	if err != nil {
		refuseControl(c.peer, m.ID, err)
		return
	}
	c.sys.opts.MaxMessage, c.sys.opts.Inline = o.MaxMessage, o.Inline
	c.sys.opts.Lane, c.sys.opts.Spin = Lane(o.Lane), time.Duration(o.Spin)
	c.scanner.Limits = newScanner(o.Inline).Limits // it is the reader's, and so are we
	c.peer.SetLimits(o.Inline, o.MaxMessage)
	h := newHost(c.sys, kind, o.Path, inc, o.Capacity, o.Bytes, false)
	c.mu.Lock()
	if c.h != nil {
		c.mu.Unlock()
		refuseControl(c.peer, m.ID, fmt.Errorf("second start: %w", wire.ErrProtocol))
		return
	}
	c.h, c.sys.self, c.link.h = h, h, h
	c.sys.program, c.link.from = o.Program, o.From
	h.grace = time.Duration(o.StopTimeout)
	if c.link.marks != nil {
		c.link.open()
	}
	c.self = &Instance{sys: c.sys, path: o.Path, kind: kind, incarnation: inc, number: o.Number, self: true,
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
			refuseControl(c.peer, id, err)
			return
		}
		c.sys.setInstance(h.path, c.self, PathRunning)
		_ = c.peer.Respond(id, nil, codec.EncodeControl(nil), nil)
	})
	c.leave(h)
}

func (c *child) serveLink(m *conn.Incoming) {
	var o linkOrder
	if codec.DecodeControl(m.Params, &o) != nil {
		return
	}
	f, err := c.peer.TakeFile(o.Token)
	if err != nil {
		c.sys.Emit(actor.Event{Type: actor.EventLinkLost, Path: c.sys.fromPath(), Sender: o.From, Err: fmt.Errorf("link from %s: %w", o.From, err)})
		return
	}
	h := c.host()
	if h == nil {
		f.Close()
		return
	}
	lane, err := transport.NewSocket(f, newScanner(c.sys.opts.Inline), transport.WithFileCount(conn.FileCount))
	if err == nil {
		_ = h.accept(lane, o.From, nil) // an actor that ends refuses: the sender asks again
	}
}
