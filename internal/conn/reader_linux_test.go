package conn

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/transport"
)

// listener is a Handler that passes on what it hears.
type listener struct {
	peer      *Conn
	lend      bool           // the place, with each message and reply
	reading   atomic.Bool    // a guest is reading
	byGuest   atomic.Int64   // messages and replies that a guest read
	messages  chan *Incoming // with room
	controls  chan string
	replies   chan uint32
	closed    chan error
	respond   bool // to each request
	violation error
}

func (l *listener) heard() {
	if l.reading.Load() {
		l.byGuest.Add(1)
	}
	if l.lend {
		l.peer.Lend()
	}
}

func (l *listener) Message(m *Incoming) {
	l.heard()
	if l.respond {
		if err := l.peer.Respond(m.ID, nil, []byte{0xc0}, nil); err != nil {
			l.violation = err
		}
		m.Drop()
		return
	}
	l.messages <- m
}

func (l *listener) Control(m *Incoming)      { l.controls <- m.Method }
func (l *listener) Reply(id uint32, r Reply) { l.heard(); r.Drop(); l.replies <- id }
func (l *listener) Closed(err error)         { l.closed <- err }

// listeners makes a connection over a socket; both ends read.
func listeners(t *testing.T) (a, b *listener) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := [2]*listener{}
	for i, fd := range fds {
		lane, err := transport.NewSocket(os.NewFile(uintptr(fd), "socket"), &wire.Scanner{}, transport.WithFileCount(FileCount))
		if err != nil {
			t.Fatal(err)
		}
		l := &listener{messages: make(chan *Incoming, 100), controls: make(chan string, 100), replies: make(chan uint32, 100), closed: make(chan error, 2)}
		l.peer = New(lane, l, Options{})
		ends[i] = l
	}
	return ends[0], ends[1]
}

// end closes both ends and waits until nobody reads any more.
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

// lent has a lend its place to whoever wants it.
func lent(t *testing.T, a, b *listener) {
	t.Helper()
	a.lend = true
	a.peer.Start()
	b.peer.Start()
	for range patience {
		if a.peer.Lent() {
			t.Fatal("the place is lent too early")
		}
		b.say(t, "hello")
		(<-a.messages).Drop()
	}
	for !a.peer.Lent() { // Lend follows the message
	}
}

// guest reads until it has heard n messages.
type guest struct {
	l *listener
	n int
}

func (g *guest) Over() bool { return len(g.l.messages) >= g.n }

func (l *listener) assist(n int) bool {
	l.reading.Store(true)
	defer l.reading.Store(false)
	return l.peer.Assist(&guest{l, n})
}

func TestAGuestReads(t *testing.T) {
	a, b := listeners(t)
	lent(t, a, b)
	for range 3 {
		b.say(t, "one")
		b.say(t, "two")
		if !a.assist(2) {
			t.Fatal("the place is not to be had")
		}
		for _, want := range []string{"one", "two"} {
			if m := <-a.messages; m.Method != want {
				t.Errorf("heard %q, want %q", m.Method, want)
			}
		}
	}
	if n := a.byGuest.Load(); n != 6 {
		t.Errorf("the guest read %d messages, want 6", n)
	}
	end(a, b)
}

func TestAnEmptyPlaceIsTakenBack(t *testing.T) {
	a, b := listeners(t)
	lent(t, a, b)
	b.say(t, "$/cancel") // nobody is there to read it
	if got := <-a.controls; got != "$/cancel" {
		t.Errorf("heard %q", got)
	}
	if a.peer.Lent() || a.assist(1) {
		t.Error("the place is lent still")
	}
	end(a, b)
}

func TestRecall(t *testing.T) {
	a, b := listeners(t)
	lent(t, a, b)
	left := make(chan bool)
	go func() { left <- a.assist(1) }()
	b.say(t, "$/first") // by whomever
	<-a.controls
	a.peer.Recall()
	a.peer.Interrupt()
	if <-left {
		b.say(t, "$/second")
		if got := <-a.controls; got != "$/second" {
			t.Errorf("heard %q", got)
		}
	}
	if a.assist(1) {
		t.Error("a guest was let in after the recall")
	}
	end(a, b)
}

// The reading goroutine, and nobody else, says the last word.
func TestTheEndFindsAGuest(t *testing.T) {
	for name, finish := range map[string]func(a, b *listener){
		"peer":  func(_, b *listener) { b.peer.Close() },
		"close": func(a, _ *listener) { a.peer.Close() },
		"bad": func(_, b *listener) {
			_ = b.peer.Send([]byte{0x92, 0x07, 0x01}, nil) // no envelope
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := listeners(t)
			lent(t, a, b)
			left := make(chan bool)
			go func() { left <- a.assist(1) }()
			finish(a, b)
			err := <-a.closed
			<-left
			if a.peer.Lent() || a.assist(1) {
				t.Error("the place of a connection that ended is lent")
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
func TestThePlaceChangesHands(t *testing.T) {
	a, b := listeners(t)
	a.lend, b.respond, b.lend = true, true, false
	a.peer.Start()
	b.peer.Start()
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			switch rand.IntN(1000) {
			case 0:
				a.peer.Recall()
			case 1, 2:
				a.peer.Interrupt()
			}
		}
	}()
	for id := uint32(1); id <= 20_000; id++ {
		if err := a.peer.Send(wire.AppendRequest(nil, uint64(id), "ask", []byte{0x90}, nil), nil); err != nil {
			t.Fatal(err)
		}
		a.reading.Store(true)
		for len(a.replies) == 0 && a.peer.Assist(replied{a}) {
		}
		a.reading.Store(false)
		if got := <-a.replies; got != id {
			t.Fatalf("reply %d, want %d", got, id)
		}
	}
	close(stop)
	<-stopped
	end(a, b)
	if a.byGuest.Load() == 0 || a.byGuest.Load() == 20_000 {
		t.Errorf("a guest read %d of 20000 replies", a.byGuest.Load())
	}
	if b.violation != nil {
		t.Error(b.violation)
	}
}

type replied struct{ l *listener }

func (r replied) Over() bool { return len(r.l.replies) > 0 }
