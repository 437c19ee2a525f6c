package conn

import (
	"errors"
	"fmt"
	"os"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/transport"
)

// How rings come to a connection. One side asks and sends its half, the other
// answers with its own; then each says from where on it numbers, first the one
// who asked. Until both have said so, the socket alone carries what they send.

// RingHandler is a [Handler] whose peer may have rings made.
type UpgradeHandler interface {
	Handler

	// Bell is the bell of whoever will read the ring. An error refuses.
	Doorbell() (*transport.Doorbell, error)

	// Ringed says that p has rings from now on.
	Upgraded(p *Conn)
}

const (
	methodRing   = "$/ring"   // request: [memory, bell], two tokens of descriptors; answered by [memory, bell]
	methodRinged = "$/ringed" // []: from here on the sender numbers its messages, from 1; who offered says it first
)

func init() { wire.Intern(methodRing, methodRinged) }

// OfferRings asks the peer for rings; bell is to be rung when there is something
// for our callers to read. done is told, once, whether they stand. OfferRings
// makes system calls and does not wait.
func (p *Conn) Upgrade(bell *transport.Doorbell, done func(error)) {
	t, err := transport.NewRings()
	if err != nil {
		done(err)
		return
	}
	params, err := p.sendRings(t, bell)
	if err != nil {
		t.Close()
		done(err)
		return
	}
	p.Request(methodRing, params, func(r Reply) {
		defer r.Drop()
		if err := p.takeUpgradeAnswer(t, r, done); err != nil {
			t.Close()
			done(err)
		}
	})
}

// takeAnswer makes the offered rings stand if the peer wants them. A peer that
// has said yes does not number before it has heard that we could take its half:
// what it sends meanwhile we would not see.
func (p *Conn) takeUpgradeAnswer(t *transport.Rings, a Reply, done func(error)) error {
	if a.Fault != nil {
		return a.Fault
	}
	switch {
	case a.Err != nil:
		var why string
		_ = codec.DecodeResult(a.Err, &why)
		return fmt.Errorf("the peer refuses rings (%s): %w", why, errors.ErrUnsupported)
	case IsNil(a.Result):
		return fmt.Errorf("the peer is ending: %w", transport.ErrClosed)
	case p.offered != nil:
		return fmt.Errorf("the peer has offered rings itself: %w", errors.ErrUnsupported)
	}
	r := p.newRingPair(t)
	mem, bell, err := p.takeHalf(a.Result)
	if err == nil {
		err = t.Join(mem, bell)
	}
	if err == nil {
		err = p.number(r)
	}
	switch {
	case err == nil:
		p.offered, p.standing = r, done
		return nil
	case lied(err):
		p.offered = r
		p.broken(r, err)
	}
	return err
}

// sendRings sends our half and its reader's bell, and returns the tokens.
func (p *Conn) sendRings(t *transport.Rings, bell *transport.Doorbell) (params []byte, err error) {
	var tokens [2]uint64
	for i, f := range []*os.File{t.File(), bell.File()} {
		if tokens[i], err = p.sendFile(p.t.Send, f); err != nil {
			return nil, err
		}
	}
	return codec.Params(tokens[:]...), nil
}

// takeHalf takes the peer's half, which it has sent: the caller's to close.
func (p *Conn) takeHalf(params []byte) (mem, bell *os.File, err error) {
	var tokens [2]uint64
	if err := codec.DecodeParams(params, &tokens[0], &tokens[1]); err != nil {
		return nil, nil, err
	}
	if mem, err = p.files.take(tokens[0]); err != nil {
		return nil, nil, err
	}
	if bell, err = p.files.take(tokens[1]); err != nil {
		mem.Close()
		return nil, nil, err
	}
	return mem, bell, nil
}

// lied reports whether err says that the peer's half is not what it must be.
// Otherwise it is we who lack something, and go on without rings.
func lied(err error) bool {
	return errors.Is(err, transport.ErrCorruptRing) || errors.Is(err, wire.ErrProtocol)
}

// takeRings serves the peer's wish for rings.
func (p *Conn) serveUpgrade(m *Incoming) error {
	if p.offered != nil {
		return fmt.Errorf("second pair of rings: %w", wire.ErrProtocol)
	}
	mem, bell, err := p.takeHalf(m.Params)
	if err != nil {
		return p.decline(m.ID, err)
	}
	h, ok := p.handler.(UpgradeHandler)
	err = errors.ErrUnsupported
	var ours *transport.Doorbell
	if ok {
		ours, err = h.Doorbell()
	}
	var t *transport.Rings
	if err == nil {
		t, err = transport.NewRings()
	}
	if err != nil {
		mem.Close()
		bell.Close()
		return p.decline(m.ID, err)
	}
	params, err := p.sendRings(t, ours) // first: Join lets our file go
	if err != nil {
		mem.Close()
		bell.Close()
		if _, over := h.Doorbell(); over != nil {
			err = over // it ended meanwhile, and its bell with it
		}
	} else {
		err = t.Join(mem, bell)
	}
	if err != nil {
		t.Close()
		return p.decline(m.ID, err)
	}
	p.offered = p.newRingPair(t)
	return p.t.Send(transport.Message{Body: wire.AppendResponse(nil, m.ID, nil, params, nil)})
}

// number says that our numbers begin, and begins.
func (p *Conn) number(r *RingPair) error {
	p.gate.Lock()
	defer p.gate.Unlock()
	if err := p.t.Send(transport.Message{Body: wire.AppendNotify(nil, methodRinged, nil, nil)}); err != nil {
		return err
	}
	p.ringOut.Store(r)
	return nil
}

// refuse does without rings, or without the peer if that is what err says. Who is
// ending has nothing against rings, and answers nil.
func (p *Conn) decline(id uint64, err error) error {
	if lied(err) {
		return fmt.Errorf("%w: %w", err, wire.ErrProtocol)
	}
	if errors.Is(err, transport.ErrClosed) {
		_ = p.t.Send(transport.Message{Body: wire.AppendResponse(nil, id, nil, nil, nil)})
		return nil
	}
	_ = p.t.Send(transport.Message{Body: wire.AppendResponse(nil, id, wire.AppendString(nil, err.Error()), nil, nil)})
	return nil
}

func (p *Conn) newRingPair(t *transport.Rings) *RingPair {
	r := &RingPair{T: t, next: 1}
	r.scan.Limits.Bytes = transport.MaxRecord
	return r
}

// ringedNow takes the peer's word that its numbers begin. Ours follow, if it was
// the peer who offered.
func (p *Conn) numbersBegin() error {
	if p.offered == nil || p.RingIn.Load() != nil {
		return fmt.Errorf("%s without rings: %w", methodRinged, wire.ErrProtocol)
	}
	if p.standing == nil {
		if err := p.number(p.offered); err != nil {
			return err
		}
		p.RingIn.Store(p.offered)
		p.handler.(UpgradeHandler).Upgraded(p)
	} else {
		p.RingIn.Store(p.offered)
		p.standing(nil)
		p.standing = nil
	}
	p.unlend()
	return nil
}

// unlend ends the lending of the socket reader's place: where there are rings,
// those who wait read them.
func (p *Conn) unlend() {
	p.place.forbid()
	p.Interrupt()
}
