package conn

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/transport"
)

// listener is a Handler that passes on what it hears, and one waiter of its poller.
type listener struct {
	peer     *Conn
	poller   Poller
	wait     Waiter
	byLeader atomic.Int64   // messages that the waiter read itself
	messages chan *Incoming // with room
	controls chan string
	replies  chan uint32
	closed   chan error
	respond  bool // to each request
}

func (l *listener) Message(m *Incoming) {
	if m.By != nil {
		l.byLeader.Add(1)
	}
	if l.respond {
		_ = l.peer.Respond(m.ID, nil, []byte{0xc0}, nil)
		m.Drop()
		return
	}
	l.messages <- m
	l.poller.Done(&l.wait)
}

func (l *listener) Control(m *Incoming) { l.controls <- m.Method }

func (l *listener) Reply(id uint32, r Reply) {
	r.Drop()
	l.replies <- id
	l.poller.Done(&l.wait)
}

func (l *listener) Closed(err error) {
	l.closed <- err
	l.poller.Done(&l.wait)
}

// Over reports whether there is something to take.
func (l *listener) Over() bool { return len(l.messages)+len(l.replies)+len(l.closed) > 0 }

// next waits for a message.
func (l *listener) next() *Incoming {
	l.poller.Wait(context.Background(), &l.wait, nil)
	select {
	case m := <-l.messages:
		return m
	default:
		return nil
	}
}

// listeners makes a connection over a socket; both ends read.
func listeners(t *testing.T) (a, b *listener) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := [2]*listener{}
	for i, fd := range fds {
		c, err := transport.NewSocket(os.NewFile(uintptr(fd), "socket"), new(wire.Scanner).Frame, transport.SocketOptions{Files: FileCount})
		if err != nil {
			t.Fatal(err)
		}
		l := &listener{messages: make(chan *Incoming, 100), controls: make(chan string, 100), replies: make(chan uint32, 100), closed: make(chan error, 2)}
		l.wait.For = l
		l.peer = New(c, l, Options{})
		l.poller.AddSource(l.peer)
		ends[i] = l
	}
	return ends[0], ends[1]
}

// end closes both ends and waits until nothing reads any more.
func end(a, b *listener) {
	a.peer.Close()
	b.peer.Close()
	<-a.closed
	<-b.closed
}

func (l *listener) say(t *testing.T, method string) {
	t.Helper()
	if err := l.peer.Send(wire.AppendNotify(nil, method, []byte{0x90}, nil), nil); err != nil {
		t.Fatal(err)
	}
}

// asleep waits until the waiter of l sleeps.
func (l *listener) asleep() {
	for !l.poller.sleep.Asleep() {
		runtime.Gosched()
	}
}

// hear has l wait for a message that is sent when it sleeps.
func (l *listener) hear(t *testing.T, from *listener, method string) {
	t.Helper()
	heard := make(chan *Incoming)
	go func() { heard <- l.next() }()
	l.asleep()
	from.say(t, method)
	m := <-heard
	if m == nil || m.Method != method {
		t.Fatalf("heard %v, want %q", m, method)
	}
	m.Drop()
}

// aside has the reading goroutine of a step aside.
func aside(t *testing.T, a, b *listener) {
	t.Helper()
	a.peer.Start()
	b.peer.Start()
	for heard := 0; !a.peer.reader.aside.Load(); heard++ { // not each message is seen to be for the waiter
		a.hear(t, b, "hello")
		if heard < patience-2 && a.peer.reader.aside.Load() {
			t.Fatal("the reading goroutine steps aside too early")
		}
	}
}

func TestTheLeaderReadsTheSocket(t *testing.T) {
	a, b := listeners(t)
	aside(t, a, b)
	for want := a.byLeader.Load() + 3; a.byLeader.Load() < want; { // the reading goroutine may resume between
		a.hear(t, b, "one")
	}
	end(a, b)
}

func TestTheReadingGoroutineResumesByItself(t *testing.T) {
	a, b := listeners(t)
	aside(t, a, b)
	b.say(t, "$/cancel") // no leader is there to read it
	if got := <-a.controls; got != "$/cancel" {
		t.Errorf("heard %q", got)
	}
	if a.peer.reader.aside.Load() {
		t.Error("the reading goroutine is aside still")
	}
	end(a, b)
}

func TestResume(t *testing.T) {
	for _, do := range []func(*Conn){(*Conn).Resume, func(c *Conn) { _ = c.Notify("$/x", nil) }, func(c *Conn) { c.Request("$/y", nil, func(Reply) {}) }} {
		a, b := listeners(t)
		aside(t, a, b)
		do(a.peer)
		b.say(t, "$/first")
		<-a.controls
		for a.peer.reader.aside.Load() {
			runtime.Gosched()
		}
		if a.peer.reader.free.Load() {
			t.Error("a leader may read still")
		}
		before := a.byLeader.Load()
		a.hear(t, b, "hello")
		if a.byLeader.Load() != before {
			t.Error("a leader read")
		}
		end(a, b)
	}
}

// A second source ends the leader's reading of the first: it cannot wait for two.
func TestTheLeaderHasTwoSources(t *testing.T) {
	a, b := listeners(t)
	aside(t, a, b)
	heard := make(chan *Incoming)
	go func() { heard <- a.next() }()
	a.asleep()
	c, d := listeners(t)
	c.peer.Start()
	d.peer.Start()
	a.poller.AddSource(c.peer)
	for a.peer.reader.aside.Load() {
		runtime.Gosched()
	}
	b.say(t, "hello")
	if m := <-heard; m.By != nil {
		t.Error("the leader read one of two sockets")
	}
	end(a, b)
	end(c, d)
}

// The reading goroutine says the last word, and no other does.
func TestTheEndFindsALeader(t *testing.T) {
	for name, finish := range map[string]func(a, b *listener){
		"peer":  func(_, b *listener) { b.peer.Close() },
		"close": func(a, _ *listener) { a.peer.Close() },
		"bad": func(_, b *listener) {
			_ = b.peer.Send([]byte{0x92, 0x07, 0x01}, nil) // no envelope
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := listeners(t)
			aside(t, a, b)
			left := make(chan struct{})
			go func() { a.next(); close(left) }()
			a.asleep()
			finish(a, b)
			<-left
			err := <-a.closed
			if a.peer.reader.aside.Load() || a.peer.reader.free.Load() {
				t.Error("a leader may read a connection that has ended")
			}
			if want := map[string]error{"peer": io.EOF, "close": transport.ErrClosed, "bad": wire.ErrProtocol}[name]; !errors.Is(err, want) {
				t.Errorf("closed with %v, want %v", err, want)
			}
			if len(a.closed) > 0 {
				t.Error("closed twice")
			}
			a.closed <- err
			end(a, b)
		})
	}
}

// Whatever happens around it, each request is answered once.
func TestReadingChangesHands(t *testing.T) {
	a, b := listeners(t)
	b.respond = true
	a.peer.Start()
	b.peer.Start()
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for !isOver(stop) {
			switch rand.IntN(1000) {
			case 0:
				a.peer.Resume()
			case 1, 2:
				a.poller.Wake()
			}
			runtime.Gosched()
		}
	}()
	byLeader := 0
	for id := uint32(1); id <= 20_000; id++ {
		if err := a.peer.Send(wire.AppendRequest(nil, uint64(id), "ask", []byte{0x90}, nil), nil); err != nil {
			t.Fatal(err)
		}
		a.poller.Wait(context.Background(), &a.wait, nil)
		if got := <-a.replies; got != id {
			t.Fatalf("reply %d, want %d", got, id)
		}
		if a.peer.reader.aside.Load() {
			byLeader++
		}
	}
	close(stop)
	<-stopped
	end(a, b)
	if byLeader == 0 || byLeader == 20_000 {
		t.Errorf("the leader read some %d of 20000 replies", byLeader)
	}
}
