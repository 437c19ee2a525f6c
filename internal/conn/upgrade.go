package conn

import (
	"errors"
	"fmt"
	"os"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/transport"
)

// The upgrade of a connection to rings. One side asks and sends its half, the
// other answers with its own; then each says from where on it numbers, first the
// one that asked. Until both have said so, the socket alone carries what they send.

// UpgradeHandler is a [Handler] of a connection whose peer may ask for the upgrade.
type UpgradeHandler interface {
	Handler

	// AcceptUpgrade is asked before rings are made. An error declines;
	// one that wraps [transport.ErrClosed] says that the actor is ending.
	AcceptUpgrade() error
}

// Upgrade asks the peer for rings. done is told, once, whether they stand.
// Upgrade makes system calls and does not wait.
func (c *Conn) Upgrade(done func(error)) {
	t, err := transport.NewRings()
	if err != nil {
		done(err)
		return
	}
	params, err := c.sendRings(t)
	if err != nil {
		t.Close()
		done(err)
		return
	}
	c.Request(methodRing, params, func(r Reply) {
		defer r.Drop()
		if err := c.takeUpgradeAnswer(t, r, done); err != nil {
			t.Close()
			done(err)
		}
	})
}

// takeUpgradeAnswer makes the rings stand if the peer wants them. A peer that
// has said yes does not number before it has heard that we could take its half:
// what it sends meanwhile we would not see.
func (c *Conn) takeUpgradeAnswer(t *transport.Rings, a Reply, done func(error)) error {
	if a.Fault != nil {
		return a.Fault
	}
	switch {
	case a.Err != nil:
		var why string
		_ = codec.DecodeResult(a.Err, &why)
		return fmt.Errorf("the peer declines rings (%s): %w", why, errors.ErrUnsupported)
	case wire.IsNil(a.Result):
		return fmt.Errorf("the peer is ending: %w", transport.ErrClosed)
	case c.proposed != nil:
		return fmt.Errorf("the peer has asked for rings itself: %w", errors.ErrUnsupported)
	}
	r := c.newRingPair(t)
	mem, err := c.takeHalf(a.Result)
	if err == nil {
		err = t.Join(mem)
	}
	if err == nil {
		err = c.number(r)
	}
	switch {
	case err == nil:
		c.proposed, c.standing = r, done
		return nil
	case violates(err):
		c.proposed = r
		c.broken(r, err)
	}
	return err
}

// sendRings sends our half, and returns its token.
func (c *Conn) sendRings(t *transport.Rings) (params []byte, err error) {
	token, err := c.sendFile(c.t.Send, t.File())
	if err != nil {
		return nil, err
	}
	return codec.Params(token), nil
}

// takeHalf takes the peer's half, which it has sent: the caller's to close.
func (c *Conn) takeHalf(params []byte) (mem *os.File, err error) {
	var token uint64
	if err := codec.DecodeParams(params, &token); err != nil {
		return nil, err
	}
	return c.files.take(token)
}

// violates reports whether err says that the peer's half is not what it must be.
// Otherwise it is we who lack something, and go on without rings.
func violates(err error) bool {
	return errors.Is(err, transport.ErrCorruptRing) || errors.Is(err, wire.ErrProtocol)
}

// serveUpgrade answers the peer's request for rings.
func (c *Conn) serveUpgrade(m *Incoming) error {
	if c.proposed != nil {
		return fmt.Errorf("second pair of rings: %w", wire.ErrProtocol)
	}
	mem, err := c.takeHalf(m.Params)
	if err != nil {
		return c.decline(m.ID, err)
	}
	h, ok := c.handler.(UpgradeHandler)
	err = errors.ErrUnsupported
	if ok {
		err = h.AcceptUpgrade()
	}
	var t *transport.Rings
	if err == nil {
		t, err = transport.NewRings()
	}
	if err != nil {
		mem.Close()
		return c.decline(m.ID, err)
	}
	params, err := c.sendRings(t) // first: Join lets our file go
	if err != nil {
		mem.Close()
	} else {
		err = t.Join(mem)
	}
	if err != nil {
		t.Close()
		return c.decline(m.ID, err)
	}
	c.proposed = c.newRingPair(t)
	return c.t.Send(transport.Message{Body: wire.AppendResponse(nil, m.ID, nil, params, nil)})
}

// number says that our numbers begin, and begins.
func (c *Conn) number(r *RingPair) error {
	c.gate.Lock()
	defer c.gate.Unlock()
	if err := c.t.Send(transport.Message{Body: wire.AppendNotify(nil, methodRinged, nil, nil)}); err != nil {
		return err
	}
	c.ringOut.Store(r)
	return nil
}

// decline does without rings, or without the peer if that is what err says. An
// actor that is ending has nothing against rings, and answers nil.
func (c *Conn) decline(id uint64, err error) error {
	if violates(err) {
		return fmt.Errorf("%w: %w", err, wire.ErrProtocol)
	}
	if errors.Is(err, transport.ErrClosed) {
		_ = c.t.Send(transport.Message{Body: wire.AppendResponse(nil, id, nil, nil, nil)})
		return nil
	}
	_ = c.t.Send(transport.Message{Body: wire.AppendResponse(nil, id, wire.AppendString(nil, err.Error()), nil, nil)})
	return nil
}

func (c *Conn) newRingPair(t *transport.Rings) *RingPair {
	r := &RingPair{T: t, next: 1}
	r.scan.Limits = wire.Limits{Bytes: transport.MaxRecord}.Message()
	r.scan.Limits.Bytes = transport.MaxRecord
	return r
}

// numbersBegin takes the peer's word that its numbers begin. Ours follow, if it
// was the peer that asked.
func (c *Conn) numbersBegin() error {
	if c.proposed == nil || c.RingIn.Load() != nil {
		return fmt.Errorf("%s without rings: %w", methodRinged, wire.ErrProtocol)
	}
	if c.standing == nil {
		if err := c.number(c.proposed); err != nil {
			return err
		}
		c.RingIn.Store(c.proposed)
	} else {
		c.RingIn.Store(c.proposed)
		c.standing(nil)
		c.standing = nil
	}
	c.reader.forbid()
	if g := c.poller.Load(); g != nil {
		g.upgraded()
	}
	return nil
}
