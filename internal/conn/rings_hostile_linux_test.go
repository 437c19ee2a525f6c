package conn

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/memfd"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/transport"
)

// liar is a peer that has rings and keeps to no rule.
type liar struct {
	t      *testing.T
	socket transport.Conn
	rings  *transport.Rings
	token  uint64
	files  map[uint64]*os.File
}

func newLiar(t *testing.T, fd int) *liar {
	t.Helper()
	socket, err := transport.NewSocket(os.NewFile(uintptr(fd), "socket"), new(wire.Scanner).Frame, transport.SocketOptions{Files: FileCount})
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{t: t, socket: socket, files: make(map[uint64]*os.File)}
	if l.rings, err = transport.NewRings(); err != nil {
		t.Fatal(err)
	}
	return l
}

// close ends the liar, who has heard that it was found out.
func (l *liar) close() {
	l.socket.Close()
	l.rings.Close()
	for _, f := range l.files {
		f.Close()
	}
}

func (l *liar) say(body []byte, files ...*os.File) {
	_ = l.socket.Send(transport.Message{Body: body, Files: files}) // it may have been found out
}

func (l *liar) sendFile(f *os.File) uint64 {
	l.token++
	l.say(wire.AppendNotify(nil, methodFile, codec.Params(l.token), nil), f)
	return l.token
}

// hear returns the next message but those with files, which it keeps.
func (l *liar) hear() wire.Envelope {
	l.t.Helper()
	for {
		m, err := l.socket.Receive()
		if err != nil {
			l.t.Fatal(err)
		}
		env, err := wire.ParseEnvelope(append([]byte(nil), m.Body...))
		if err != nil {
			l.t.Fatal(err)
		}
		if env.Method != methodFile {
			return env
		}
		var token uint64
		if err := codec.DecodeParams(env.Params, &token); err != nil || len(m.Files) != 1 {
			l.t.Fatalf("file %d: %v", token, err)
		}
		l.files[token] = m.Files[0]
	}
}

// half takes the honest side's half.
func (l *liar) half(params []byte) {
	l.t.Helper()
	var mem uint64
	if err := codec.DecodeParams(params, &mem); err != nil {
		l.t.Fatal(err)
	}
	if err := l.rings.Join(l.files[mem]); err != nil {
		l.t.Fatal(err)
	}
	clear(l.files)
}

const liarsID = 1 | controlBit

// ask begins as an honest upgrade does.
func (l *liar) ask(mem *os.File) {
	l.say(wire.AppendRequest(nil, liarsID, methodRing, codec.Params(l.sendFile(mem)), nil))
}

// stand is an honest upgrade, to the end.
func (l *liar) stand() {
	l.t.Helper()
	l.ask(l.rings.File())
	l.half(l.hear().Result)
	l.begin()
	if env := l.hear(); env.Method != methodRinged {
		l.t.Fatalf("heard %q", env.Method)
	}
}

func (l *liar) begin() { l.say(wire.AppendNotify(nil, methodRinged, nil, nil)) }

func (l *liar) record(number uint64, body []byte) {
	l.t.Helper()
	if ok, _, err := l.rings.Write(number, body); !ok || err != nil {
		l.t.Fatalf("writing: %v, %v", ok, err)
	}
}

func noteOf(n uint64) []byte { return wire.AppendNotify(nil, "note", numbered(0, n, 0, 0), nil) }

// Each lie ends the liar's connection, with an error that says what it was, and
// leaves nothing behind. Another connection of the same poller goes on.
func TestRingsOfALiar(t *testing.T) {
	memfd := func(size int64, seals ...int) *os.File {
		f, err := memfd.Create("half", size, seals...)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	wrongHalf := func(l *liar, mem *os.File) { l.ask(mem); mem.Close() }
	pull := func(e *ringEnd) { e.peer.pull(10, nil) }
	for _, lie := range []struct {
		name string
		do   func(l *liar)
		look func(e *ringEnd) // by another goroutine than the one that reads the socket
		want error
	}{
		{"rings twice", func(l *liar) { l.stand(); wrongHalf(l, memfd(4096)) }, nil, wire.ErrProtocol},
		{"asked twice", func(l *liar) {
			l.ask(l.rings.File())
			l.ask(l.rings.File())
		}, nil, wire.ErrProtocol},
		{"numbers without rings", (*liar).begin, nil, wire.ErrProtocol},
		{"numbers twice", func(l *liar) { l.stand(); l.begin() }, nil, wire.ErrProtocol},
		{"a record of the past", func(l *liar) { l.stand(); l.record(0, noteOf(1)) }, pull, transport.ErrCorruptRing},
		{"a number twice", func(l *liar) { l.stand(); l.record(1, noteOf(1)); l.record(1, noteOf(2)) }, pull, transport.ErrCorruptRing},
		{"an empty record", func(l *liar) { l.stand(); l.record(1, nil) }, pull, wire.ErrProtocol},
		{"garbage", func(l *liar) { l.stand(); l.record(1, []byte{0xc1, 1, 2, 3}); l.record(2, noteOf(1)) }, pull, wire.ErrProtocol},
		{"no envelope", func(l *liar) { l.stand(); l.record(1, []byte{0x92, 7, 1}); l.record(2, noteOf(1)) }, pull, wire.ErrProtocol},
		{"two messages", func(l *liar) { l.stand(); l.record(1, append(noteOf(1), noteOf(2)...)) }, pull, wire.ErrProtocol},
		{"half a message", func(l *liar) { l.stand(); l.record(1, noteOf(1)[:5]) }, pull, wire.ErrProtocol},
		{"garbage, found by the reading goroutine", func(l *liar) {
			l.stand()
			l.record(1, []byte{0xc1})
			l.say(noteOf(1))
		}, nil, wire.ErrProtocol},
		{"garbage, found at the end", func(l *liar) { l.stand(); l.record(1, []byte{0xc1}); l.socket.Close() }, nil, wire.ErrProtocol},
		{"a socket's message that is none", func(l *liar) { l.stand(); l.say([]byte{0x92, 7, 1}); l.record(2, noteOf(1)) }, nil, wire.ErrProtocol},
		{"rings by ring", func(l *liar) {
			l.stand()
			l.record(1, wire.AppendRequest(nil, liarsID, methodRing, codec.Params(1), nil))
		}, pull, wire.ErrProtocol},
		{"files that were never sent", func(l *liar) {
			l.say(wire.AppendRequest(nil, liarsID, methodRing, codec.Params(1), nil))
		}, nil, wire.ErrProtocol},
		{"no arguments", func(l *liar) { l.say(wire.AppendRequest(nil, liarsID, methodRing, nil, nil)) }, nil, wire.ErrProtocol},
		{"memory that may shrink", func(l *liar) { wrongHalf(l, memfd(1<<20)) }, nil, transport.ErrCorruptRing},
		{"memory that is small", func(l *liar) { wrongHalf(l, memfd(4096, unix.F_SEAL_SHRINK, unix.F_SEAL_GROW)) }, nil, transport.ErrCorruptRing},
	} {
		t.Run(lie.name, func(t *testing.T) {
			leaktest.Check(t)
			fds := socketFDs(t)
			e, l := newRingEnd(t, fds[0]), newLiar(t, fds[1])
			e.peer.Start()
			fds = socketFDs(t)
			witness, friend := newRingEnd(t, fds[0]), newRingEnd(t, fds[1])
			e.poller.AddSource(e.peer)
			e.poller.AddSource(witness.peer) // as the connections of one inbox have one
			witness.peer.Start()
			friend.peer.Start()
			if err := friend.upgrade(); err != nil {
				t.Fatal(err)
			}
			l.t = t
			lie.do(l)
			if lie.look != nil {
				e.upgraded()
				lie.look(e)
				lie.look(e) // what follows is not to be trusted
			}
			err := <-e.closed
			if !errors.Is(err, lie.want) || !errors.Is(err, wire.ErrProtocol) {
				t.Errorf("closed with %v", err)
			}
			if heard := e.got.Load(); heard > 0 && !(heard == 1 && lie.name == "a number twice") {
				t.Errorf("heard %d messages that came with or behind a lie", heard)
			}
			l.close()
			for i := uint64(1); i <= 3; i++ {
				if err := friend.peer.Send(noteOf(i), nil); err != nil {
					t.Error(err)
				}
			}
			_ = friend.end()
			if _ = witness.gone(); witness.last[0] != 3 {
				t.Errorf("the witness heard %d messages", witness.last[0])
			}
		})
	}
}

// The one who is asked may lie as well.
func TestRingsOfALyingAnswer(t *testing.T) {
	for name, answer := range map[string]func(l *liar) []byte{
		"nothing":    func(l *liar) []byte { return codec.Params() },
		"never sent": func(l *liar) []byte { return codec.Params(7) },
		"no ring": func(l *liar) []byte {
			f, err := memfd.Create("half", 4096)
			if err != nil {
				l.t.Fatal(err)
			}
			defer f.Close()
			return codec.Params(l.sendFile(f))
		},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			fds := socketFDs(t)
			e, l := newRingEnd(t, fds[0]), newLiar(t, fds[1])
			l.t = t
			e.peer.Start()
			done := make(chan error, 2)
			e.peer.Upgrade(func(err error) { done <- err })
			ask := l.hear()
			l.say(wire.AppendResponse(nil, ask.ID, nil, answer(l), nil))
			if err := <-done; err == nil {
				t.Error("the rings stand")
			}
			if err := <-e.closed; !errors.Is(err, wire.ErrProtocol) {
				t.Errorf("closed with %v", err)
			}
			l.close()
			if len(done) > 0 {
				t.Error(fmt.Errorf("told twice: %v", <-done))
			}
		})
	}
}

// Nil is the answer of one who is ending: no lie, and no rings.
func TestRingsOfAnEndingAnswer(t *testing.T) {
	leaktest.Check(t)
	fds := socketFDs(t)
	e, l := newRingEnd(t, fds[0]), newLiar(t, fds[1])
	e.peer.Start()
	done := make(chan error, 2)
	e.peer.Upgrade(func(err error) { done <- err })
	l.say(wire.AppendResponse(nil, l.hear().ID, nil, nil, nil))
	if err := <-done; !errors.Is(err, transport.ErrClosed) {
		t.Errorf("offered: %v", err)
	}
	l.say(noteOf(1)) // what it has to say still is heard
	l.socket.Close()
	<-e.closed
	if e.last[0] != 1 {
		t.Errorf("heard %d messages", e.last[0])
	}
	l.close()
}

// The side that asked numbers its messages first: an answerer that begins before
// is no peer of ours. One that never begins goes on by the socket.
func TestRingsOfASilentAnswer(t *testing.T) {
	leaktest.Check(t)
	fds := socketFDs(t)
	e, l := newRingEnd(t, fds[0]), newLiar(t, fds[1])
	e.peer.Start()
	done := make(chan error, 2)
	e.peer.Upgrade(func(err error) { done <- err })
	ask := l.hear()
	mem := l.sendFile(l.rings.File())
	l.half(ask.Params)
	l.say(wire.AppendResponse(nil, ask.ID, nil, codec.Params(mem), nil))
	if env := l.hear(); env.Method != methodRinged {
		t.Errorf("heard %q", env.Method)
	}
	if err := e.peer.Send(noteOf(1), nil); err != nil {
		t.Error(err)
	}
	if n, ok, err := l.rings.Front(); n != 1 || !ok || err != nil {
		t.Errorf("in the ring: %d, %v, %v", n, ok, err)
	}
	l.say(noteOf(1))
	l.say(noteOf(2))
	l.socket.Close()
	<-e.closed
	if e.last[0] != 2 {
		t.Errorf("heard %d messages by the socket", e.last[0])
	}
	if err := <-done; err == nil {
		t.Error("the rings stand")
	}
	l.close()
}
