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
	c := sys.target("/x", "x").get()
	near, far := transport.Pipe()
	l := newConnection()
	l.progress, l.kept, l.capacity = mailbox.NewProgress(), true, 1
	l.conn = conn.New(near, noHandler{}, conn.Options{})
	_ = far.Close()
	l.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.Push(&mailbox.Message{Method: "m", Body: []byte{0x93, 2, 0xa1, 'm', 0x90}})
	c.waiters = append(c.waiters, make(chan struct{}))
	c.up(l) // it returned never
	if c.out.Len() != 1 || len(c.waiters) != 1 {
		t.Errorf("%d messages and %d senders wait; they should, for the next connection", c.out.Len(), len(c.waiters))
	}
}
