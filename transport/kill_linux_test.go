package transport_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/sys"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/mailbox"
	"github.com/understudy-go/understudy/transport"
)

// One side of a connection is killed at every step that it makes, with the whole of
// the mailbox above its rings: what has been begun has been begun once, and what
// has not been is the replacement's. A killed side is one whose goroutines stop
// for ever, which they do at the next step.

// process is what one side does. The point-th of its steps is its last.
type process struct {
	point int

	mu      sync.Mutex
	steps   []string
	killed  bool
	dead    chan struct{} // closed when it is
	release chan struct{} // closed when the test is over, so that nothing is left
}

func newProcess(point int) *process {
	return &process{point: point, dead: make(chan struct{}), release: make(chan struct{})}
}

func (p *process) step(name string) {
	p.mu.Lock()
	if len(p.steps) == p.point && !p.killed {
		p.killed = true
		close(p.dead)
	}
	p.steps = append(p.steps, name)
	killed := p.killed
	p.mu.Unlock()
	if killed {
		<-p.release
	}
}

func (p *process) isDead() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

func (p *process) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.steps[min(p.point, len(p.steps)-1)]
}

// receiver is an actor's side: one slot.
type receiver struct {
	p        *process
	peer     *conn.Conn
	in       *mailbox.Inbox
	queue    *mailbox.Queue
	progress *mailbox.Progress
	closed   chan struct{}
	slot     sync.WaitGroup
	begun    []uint32 // by the slot
}

func (r *receiver) AcceptUpgrade() error         { return nil }
func (r *receiver) Control(*conn.Incoming)       {}
func (r *receiver) Reply(_ uint32, a conn.Reply) { a.Drop() }
func (r *receiver) Closed(error)                 { r.queue.Close(false); close(r.closed) }

func (r *receiver) Message(m *conn.Incoming) {
	r.p.step("delivered")
	_, _ = r.queue.Push(m)
	r.p.step("pushed")
}

func (r *receiver) work() {
	s := r.in.Slot(0, func(m *conn.Incoming) {
		r.begun = append(r.begun, uint32(m.ID))
		r.p.step("begun")
	})
	for {
		q, m, ok := s.Next()
		if !ok {
			return
		}
		m.Drop()
		r.p.step("handled")
		q.End(0, true)
		r.p.step("ended")
	}
}

// sender is the other side.
type sender struct {
	peer   *conn.Conn
	closed chan struct{}
}

func (s *sender) Message(m *conn.Incoming)     { m.Drop() }
func (s *sender) Control(*conn.Incoming)       {}
func (s *sender) Reply(_ uint32, a conn.Reply) { a.Drop() }
func (s *sender) Closed(error)                 { close(s.closed) }

// life is a connection with rings between two processes.
type life struct {
	*receiver
	from *sender
	at   *process // the sender's
}

// live makes a connection. The sender's steps are at's.
func live(t *testing.T, to, at *process) *life {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	peer := func(fd int, h conn.Handler) *conn.Conn {
		socket, err := transport.NewSocket(os.NewFile(uintptr(fd), "socket"), new(wire.Scanner).Frame, transport.SocketOptions{Files: conn.FileCount})
		if err != nil {
			t.Fatal(err)
		}
		return conn.New(socket, h, conn.Options{})
	}
	l := &life{receiver: &receiver{p: to, in: mailbox.NewInbox(1, -1), progress: mailbox.NewProgress(), closed: make(chan struct{})},
		from: &sender{closed: make(chan struct{})}, at: at}
	l.queue = l.in.NewQueue(l.progress, 100, 1<<20, func(uint64) {})
	l.peer, l.from.peer = peer(fds[0], l.receiver), peer(fds[1], l.from)
	restore := transport.HookRings(func(ring int, step string) {
		if ring == 0 { // who is asked joins first
			to.step(step)
		} else {
			at.step(step)
		}
	})
	l.peer.Start()
	l.from.peer.Start()
	stands := make(chan error, 1)
	l.from.peer.Upgrade(func(err error) { stands <- err })
	if err := <-stands; err != nil {
		t.Fatal(err)
	}
	for l.peer.RingIn.Load() == nil {
		runtime.Gosched()
	}
	l.queue.ReadFrom(l.peer)
	restore()
	return l
}

// bury ends a life, of whose sides one may be dead.
func (l *life) bury() {
	close(l.p.release)
	close(l.at.release)
	l.in.Close()
	l.slot.Wait()
	l.peer.Close()
	l.from.peer.Close()
	<-l.closed
	<-l.from.closed
}

const killMessages = 4

func killMessage(id uint32) *mailbox.Message {
	return &mailbox.Message{ID: id, Call: true, Body: wire.AppendRequest(nil, uint64(id), "m", nil, nil)}
}

// flush sends what the outbox has; together: without waiting for the receiver
// to begin each.
func (l *life) flush(out *mailbox.Outbox, together bool) {
	for {
		m, _ := out.PeekUnsent()
		if m == nil {
			return
		}
		l.at.step("about to send")
		if err := l.from.peer.Send(m.Body, nil); err != nil {
			return
		}
		out.NextUnsent()
		l.at.step("sent")
		for !together && l.progress.Begun() < out.Sent() && !l.p.isDead() && !l.at.isDead() {
			runtime.Gosched()
		}
	}
}

// killCase is how messages come, and how the receiver waits for them.
type killCase struct{ together, onChannel bool }

var killCases = []killCase{{true, false}, {false, false}, {false, true}}

func (c killCase) String() string {
	return fmt.Sprintf("together %v, asleep on a channel %v", c.together, c.onChannel)
}

// never is a process that is not killed.
func never() *process { return newProcess(-1) }

// The receiver is killed: what it has begun is not sent again, all else is, in
// order.
func TestReceiverKilledAtEachStep(t *testing.T) {
	for _, c := range killCases {
		t.Run(c.String(), func(t *testing.T) {
			leaktest.Check(t)
			together := c.together
			sys.Threads.Off.Store(c.onChannel)
			defer sys.Threads.Off.Store(false)
			for point := 0; ; point++ {
				to := newProcess(point)
				l := live(t, to, never())
				out := &mailbox.Outbox{Capacity: 100, CapacityBytes: 1 << 20}
				for id := range uint32(killMessages) {
					out.Push(killMessage(id + 1))
				}
				if together {
					l.flush(out, true)
				}
				l.slot.Go(l.work)
				l.flush(out, false)
				for !to.isDead() && l.progress.Begun() < killMessages {
					runtime.Gosched()
				}
				survived := !to.isDead()
				// The end of the connection: the progress page is read for the last time.
				var first []uint32
				out.Begun(l.progress.Begun(), func(_ uint64, m *mailbox.Message) { first = append(first, m.ID) })
				out.Reset(func(m *mailbox.Message, cancelled bool) bool { return cancelled })
				if !survived && !slices.Equal(first, l.begun) { // the slot stands still
					t.Fatalf("killed at step %d (%s): begun %v, of which the sender knows %v", point, to.last(), l.begun, first)
				}
				second := replace(t, out)
				if all := append(first, second...); !slices.Equal(all, []uint32{1, 2, 3, 4}) {
					t.Fatalf("killed at step %d (%s): begun %v, and %v by the replacement", point, to.last(), first, second)
				}
				l.bury()
				if survived {
					if point < 20 {
						t.Fatalf("there must be more steps: %v", to.steps)
					}
					return
				}
			}
		})
	}
}

// replace begins all that an outbox has left.
func replace(t *testing.T, out *mailbox.Outbox) []uint32 {
	t.Helper()
	l := live(t, never(), never())
	l.slot.Go(l.work)
	n := uint64(out.Len())
	l.flush(out, true)
	for l.progress.Begun() < n {
		runtime.Gosched()
	}
	l.bury()
	return l.begun
}

// The sender is killed: what it has published is begun at most once, in order,
// and nothing that it had only half written.
func TestSenderKilledAtEachStep(t *testing.T) {
	for _, c := range killCases {
		t.Run(c.String(), func(t *testing.T) {
			leaktest.Check(t)
			together := c.together
			sys.Threads.Off.Store(c.onChannel)
			defer sys.Threads.Off.Store(false)
			for point := 0; ; point++ {
				at := newProcess(point)
				l := live(t, never(), at)
				if !together {
					l.slot.Go(l.work)
				}
				out := &mailbox.Outbox{Capacity: 100, CapacityBytes: 1 << 20}
				for id := range uint32(killMessages) {
					out.Push(killMessage(id + 1))
				}
				done := make(chan struct{})
				go func() { defer close(done); l.flush(out, together) }()
				survived := false
				select {
				case <-at.dead:
				case <-done:
					survived = !at.isDead()
				}
				at.mu.Lock()
				published := 0
				for _, s := range at.steps[:min(len(at.steps), point+1)] {
					if s == "tail published" {
						published++
					}
				}
				at.mu.Unlock()
				if together { // so that all that is published waits when the end comes
					l.slot.Go(l.work)
				}
				if !survived {
					l.from.peer.Close() // the kernel does, for a process that is dead
					<-l.closed
				}
				for survived && l.progress.Begun() < killMessages {
					runtime.Gosched()
				}
				last := at.last()
				l.bury()
				<-done
				if len(l.begun) > published || !slices.Equal(l.begun, []uint32{1, 2, 3, 4}[:len(l.begun)]) {
					t.Fatalf("killed at step %d (%s): %d were published, begun %v", point, last, published, l.begun)
				}
				if survived {
					if len(l.begun) != killMessages || point < 20 {
						t.Fatalf("begun %v in %d steps", l.begun, point)
					}
					return
				}
			}
		})
	}
}
