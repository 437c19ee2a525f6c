package mailbox

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/sys"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/transport"
)

// linkEnd is one end of a connection; its handler counts on nothing but what it is told.
type linkEnd struct {
	t      testing.TB
	peer   *conn.Conn
	closed chan error
}

func newLinkEnd(t testing.TB, fd int, h conn.Handler) *linkEnd {
	t.Helper()
	socket, err := transport.NewSocket(os.NewFile(uintptr(fd), "socket"), new(wire.Scanner).Frame, transport.SocketOptions{Files: conn.FileCount})
	if err != nil {
		t.Fatal(err)
	}
	e := &linkEnd{t: t, closed: make(chan error, 1)}
	if h == nil {
		h = e
	}
	e.peer = conn.New(socket, h, conn.Options{})
	return e
}

// upgrade makes rings; it returns when this side has them.
func (e *linkEnd) upgrade() error {
	stands := make(chan error, 1)
	e.peer.Upgrade(func(err error) { stands <- err })
	return <-stands
}

func (e *linkEnd) end() error {
	e.peer.Close()
	return <-e.closed
}

// upgraded waits until this side has rings.
func (e *linkEnd) upgraded() {
	for e.peer.RingIn.Load() == nil {
		runtime.Gosched()
	}
}

func (e *linkEnd) AcceptUpgrade() error         { return nil }
func (e *linkEnd) Message(m *conn.Incoming)     { m.Drop() }
func (e *linkEnd) Control(*conn.Incoming)       {}
func (e *linkEnd) Reply(_ uint32, r conn.Reply) { r.Drop() }
func (e *linkEnd) Closed(err error)             { e.closed <- err }

// feeder is the receiving end of a connection, which feeds an inbox.
type feeder struct {
	*linkEnd
	in       *Inbox
	queue    *Queue
	progress *Progress
	from     int

	onControl func(*conn.Incoming)
}

func (f *feeder) Control(m *conn.Incoming) {
	if f.onControl != nil {
		f.onControl(m)
	}
}

func (f *feeder) Closed(err error) { f.queue.Close(false); f.closed <- err }

func (f *feeder) Message(m *conn.Incoming) {
	m.From = f
	if _, err := f.queue.Push(m); err != nil {
		f.t.Error(err)
	}
}

// feed makes a connection into an inbox; the result is the sender's end.
func feed(t testing.TB, in *Inbox, from, capacity int) (*feeder, *linkEnd) {
	t.Helper()
	return feedFrom(t, in, from, capacity, nil)
}

// feedFrom is feed with a handler at the sender's end.
func feedFrom(t testing.TB, in *Inbox, from, capacity int, h conn.Handler) (*feeder, *linkEnd) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := &feeder{in: in, progress: NewProgress(), from: from}
	f.linkEnd = newLinkEnd(t, fds[0], f)
	f.queue = in.NewQueue(f.progress, capacity, 1<<30, func(uint64) {})
	f.queue.ReadFrom(f.peer)
	sender := newLinkEnd(t, fds[1], h)
	f.peer.Start()
	sender.peer.Start()
	return f, sender
}

// note is message n of sender 0, with size bytes more.
func note(method string, n uint64, size int) []byte {
	b := codec.Params(0, n, 0, 0)
	b = append(b[:len(b)-1], 0xc6, byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
	return wire.AppendNotify(nil, method, append(b, make([]byte, size)...), nil)
}

// Slots that always find work look at the rings all the same.
func TestRingsAreNotStarved(t *testing.T) {
	leaktest.Check(t)
	in := NewInbox(1, 0)
	f, sender := feed(t, in, 1, 10)
	if err := sender.upgrade(); err != nil {
		t.Fatal(err)
	}
	f.upgraded()
	// An actor whose every message brings the next one.
	self := in.NewQueue(NewProgress(), 10, 1<<30, func(uint64) {})
	again := func() {
		if _, err := self.Push(&conn.Incoming{Method: "tick"}); err != nil {
			t.Error(err)
		}
	}
	again()
	if err := sender.peer.Send(note("note", 1, 0), nil); err != nil {
		t.Fatal(err)
	}
	slot := in.Slot(0, nil)
	for n := 1; ; n++ {
		q, m, ok := slot.Next()
		if !ok || n > 3*conn.PullBatch {
			t.Fatalf("%d messages were begun, and none of the ring", n)
		}
		method := m.Method
		m.Drop()
		q.End(0, true)
		if method == "note" {
			break
		}
		again()
	}
	in.Close()
	self.Close(false)
	_, _ = sender.end(), f.end()
}

// Who waits for an inbox to be empty hears that a connection has taken along what
// nobody had read.
func TestWaitEmptyWithoutTheConnection(t *testing.T) {
	leaktest.Check(t)
	in := NewInbox(1, 0)
	f, sender := feed(t, in, 1, 10)
	if err := sender.upgrade(); err != nil {
		t.Fatal(err)
	}
	f.upgraded()
	if err := sender.peer.Send(note("note", 1, 0), nil); err != nil {
		t.Fatal(err)
	}
	empty := make(chan struct{})
	go func() {
		defer close(empty)
		in.WaitEmpty(nil)
	}()
	for waits := false; !waits; runtime.Gosched() {
		in.mu.Lock()
		waits = in.idle != nil
		in.mu.Unlock()
	}
	_, _ = sender.end(), f.end()
	<-empty
	in.Close()
}

// A slot that sleeps lets the memory of a connection go that has ended.
func TestSleepingSlotKeepsNoRings(t *testing.T) {
	leaktest.Check(t)
	in := NewInbox(1, -1)
	f, sender := feed(t, in, 1, 10)
	if err := sender.upgrade(); err != nil {
		t.Fatal(err)
	}
	f.upgraded()
	slept := make(chan struct{})
	go func() {
		defer close(slept)
		in.Slot(0, nil).Next()
	}()
	for !in.poller.Asleep() {
		runtime.Gosched()
	}
	if n := ringMappings(t); n != 4 {
		t.Errorf("%d mappings of rings, want two at each end", n)
	}
	_, _ = sender.end(), f.end()
	for ringMappings(t) > 0 {
		runtime.Gosched()
	}
	in.Close()
	<-slept
}

// ringMappings counts the rings that this process has in its memory.
func ringMappings(t *testing.T) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(maps, []byte("understudy-ring"))
}

// ways are how an idle slot waits.
var ways = []struct {
	name      string
	spin      time.Duration
	noFutexes bool
}{
	{"spinning", 0, false}, {"in the kernel", -1, false}, {"on a channel", -1, true}, {"spinning, on a channel", 0, true},
}

// inAllWays runs a test for each way of waiting.
func inAllWays(t *testing.T, test func(t *testing.T, spin time.Duration)) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			leaktest.Check(t)
			sys.Threads.Off.Store(w.noFutexes)
			defer sys.Threads.Off.Store(false)
			test(t, w.spin)
		})
	}
}

// A message that comes while the slot is about to sleep is begun at once: no
// other follows to wake it.
func TestSlotLooksBeforeItSleeps(t *testing.T) {
	inAllWays(t, func(t *testing.T, spin time.Duration) {
		in := NewInbox(1, spin)
		f, sender := feed(t, in, 0, 10)
		if err := sender.upgrade(); err != nil {
			t.Fatal(err)
		}
		f.upgraded()
		var slot sync.WaitGroup
		slot.Go(func() {
			slot := in.Slot(0, nil)
			for {
				q, m, ok := slot.Next()
				if !ok {
					return
				}
				m.Drop()
				q.End(0, true)
			}
		})
		rnd := rand.New(rand.NewPCG(11, 12))
		for n := uint64(1); n <= 3000; n++ {
			if err := sender.peer.Send(note("note", n, 0), nil); err != nil {
				t.Fatal(err)
			}
			for f.progress.Begun() < n {
				runtime.Gosched()
			}
			for range rnd.IntN(8000) { // until somewhere on its way to sleep
				in.poller.Asleep()
			}
		}
		in.Close()
		slot.Wait()
		_, _ = sender.end(), f.end()
	})
}

// Some slots and many connections, which come and go: each message is begun once,
// in its sender's order, and no slot sleeps beside one. The connections begin
// without rings, and some never get any.
func TestPollManyConnections(t *testing.T) {
	for _, slots := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d slots", slots), func(t *testing.T) {
			inAllWays(t, func(t *testing.T, spin time.Duration) { pollManyConnections(t, slots, NewInbox(slots, spin)) })
		})
	}
}

func pollManyConnections(t *testing.T, slots int, in *Inbox) {
	const connections, each = 8, 400
	begun := make([]uint64, connections) // written with the inbox locked
	var working, sending sync.WaitGroup
	for slot := range slots {
		working.Go(func() {
			s := in.Slot(slot, func(m *conn.Incoming) {
				from := m.From.(*feeder)
				var sender, n uint64
				if err := codec.DecodeParams(m.Params, &sender, &n); err != nil || n != begun[from.from]+1 {
					t.Errorf("message %d of connection %d came behind %d (%v)", n, from.from, begun[from.from], err)
				}
				begun[from.from] = n
			})
			for {
				q, m, ok := s.Next()
				if !ok {
					return
				}
				m.Drop()
				q.End(slot, true)
			}
		})
	}
	for i := range connections {
		sending.Go(func() {
			f, sender := feed(t, in, i, each)
			rnd := rand.New(rand.NewPCG(uint64(i), 5))
			for n := uint64(1); n <= each; n++ {
				if n == uint64(1+i*10) && i%4 != 3 { // some never get rings
					if err := sender.upgrade(); err != nil {
						t.Error(err)
					}
				}
				size := rnd.IntN(300)
				if rnd.IntN(20) == 0 {
					size += transport.MaxRecord
				}
				if err := sender.peer.Send(note("m", n, size), nil); err != nil {
					t.Error(err)
				}
				for range rnd.IntN(4) {
					runtime.Gosched() // so that slots fall asleep between
				}
			}
			for f.progress.Begun() < each {
				runtime.Gosched() // connections end while others go on
			}
			_, _ = sender.end(), f.end()
		})
	}
	sending.Wait()
	in.Close()
	working.Wait()
}

// A message that the slot finds itself while nothing is queued is begun at once,
// and what follows it waits its turn.
func TestSlotBeginsWhatItFinds(t *testing.T) {
	in := NewInbox(1, -1)
	progress := NewProgress()
	q := in.NewQueue(progress, 10, 1<<20, func(uint64) {})
	var begun []uint64
	slot := in.Slot(0, func(m *conn.Incoming) { begun = append(begun, m.ID) })
	push := func(id uint64, by *conn.Waiter, waits bool) {
		if w, err := q.Push(&conn.Incoming{ID: id, By: by}); w != waits || err != nil {
			t.Errorf("message %d waits: %v, %v", id, w, err)
		}
	}
	next := func(id uint64) {
		q, m, ok := slot.Next()
		if !ok || m.ID != id || progress.Begun() != id || !slices.Contains(slices.Collect(progress.InHand()), id) || !slices.Contains(begun, id) {
			t.Fatalf("message %v where %d was due; %v are begun, the last is %d", m, id, begun, progress.Begun())
		}
		q.End(0, true)
	}
	push(1, &slot.wait, false)
	push(2, &slot.wait, true)
	if !slices.Equal(begun, []uint64{1}) || in.len() != 1 {
		t.Errorf("%v are begun, %d wait", begun, in.len())
	}
	next(1)
	push(3, nil, true)
	next(2)
	next(3)
	push(4, nil, true)
	push(5, &slot.wait, true) // behind one that it did not find
	next(4)
	next(5)
	in.Close()
	if push(6, &slot.wait, true); in.len() != 1 {
		t.Error("a message was begun after the end")
	}
	q.Close(false)
}

// A slot that waits at one socket begins what comes by another, and by a queue
// that no connection feeds.
func TestSlotWithTwoSockets(t *testing.T) {
	leaktest.Check(t)
	in := NewInbox(1, 0)
	var feeders [2]*feeder
	var senders [2]*linkEnd
	for i := range feeders {
		feeders[i], senders[i] = feed(t, in, i, 10)
	}
	begun := make(chan string)
	go func() {
		slot := in.Slot(0, nil)
		for {
			q, m, ok := slot.Next()
			if !ok {
				close(begun)
				return
			}
			begun <- m.Method
			m.Drop()
			q.End(0, true)
		}
	}()
	local := in.NewQueue(NewProgress(), 10, 1<<20, func(uint64) {})
	for range 40 {
		for i, method := range []string{"first", "second"} {
			for !in.poller.Asleep() {
				runtime.Gosched()
			}
			if err := senders[i].peer.Send(note(method, 1, 0), nil); err != nil {
				t.Fatal(err)
			}
			if got := <-begun; got != method {
				t.Fatalf("begun %q", got)
			}
		}
		if _, err := local.Push(&conn.Incoming{Method: "local"}); err != nil {
			t.Fatal(err)
		}
		if got := <-begun; got != "local" {
			t.Fatalf("begun %q", got)
		}
	}
	in.Close()
	if got, ok := <-begun; ok {
		t.Errorf("begun %q after the inbox was closed", got)
	}
	for i := range feeders {
		_, _ = senders[i].end(), feeders[i].end()
	}
}

// While a slot serves a stream, its credit is read: the slot reads the socket
// itself no longer.
func TestStreamIsNotLeftUnread(t *testing.T) {
	leaktest.Check(t)
	in := NewInbox(1, -1)
	controls := make(chan string, 1)
	f, sender := feed(t, in, 0, 10)
	f.onControl = func(m *conn.Incoming) { controls <- m.Method }
	slot := in.Slot(0, nil)
	ask := func(meta wire.Meta) {
		begun := make(chan struct{})
		go func() {
			q, m, ok := slot.Next()
			if ok {
				m.Drop()
				q.End(0, true)
			}
			close(begun)
		}()
		for !in.poller.Asleep() {
			runtime.Gosched()
		}
		if err := sender.peer.Send(wire.AppendRequest(nil, 1, "ask", []byte{0x90}, meta.Append(nil)), nil); err != nil {
			t.Fatal(err)
		}
		<-begun
	}
	for !f.peer.ReadByLeader() {
		ask(wire.Meta{})
	}
	ask(wire.Meta{Stream: true})
	if f.peer.ReadByLeader() {
		t.Error("a leader may read still")
	}
	_ = sender.peer.Notify("$/more", []byte{0x90})
	<-controls
	in.Close()
	_, _ = sender.end(), f.end()
}
