package runtime

import (
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/mailbox"
	"github.com/understudy-go/understudy/transport"
)

type noHandler struct{}

func (noHandler) Message(m *conn.Incoming)     { m.Drop() }
func (noHandler) Control(*conn.Incoming)       {}
func (noHandler) Reply(_ uint32, r conn.Reply) { r.Drop() }
func (noHandler) Closed(error)                 {}

// A connection that breaks while messages and senders wait must not be tried for
// ever under the sender's lock: its end needs the lock.
func TestSenderGivesUpABrokenConnection(t *testing.T) {
	sys := newSystem("test", SystemOptions{})
	defer sys.cancel(actor.ErrStopped)
	s := sys.target("/x", "x").get()
	near, far := transport.Pipe()
	c := newConnection()
	c.progress, c.kept, c.capacity = mailbox.NewProgress(), true, 1
	c.conn = conn.New(near, noHandler{}, conn.Options{})
	_ = far.Close()
	c.conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.Push(&mailbox.Message{Method: "m", Body: []byte{0x93, 2, 0xa1, 'm', 0x90}})
	s.waiters = append(s.waiters, make(chan struct{}))
	s.up(c) // it returned never
	if s.out.Len() != 1 || len(s.waiters) != 1 {
		t.Errorf("%d messages and %d senders wait; they should, for the next connection", s.out.Len(), len(s.waiters))
	}
}
