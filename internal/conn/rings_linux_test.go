package conn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/transport"
)

// ringEnd is one end of a connection with rings. It checks that what each of
// the peer's goroutines sends comes in order.
type ringEnd struct {
	t      testing.TB
	peer   *Conn
	poller Poller      // to serve
	refuse atomic.Bool // to upgrade
	ending atomic.Bool // likewise
	ended  atomic.Bool // the connection has
	closed chan error

	// Of whoever delivers: one at a time, which the race detector checks.
	last  map[uint64]uint64
	kinds map[string]int

	want, got atomic.Int64
	all       chan struct{} // closed when want have come

	onMessage func(*Incoming) // instead of the check
	onReply   func(uint32, Reply)
}

// newRingEnd makes an end over one end of a socket pair.
func newRingEnd(t testing.TB, fd int) *ringEnd {
	t.Helper()
	e := &ringEnd{t: t, closed: make(chan error, 1),
		last: make(map[uint64]uint64), kinds: make(map[string]int), all: make(chan struct{})}
	socket, err := transport.NewSocket(os.NewFile(uintptr(fd), "socket"), new(wire.Scanner).Frame, transport.SocketOptions{Files: FileCount})
	if err != nil {
		t.Fatal(err)
	}
	e.peer = New(socket, e, Options{})
	return e
}

func socketFDs(t testing.TB) [2]int {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds
}

// ringEnds makes a connection; both ends read. end must be called.
func ringEnds(t testing.TB) (a, b *ringEnd) {
	t.Helper()
	fds := socketFDs(t)
	a, b = newRingEnd(t, fds[0]), newRingEnd(t, fds[1])
	a.peer.Start()
	b.peer.Start()
	return a, b
}

// upgrade makes rings; it returns when this side has them.
func (e *ringEnd) upgrade() error {
	stands := make(chan error, 1)
	e.peer.Upgrade(func(err error) { stands <- err })
	return <-stands
}

func (e *ringEnd) end() error {
	e.peer.Close()
	return <-e.closed
}

// gone is end for a connection that the peer ends.
func (e *ringEnd) gone() error { return <-e.closed }

// upgraded waits until this side has rings.
func (e *ringEnd) upgraded() {
	for e.peer.RingIn.Load() == nil {
		runtime.Gosched()
	}
}

func (e *ringEnd) AcceptUpgrade() error {
	switch {
	case e.refuse.Load():
		return errors.New("not today")
	case e.ending.Load():
		return transport.ErrClosed
	}
	return nil
}

func (e *ringEnd) Closed(err error) {
	e.ended.Store(true)
	e.poller.Wake()
	e.closed <- err
}

// Over is that of the one who serves.
func (e *ringEnd) Over() bool { return e.ended.Load() }

func (e *ringEnd) Control(m *Incoming) { e.heard("control", m) }

func (e *ringEnd) Message(m *Incoming) {
	if e.onMessage != nil {
		e.onMessage(m)
		return
	}
	e.heard("message", m)
	m.Drop()
}

func (e *ringEnd) Reply(id uint32, r Reply) {
	if e.onReply != nil {
		e.onReply(id, r)
		return
	}
	r.Drop()
}

func (e *ringEnd) heard(kind string, m *Incoming) {
	var sender, n, token uint64
	if err := codec.DecodeParams(m.Params, &sender, &n, &token); err != nil {
		e.t.Error(err)
		return
	}
	if n != e.last[sender]+1 {
		e.t.Errorf("message %d of sender %d came behind %d", n, sender, e.last[sender])
	}
	e.last[sender] = n
	if token != 0 {
		f, err := e.peer.TakeFile(token)
		if err != nil {
			e.t.Errorf("message %d: %v", n, err)
		} else {
			f.Close()
		}
		kind = "file"
	} else if len(m.Params) > transport.MaxRecord {
		kind = "large"
	}
	e.kinds[kind]++
	if e.got.Add(1) == e.want.Load() {
		close(e.all)
	}
}

// numbered is the argument list of message n of a sender: with a descriptor's
// token, and size bytes more.
func numbered(sender, n, token uint64, size int) []byte {
	b := wire.AppendArrayHead(nil, 4)
	b = wire.AppendUint(wire.AppendUint(wire.AppendUint(b, sender), n), token)
	b = append(b, 0xc6, byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
	return append(b, make([]byte, size)...)
}

// some sends message n of a sender, of a random kind.
func (e *ringEnd) some(rnd *rand.Rand, sender, n uint64) error {
	switch rnd.IntN(20) {
	case 0:
		return e.peer.Send(wire.AppendNotify(nil, "large", numbered(sender, n, 0, transport.MaxRecord+rnd.IntN(50_000)), nil), nil)
	case 1, 2:
		return e.peer.Notify("$/note", numbered(sender, n, 0, rnd.IntN(100)))
	case 3:
		token, err := e.peer.SendFile(os.Stdin)
		if err != nil {
			return err
		}
		return e.peer.Send(wire.AppendNotify(nil, "file", numbered(sender, n, token, 0), nil), nil)
	default:
		return e.peer.Send(wire.AppendNotify(nil, "small", numbered(sender, n, 0, rnd.IntN(1000)), nil), nil)
	}
}

// pull reads the ring beside the reading goroutine, as an idle slot would.
func (e *ringEnd) pull(stop *atomic.Bool, readers *sync.WaitGroup) {
	readers.Add(1)
	go func() {
		defer readers.Done()
		for !stop.Load() {
			if !e.peer.pull(1+rand.IntN(3), nil) {
				runtime.Gosched()
			}
		}
	}()
}

// serve reads the connection as a waiter does whose wait ends with it.
func (e *ringEnd) serve() {
	e.poller.AddSource(e.peer)
	e.poller.Wait(context.Background(), &Waiter{For: e}, nil)
}

// What goes by ring and what goes by socket is one sequence, from before the
// rings until long after, in both directions, whoever reads.
func TestRingsKeepTheOrder(t *testing.T) {
	leaktest.Check(t)
	const senders, each = 6, 1500
	a, b := ringEnds(t)
	var stop atomic.Bool
	var sending, reading sync.WaitGroup
	for _, e := range []*ringEnd{a, b} {
		e.want.Store(senders * each)
		e.pull(&stop, &reading)
		for s := range uint64(senders) {
			sending.Add(1)
			go func() {
				defer sending.Done()
				rnd := rand.New(rand.NewPCG(s, 7))
				for n := uint64(1); n <= each; n++ {
					if err := e.some(rnd, s, n); err != nil {
						t.Error(err)
						return
					}
				}
			}()
		}
	}
	if err := a.upgrade(); err != nil {
		t.Fatal(err)
	}
	b.upgraded()
	sending.Wait()
	<-a.all
	<-b.all
	stop.Store(true)
	reading.Wait()
	a.peer.Close()
	b.peer.Close()
	_, _ = a.end(), b.end()
	for _, e := range []*ringEnd{a, b} {
		for _, kind := range []string{"message", "control", "large", "file"} {
			if e.kinds[kind] == 0 {
				t.Errorf("no %s was among them: %v", kind, e.kinds)
			}
		}
	}
}

// What a peer had put into the ring before it was gone is delivered, before the
// end is.
func TestRingsAreReadToTheEnd(t *testing.T) {
	leaktest.Check(t)
	a, b := ringEnds(t)
	if err := a.upgrade(); err != nil {
		t.Fatal(err)
	}
	const n = 100
	for i := uint64(1); i <= n; i++ {
		if err := a.peer.Send(wire.AppendNotify(nil, "last words", numbered(0, i, 0, 0), nil), nil); err != nil {
			t.Fatal(err)
		}
	}
	_ = a.end()
	if err := b.gone(); b.last[0] != n {
		t.Errorf("%d of %d came, then %v", b.last[0], n, err)
	}
}

// An upgrade that is declined leaves nothing behind, and the connection goes on.
func TestRingsDeclined(t *testing.T) {
	gc := debug.SetGCPercent(-1) // which would close what nobody did
	t.Cleanup(func() { debug.SetGCPercent(gc) })
	leaktest.Check(t)
	a, b := ringEnds(t)
	b.refuse.Store(true)
	for range 3 {
		if err := a.upgrade(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("asked: %v", err)
		}
	}
	b.peer.files.mu.Lock()
	if n := len(b.peer.files.files); n != 0 {
		t.Errorf("%d descriptors of a declined upgrade are held", n)
	}
	b.peer.files.mu.Unlock()
	b.refuse.Store(false)
	if err := a.upgrade(); err != nil {
		t.Errorf("asked again: %v", err)
	}
	_, _ = a.end(), b.end()
}

// An actor that is ending takes no rings, and that is not for want of anything.
func TestRingsOfferedToOneWhoEnds(t *testing.T) {
	leaktest.Check(t)
	a, b := ringEnds(t)
	b.ending.Store(true)
	for range 2 {
		if err := a.upgrade(); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("asked: %v", err)
		}
	}
	a.end()
	b.gone()
}

// Of an upgrade that is under way when the connection ends, one hears once.
func TestRingsOfferedAtTheEnd(t *testing.T) {
	leaktest.Check(t)
	for i := range 200 {
		a, b := ringEnds(t)
		done := make(chan error, 2)
		go func() {
			for range i * 10 {
				runtime.Gosched()
			}
			if i%2 == 0 {
				a.peer.Close()
			} else {
				b.peer.Close()
			}
		}()
		a.peer.Upgrade(func(err error) { done <- err })
		<-done
		_, _ = a.end(), b.end()
		if len(done) > 0 {
			t.Fatal(fmt.Errorf("told twice: %v", <-done))
		}
	}
}
