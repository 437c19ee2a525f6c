package conn

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/transport"
)

// A segment's descriptor crosses a connection once; afterwards messages name
// the segment by the id that its sender gave it. The sender alone decides when
// the name ends ("$/forget"): the stream's order makes that safe, because what
// was sent before retains the segment on arrival.

// localSegments travel by reference between two sides in one process. The list
// is the message's own.
type localSegments struct{ segments []*segment.Segment }

// Discard is called by the pipe for a message that is never received.
func (l *localSegments) Discard() {
	for _, s := range l.segments {
		s.Release()
	}
}

// outSegments are the segments that we have announced to the peer.
type outSegments struct {
	p     *Conn
	mu    sync.Mutex        // also keeps an announcement and its message together
	known map[uint64]func() // id -> stop watching for the segment's end
	ended bool

	// last is a segment that the peer knows: what is sent again and again is
	// mostly the same. Set under mu, behind the announcement; a message that finds
	// it here comes after that.
	last atomic.Pointer[segment.Segment]
}

func (o *outSegments) init(c *Conn) { o.p, o.known = c, make(map[uint64]func()) }

func (o *outSegments) send(body []byte, segments []*segment.Segment, byRing bool) error {
	if len(body) > o.p.opts.Max+wire.EnvelopeBytes {
		return fmt.Errorf("%d bytes, limit %d: %w", len(body), o.p.opts.Max, wire.ErrTooLarge)
	}
	if o.p.opts.Local {
		for _, s := range segments {
			s.Retain()
		}
		l := &localSegments{slices.Clone(segments)}
		err := o.p.transmit(transport.Message{Body: body, Local: l}, false)
		if err != nil {
			l.Discard()
		}
		return err
	}
	if len(segments) == 1 && segments[0] == o.last.Load() && len(body) <= o.p.opts.Inline {
		return o.p.transmit(transport.Message{Body: body}, byRing)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range segments {
		if err := o.announce(s); err != nil {
			return err
		}
		o.last.Store(s)
	}
	if len(body) <= o.p.opts.Inline {
		return o.p.transmit(transport.Message{Body: body}, byRing)
	}
	s, err := segment.SegmentOf(body)
	if err != nil {
		return fmt.Errorf("a segment for a message of %d bytes: %w", len(body), err)
	}
	defer o.release(s)
	if err := o.announce(s); err != nil {
		return err
	}
	meta := wire.Meta{Segments: []uint64{s.ID()}}
	return o.p.transmit(transport.Message{Body: wire.AppendNotify(nil, methodBlob, codec.Params(uint64(len(body))), meta.Append(nil))}, false)
}

// release lets a message's own segment go. The end of the segment calls
// forgotten, which wants the lock that send holds: so it goes the long way.
func (o *outSegments) release(s *segment.Segment) { go s.Release() }

// Announce makes a segment known to the peer ahead of a control message that
// names it. The segment stays the caller's.
func (c *Conn) Announce(s *segment.Segment) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.announce(s)
}

// Announced returns segments that the peer has announced, retained for the
// caller.
func (c *Conn) Announced(ids []uint64) ([]*segment.Segment, error) {
	return c.in.resolve(nil, ids, nil)
}

func (o *outSegments) announce(s *segment.Segment) error {
	if _, ok := o.known[s.ID()]; ok {
		return nil
	}
	if o.ended {
		return transport.ErrClosed
	}
	token, err := o.p.SendFile(s.File())
	if err != nil {
		return err
	}
	id := s.ID()
	if err := o.p.Notify(methodSegment, codec.Params(id, uint64(s.Size()), uint64(s.Mode()), token)); err != nil {
		return err
	}
	o.known[id] = s.OnEnd(func() { o.forgotten(id) })
	return nil
}

// forgotten tells the peer that our last hold on a segment is gone.
func (o *outSegments) forgotten(id uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unlearn(id)
	if _, ok := o.known[id]; ok {
		delete(o.known, id)
		_ = o.p.notify(methodForget, codec.Params(id)) // a peer that is gone holds nothing
	}
}

// lost takes the peer's word that an announcement brought no descriptor. The
// next message that refers to the segment announces it anew.
func (o *outSegments) lost(params []byte) error {
	var id uint64
	if err := codec.DecodeParams(params, &id); err != nil {
		return err
	}
	o.mu.Lock()
	stop := o.known[id]
	delete(o.known, id)
	o.unlearn(id)
	o.mu.Unlock()
	if stop != nil {
		stop()
	}
	return nil
}

// unlearn has the next message look for the segment with the lock held.
func (o *outSegments) unlearn(id uint64) {
	if s := o.last.Load(); s != nil && s.ID() == id {
		o.last.Store(nil)
	}
}

func (o *outSegments) close() {
	o.mu.Lock()
	known := o.known
	o.known, o.ended = nil, true
	o.last.Store(nil)
	o.mu.Unlock()
	for _, stop := range known {
		stop()
	}
}

// inSegments are the segments that the peer has announced to us.
type inSegments struct {
	mu    sync.Mutex
	known map[uint64]*segment.Segment // nil: its descriptor was lost
}

// noMode is no mode of a segment: what a peer sends does not wrap around to one.
const noMode = 255

// maxAnnounced bounds the segments that a peer can make us hold open.
const maxAnnounced = 1 << 14

func (t *inSegments) init() { t.known = make(map[uint64]*segment.Segment) }

func (t *inSegments) announce(params []byte, c *Conn) error {
	var id, size, mode, token uint64
	if err := codec.DecodeParams(params, &id, &size, &mode, &token); err != nil {
		return err
	}
	f, err := c.files.take(token)
	if err != nil && err != ErrLost {
		return err
	}
	if err == ErrLost {
		_ = c.Notify(methodLost, codec.Params(id))
	}
	var s *segment.Segment
	if err == nil {
		if s, err = segment.OpenSegment(f, int64(size), segment.Mode(min(mode, noMode))); err != nil {
			return fmt.Errorf("announced segment %d: %w: %w", id, err, wire.ErrProtocol)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.known[id]; old != nil || t.known == nil || len(t.known) >= maxAnnounced {
		if s != nil {
			s.Release()
		}
		return fmt.Errorf("segment %d announced twice, or %d are open: %w", id, len(t.known), wire.ErrProtocol)
	}
	t.known[id] = s
	return nil
}

func (t *inSegments) forget(params []byte) error {
	var id uint64
	if err := codec.DecodeParams(params, &id); err != nil {
		return err
	}
	t.mu.Lock()
	s, ok := t.known[id]
	delete(t.known, id)
	t.mu.Unlock()
	if !ok {
		return fmt.Errorf("segment %d forgotten, but never announced: %w", id, wire.ErrProtocol)
	}
	if s != nil {
		s.Release()
	}
	return nil
}

// resolve retains the segments that a message names and appends them to
// segments, which is empty. The error says why one of them cannot be had; it is
// the message's fault alone.
func (t *inSegments) resolve(segments []*segment.Segment, ids []uint64, local *localSegments) ([]*segment.Segment, error) {
	if local != nil {
		return local.segments, nil
	}
	if len(ids) == 0 {
		return nil, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		s, ok := t.known[id]
		if !ok || s == nil {
			for _, s := range segments {
				s.Release()
			}
			if ok {
				return nil, ErrLost
			}
			return nil, fmt.Errorf("segment %d was never announced: %w", id, wire.ErrProtocol)
		}
		s.Retain()
		segments = append(segments, s)
	}
	return segments, nil
}

func (t *inSegments) close() {
	t.mu.Lock()
	known := t.known
	t.known = nil
	t.mu.Unlock()
	for _, s := range known {
		if s != nil {
			s.Release()
		}
	}
}
