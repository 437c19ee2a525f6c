package runtime

import (
	"errors"
	"fmt"
	"slices"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/mailbox"
)

// connection is a connection to one incarnation.
type connection struct {
	dialect

	conn     *conn.Conn
	progress *mailbox.Progress // nil in plain mode
	inc      actor.Incarnation
	pid      int
	same     bool      // same build
	inst     *Instance // if it is supervised in this process
	kept     bool      // the connection is the instance's own and outlives the sender
	dead     bool      // it ended before it stood; guarded by the sender's lock
	unused   bool      // it came too late: its end is all that is awaited; likewise
	rings    int       // messages until the peer is asked for rings; 0: never, or it was
	pings    bool      // it answers pings also while a handler is busy
	connects bool      // it takes connections of others
	unpaced  bool      // it does not tell what is begun
	paged    bool      // progress is the receiver's page, which we can only read
	fault    error     // what the receiver did against the protocol; guarded by the sender's lock

	capacity, capBytes int // what the receiver lets wait; 0: the default
}

// newConnection returns a connection whose receiver speaks the protocol.
func newConnection() *connection {
	c := new(connection)
	c.dialect = full{c}
	return c
}

// violated ends the connection for what its receiver did against the protocol; a
// process that is supervised here ends with it. The sender's lock is held.
func (c *connection) violated(err error) {
	if c.fault == nil {
		c.fault = err
	}
	if c.kept {
		c.inst.backend.accuse(err)
	}
	c.conn.Close() // its reader tells us of the end
}

// release gives the progress page back. A connection that is kept leaves it to its
// instance.
func (c *connection) release() {
	if !c.kept && c.progress != nil {
		c.progress.Close()
		c.progress = nil
	}
}

func (c *connection) close() {
	if c.kept {
		return
	}
	c.conn.Close()
}

// dialect is what differs between receivers that speak the protocol in full, and
// those that speak plain MessagePack-RPC. The sender's lock is held in all of it.
type dialect interface {
	// metadata reports whether a message may have any.
	metadata() bool
	// body returns what is sent of a message, or why it cannot be.
	body(c *sender, m *mailbox.Message) ([]byte, error)
	// granted reports whether the next message may be sent now. If not, and if
	// tells, the sender is told when it may; else it looks again.
	granted(credit bool) bool
	// tells sees to it that the sender is told when there is room. It is false if
	// there is, and nothing would tell.
	tells(c *sender) bool
	// wrote notes that a message was sent.
	wrote(c *sender, m *mailbox.Message)
	// begun returns the position up to which all is begun.
	begun(c *sender) uint64
	// busy reports whether the message at a position is begun and not over;
	// inHand are all of them.
	busy(position uint64) bool
	inHand() map[uint64]bool
	// tell sends a control notification, if the receiver understands any.
	tell(method string, params []byte)
	// cutOff says whether a call that the end of the connection cut off had been begun.
	cutOff() actor.Begun
}

// full is the protocol.
type full struct{ c *connection }

func (full) metadata() bool { return true }

func (full) body(_ *sender, m *mailbox.Message) ([]byte, error) { return m.Body, nil }

// granted is false for what was put in when more was granted, or before there
// was a connection.
func (full) granted(credit bool) bool { return credit }

// tells asks the receiver to say when half of what is on its way is begun. It is
// false when all of it is.
func (f full) tells(s *sender) bool {
	s.prune()
	n := s.out.Sent()
	begun := f.c.progress.Begun()
	if n <= begun {
		s.prune()
		return false
	}
	_ = f.c.conn.Notify(ctlWant, codec.Params(begun+(n-begun+1)/2))
	return true
}

// wrote asks to be told when a cast with arrays is begun, so that they are let go
// as soon as can be. The receiver of a call holds them until it answers, and
// that tells, too.
func (f full) wrote(s *sender, m *mailbox.Message) {
	if len(m.Segments) > 0 && !m.Call {
		_ = f.c.conn.Notify(ctlWant, codec.Params(s.out.Sent()))
	}
}

func (f full) begun(*sender) uint64              { return f.c.progress.Begun() }
func (f full) tell(method string, params []byte) { _ = f.c.conn.Notify(method, params) }
func (full) cutOff() actor.Begun                 { return actor.BegunYes }

func (f full) busy(position uint64) bool {
	for p := range f.c.progress.InHand() {
		if p == position {
			return true
		}
	}
	return false
}

func (f full) inHand() map[uint64]bool {
	all := make(map[uint64]bool)
	for p := range f.c.progress.InHand() {
		all[p] = true
	}
	return all
}

// plain is MessagePack-RPC alone: the bare envelope, no control messages, and no
// word on what is begun. So what is written counts as begun.
type plain struct{ c *connection }

// plainBuffer bounds what waits in the connection to a peer without credits,
// in bytes.
const plainBuffer = 1 << 20

func (plain) metadata() bool { return false }

// body refuses what plain MessagePack-RPC has no words for.
func (plain) body(s *sender, m *mailbox.Message) ([]byte, error) {
	call := s.calls[m.ID]
	switch body := withoutMeta(m); {
	case len(m.Segments) > 0:
		return nil, fmt.Errorf("%s speaks plain MessagePack-RPC, which cannot carry arrays: %w", s.target.path, errors.ErrUnsupported)
	case m.Call && call != nil && call.items != nil:
		return nil, fmt.Errorf("%s speaks plain MessagePack-RPC, which has no streams: %w", s.target.path, errors.ErrUnsupported)
	case len(body) > s.sys.opts.Inline:
		return nil, fmt.Errorf("%d bytes to %s, which speaks plain MessagePack-RPC, limit %d: %w", len(body), s.target.path, s.sys.opts.Inline, actor.ErrTooLarge)
	default:
		return body, nil
	}
}

// withoutMeta is the message without its metadata, which a strict peer does not
// understand. It may have been encoded before it was known who would get it.
func withoutMeta(m *mailbox.Message) []byte {
	if m.Meta == 0 {
		return m.Body
	}
	b := slices.Clone(m.Body[:len(m.Body)-m.Meta])
	b[0]-- // one element less
	return b
}

func (p plain) granted(bool) bool { return p.c.conn.Buffered() <= plainBuffer }

func (plain) tells(*sender) bool                  { return true } // the connection does, when it has written
func (plain) wrote(s *sender, _ *mailbox.Message) { s.begunUpTo(s.out.Sent()) }
func (plain) begun(s *sender) uint64              { return s.out.Sent() }
func (plain) busy(uint64) bool                    { return false }
func (plain) inHand() map[uint64]bool             { return nil }
func (plain) tell(string, []byte)                 {}
func (plain) cutOff() actor.Begun                 { return actor.BegunUnknown }
