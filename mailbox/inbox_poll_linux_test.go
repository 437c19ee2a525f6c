package mailbox

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/transport"
)

// linkEnd is one end of a connection; its handler counts on nothing but what it is told.
type linkEnd struct {
	t      testing.TB
	peer   *conn.Conn
	bell   *transport.Doorbell
	ringed chan struct{}
	closed chan error
}

func newLinkEnd(t testing.TB, fd int, h conn.Handler) *linkEnd {
	t.Helper()
	bell, err := transport.NewDoorbell()
	if err != nil {
		t.Fatal(err)
	}
	lane, err := transport.NewSocket(os.NewFile(uintptr(fd), "socket"), &wire.Scanner{}, transport.WithFileCount(conn.FileCount))
	if err != nil {
		t.Fatal(err)
	}
	e := &linkEnd{t: t, bell: bell, ringed: make(chan struct{}, 8), closed: make(chan error, 1)}
	if h == nil {
		h = e
	}
	e.peer = conn.New(lane, h, conn.Options{})
	return e
}

// offer makes rings; it returns when this side has them.
func (e *linkEnd) offer() error {
	stands := make(chan error, 1)
	e.peer.Upgrade(e.bell, func(err error) { stands <- err })
	return <-stands
}

func (e *linkEnd) end() error {
	e.peer.Close()
	err := <-e.closed
	e.bell.Close()
	return err
}

func (e *linkEnd) Doorbell() (*transport.Doorbell, error) { return e.bell, nil }
func (e *linkEnd) Upgraded(*conn.Conn)                    { e.ringed <- struct{}{} }
func (e *linkEnd) Message(m *conn.Incoming)               { m.Drop() }
func (e *linkEnd) Control(*conn.Incoming)                 {}
func (e *linkEnd) Reply(_ uint32, r conn.Reply)           { r.Drop() }
func (e *linkEnd) Closed(err error)                       { e.closed <- err }

// feeder is the receiving end of a link, which feeds an inbox.
type feeder struct {
	*linkEnd
	in    *Inbox
	queue *Queue
	marks *Progress
	from  int
}

func (f *feeder) Doorbell() (*transport.Doorbell, error) { return f.in.Doorbell() }
func (f *feeder) Upgraded(p *conn.Conn)                  { f.queue.AddRings(p); f.ringed <- struct{}{} }
func (f *feeder) Closed(err error)                       { f.queue.Close(); f.closed <- err }

func (f *feeder) Message(m *conn.Incoming) {
	m.From = f
	if err := f.queue.Push(m); err != nil {
		f.t.Error(err)
	}
}

// feed makes a link into an inbox; the result is the sender's end.
func feed(t testing.TB, in *Inbox, from, capacity int) (*feeder, *linkEnd) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := &feeder{in: in, marks: NewProgress(), from: from}
	f.linkEnd = newLinkEnd(t, fds[0], f)
	f.queue = in.NewQueue(f.marks, capacity, 1<<30, func(uint64) {})
	sender := newLinkEnd(t, fds[1], nil)
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
	in := NewInbox(0)
	f, sender := feed(t, in, 1, 10)
	if err := sender.offer(); err != nil {
		t.Fatal(err)
	}
	<-f.ringed
	// An actor whose every message brings the next one.
	self := in.NewQueue(NewProgress(), 10, 1<<30, func(uint64) {})
	again := func() {
		if err := self.Push(&conn.Incoming{Method: "tick"}); err != nil {
			t.Error(err)
		}
	}
	again()
	if err := sender.peer.Send(note("note", 1, 0), nil); err != nil {
		t.Fatal(err)
	}
	for n := 1; ; n++ {
		q, m, ok := in.Next(0, nil)
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
	self.Close()
	_, _ = sender.end(), f.end()
	in.CloseDoorbell()
}

// Who waits for an inbox to be empty hears that a link has taken along what
// nobody had read.
func TestWaitEmptyWithoutTheLink(t *testing.T) {
	leaktest.Check(t)
	in := NewInbox(0)
	f, sender := feed(t, in, 1, 10)
	if err := sender.offer(); err != nil {
		t.Fatal(err)
	}
	<-f.ringed
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
	in.CloseDoorbell()
}

// A slot that sleeps lets the memory of a link go that has ended.
func TestSleepingSlotKeepsNoRings(t *testing.T) {
	leaktest.Check(t)
	in := NewInbox(-1)
	f, sender := feed(t, in, 1, 10)
	if err := sender.offer(); err != nil {
		t.Fatal(err)
	}
	<-f.ringed
	slept := make(chan struct{})
	go func() {
		defer close(slept)
		in.Next(0, nil)
	}()
	for !in.parked.Load() {
		runtime.Gosched()
	}
	if n := ringMappings(t); n != 4 {
		t.Errorf("%d mappings of rings, want two at each end", n)
	}
	_, _ = sender.end(), f.end()
	for ringMappings(t) > 0 {
		runtime.Gosched()
	}
	in.mu.Lock()
	if len(in.rings) != 0 {
		t.Errorf("%d rings are known still", len(in.rings))
	}
	in.mu.Unlock()
	in.Close()
	<-slept
	in.CloseDoorbell()
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

// A message that comes while the slot is about to sleep is begun at once: no
// other follows to wake it.
func TestWatcherLooksBeforeItSleeps(t *testing.T) {
	for _, spin := range []time.Duration{0, -1} {
		t.Run(fmt.Sprintf("spin %d", int(spin)), func(t *testing.T) {
			leaktest.Check(t)
			in := NewInbox(spin)
			f, sender := feed(t, in, 0, 10)
			if err := sender.offer(); err != nil {
				t.Fatal(err)
			}
			<-f.ringed
			var slot sync.WaitGroup
			slot.Go(func() {
				for {
					q, m, ok := in.Next(0, nil)
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
				for f.marks.Begun() < n {
					runtime.Gosched()
				}
				for range rnd.IntN(8000) { // until somewhere on its way to sleep
					in.parked.Load()
				}
			}
			in.Close()
			slot.Wait()
			_, _ = sender.end(), f.end()
			in.CloseDoorbell()
		})
	}
}

// Some slots and many links, which come and go: each message is begun once, in
// its sender's order, and no slot sleeps beside one. With one slot the links
// begin without rings and lend the reader's place.
func TestWatchManyLinks(t *testing.T) {
	for _, slots := range []int{1, 3} {
		for _, spin := range []time.Duration{0, -1} {
			t.Run(fmt.Sprintf("%d slots, spin %d", slots, int(spin)), func(t *testing.T) {
				leaktest.Check(t)
				watchManyLinks(t, slots, NewInbox(spin))
			})
		}
	}
}

func watchManyLinks(t *testing.T, slots int, in *Inbox) {
	const links, each = 8, 400
	begun := make([]uint64, links) // written with the inbox locked
	var working, sending sync.WaitGroup
	for slot := range slots {
		working.Go(func() {
			for {
				q, m, ok := in.Next(slot, func(m *conn.Incoming) {
					from := m.From.(*feeder)
					var sender, n uint64
					if err := codec.DecodeParams(m.Params, &sender, &n); err != nil || n != begun[from.from]+1 {
						t.Errorf("message %d of link %d came behind %d (%v)", n, from.from, begun[from.from], err)
					}
					begun[from.from] = n
				})
				if !ok {
					return
				}
				m.Drop()
				q.End(slot, true)
			}
		})
	}
	for i := range links {
		sending.Go(func() {
			f, sender := feed(t, in, i, each)
			if slots == 1 {
				f.queue.ReadBy(f.peer)
			}
			rnd := rand.New(rand.NewPCG(uint64(i), 5))
			for n := uint64(1); n <= each; n++ {
				if n == uint64(1+i*10) && i%4 != 3 { // some never get rings
					if err := sender.offer(); err != nil {
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
			for f.marks.Begun() < each {
				runtime.Gosched() // links end while others go on
			}
			_, _ = sender.end(), f.end()
		})
	}
	sending.Wait()
	in.Close()
	working.Wait()
	in.CloseDoorbell()
}

// The last look comes behind the wish for the bell, and sees all that there is
// to see: a record, what others have put in.
func TestSlotLooksLast(t *testing.T) {
	leaktest.Check(t)
	in := NewInbox(-1)
	f, sender := feed(t, in, 0, 10)
	if err := sender.offer(); err != nil {
		t.Fatal(err)
	}
	<-f.ringed
	r := f.peer.RingIn.Load()
	r.T.Enter()
	defer r.T.Leave()
	slot := slotCheck{in: in, rings: []*conn.RingPair{r}, peers: []*conn.Conn{f.peer}, stirred: in.wakes.Load()}
	if slot.asleep() || !in.parked.Load() {
		t.Error("not asleep beside an empty ring")
	}
	in.parked.Store(false)
	if err := sender.peer.Send(note("note", 1, 0), nil); err != nil {
		t.Fatal(err)
	}
	if !slot.asleep() {
		t.Error("asleep beside a record")
	}
	in.parked.Store(false)
	f.peer.Pull(1)
	if !slot.asleep() { // what was pulled is in the inbox
		t.Error("asleep beside a message")
	}
	_, _ = sender.end(), f.end()
	in.Close()
	in.CloseDoorbell()
}

// A slot that waits in the place of one link begins what comes by another.
func TestInboxWithAGuest(t *testing.T) {
	in := NewInbox(0)
	var feeders [2]*feeder
	var senders [2]*linkEnd
	for i := range feeders {
		feeders[i], senders[i] = feed(t, in, i, 10)
		feeders[i].queue.ReadBy(feeders[i].peer)
	}
	say := func(i int, method string) {
		if err := senders[i].peer.Send(note(method, 1, 0), nil); err != nil {
			t.Fatal(err)
		}
	}
	const often = 16 // messages in a row before the reading goroutine surely lends its place
	next := func() string {
		q, m, ok := in.Next(0, nil)
		if !ok {
			return "closed"
		}
		defer q.End(0, true)
		defer m.Drop()
		return m.Method
	}
	begun := make(chan string)
	waiting := func() {
		for {
			in.mu.Lock()
			w := in.waits > 0 || in.guest != nil
			in.mu.Unlock()
			if w {
				return
			}
		}
	}
	go func() {
		for m := ""; m != "closed"; {
			m = next()
			begun <- m
		}
	}()
	asGuest := false
	for range 3 {
		for range often {
			waiting()
			in.mu.Lock()
			asGuest = asGuest || in.guest == feeders[0].queue
			in.mu.Unlock()
			say(0, "first")
			if got := <-begun; got != "first" {
				t.Fatalf("begun %q", got)
			}
		}
		waiting()
		say(1, "second")
		if got := <-begun; got != "second" {
			t.Fatalf("begun %q", got)
		}
	}
	if !asGuest {
		t.Error("the slot never waited in the reader's place")
	}
	for range often {
		waiting()
		say(0, "first")
		<-begun
	}
	waiting()
	in.Close()
	if got := <-begun; got != "closed" {
		t.Errorf("begun %q after the inbox was closed", got)
	}
	for i := range feeders {
		_, _ = senders[i].end(), feeders[i].end()
	}
	in.CloseDoorbell()
}
