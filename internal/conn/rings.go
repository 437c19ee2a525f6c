package conn

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/transport"
)

// The ring lane.
//
// A connection that carries user messages gets a pair of rings beside its
// socket (see [transport.Rings]). Small user messages, their responses and the
// items of streams go by ring; control, descriptors and what is large go by the
// socket, whose reading goroutine sleeps in the netpoller.
//
// All of it is still one sequence. Each side numbers what it sends; a record
// bears its number, and a message of the socket has the one that is missing.
// So an announcement is there before the message that needs it, a cancellation
// after its request, and a ring that is full is no more than a reason to take
// the socket. What is sent before a socket's message is visible to whoever
// receives that, so the reading goroutine first takes from the ring what comes
// before it: control finds everything in its place, whoever reads the ring.
//
// And that is whoever waits: a caller for its reply, an idle handler slot for
// work. Nobody waits on nobody's behalf, so nobody is handed anything.

// ringed is a connection's pair of rings.
type RingPair struct {
	T *transport.Rings

	outMu sync.Mutex
	sent  uint64 // number of the last message sent

	inMu sync.Mutex
	next uint64 // number of the next message to come
	scan wire.Scanner
	over bool // nothing more is delivered

	gap   atomic.Bool           // what is next comes by the socket
	fault atomic.Pointer[error] // what the peer did to its ring
}

// ready reports whether there is a record that can be delivered.
func (r *RingPair) Ready() bool { return r.T.Pending() && !r.gap.Load() }

// transmit sends one message, by ring if it may and can.
func (p *Conn) transmit(m transport.Message, byRing bool) error {
	r := p.ringOut.Load()
	if r == nil {
		p.gate.RLock()
		if r = p.ringOut.Load(); r == nil {
			defer p.gate.RUnlock()
			return p.t.Send(m)
		}
		p.gate.RUnlock()
	}
	r.outMu.Lock()
	defer r.outMu.Unlock()
	if byRing && len(m.Files) == 0 && len(m.Body) <= transport.MaxRecord && r.T.Enter() {
		ok, err := r.T.Write(r.sent+1, m.Body)
		r.T.Leave()
		if err != nil {
			p.broken(r, err)
			return fmt.Errorf("%w: %w", transport.ErrClosed, err)
		}
		if ok {
			r.sent++
			return nil
		}
	}
	err := p.t.Send(m)
	if err == nil {
		r.sent++
	}
	return err
}

// Unheard reports whether what we sent may lie in the ring and nobody sleeps
// there who is woken by it: then nobody may look at it for a while.
func (p *Conn) UnseenByPeer() bool {
	r := p.ringOut.Load()
	if r == nil || !r.T.Enter() {
		return false
	}
	defer r.T.Leave()
	return !r.T.PeerParked()
}

// broken ends the connection for what the peer did to its ring.
func (p *Conn) broken(r *RingPair, err error) {
	_ = r.fail(err)
	p.t.Close() // the reading goroutine goes on from here
}

// fail notes why the connection ends, once.
func (r *RingPair) fail(err error) error {
	if !errors.Is(err, wire.ErrProtocol) {
		err = fmt.Errorf("%w: %w", err, wire.ErrProtocol)
	}
	r.fault.CompareAndSwap(nil, &err)
	return err
}

// stop is fail for who has the lock of reading: nothing is delivered any more,
// because what follows a message that was not understood is not to be trusted,
// and nobody looks for more.
func (r *RingPair) stop(err error) error {
	r.over = true
	r.gap.Store(true)
	return r.fail(err)
}

// deliver takes a message of the socket in its place: behind what the ring has
// of before it. Whoever reads the socket calls it.
func (p *Conn) deliver(m transport.Message) error {
	r := p.RingIn.Load()
	if r == nil {
		if err := p.receive(m, nil); err != nil {
			return err
		}
		if r = p.RingIn.Load(); r == nil {
			return nil
		}
		r.inMu.Lock()
		defer r.inMu.Unlock()
		_, err := p.drain(r, all)
		return err
	}
	r.inMu.Lock()
	defer r.inMu.Unlock()
	if _, err := p.drain(r, all); err != nil {
		return err
	}
	if r.over { // somebody else found why, and closes the lane
		return errors.Join(p.files.discard(m.Files), *r.fault.Load())
	}
	// The ring holds nothing of before it, or the number that is missing there
	// is this message's.
	r.next++
	r.gap.Store(false)
	if err := p.receive(m, nil); err != nil {
		return r.stop(err)
	}
	_, err := p.drain(r, all)
	return err
}

const all = int(^uint(0) >> 1)

// drain delivers records as long as they are next, at most n. The lock of
// reading is held.
func (p *Conn) drain(r *RingPair, n int) (delivered int, err error) {
	if r.over || !r.T.Enter() {
		return 0, nil
	}
	defer r.T.Leave()
	for ; delivered < n; delivered++ {
		number, ok, err := r.T.Front()
		if err == nil && ok && number < r.next {
			err = fmt.Errorf("record %d where %d is next: %w", number, r.next, transport.ErrCorruptRing)
		}
		if ok && number > r.next {
			r.gap.Store(true)
			ok = false
		}
		if err == nil && ok {
			err = p.record(r)
		}
		if err != nil {
			return delivered, r.stop(err)
		}
		if !ok {
			return delivered, nil
		}
	}
	return delivered, nil
}

// record delivers the first record.
func (p *Conn) record(r *RingPair) (err error) {
	mem := getMemory()
	if mem.b, err = r.T.Take(mem.b[:0]); err == nil {
		var n int
		switch n, err = r.scan.Frame(mem.b); {
		case err == nil && n != len(mem.b):
			err = fmt.Errorf("a record of %d bytes does not hold one message: %w", len(mem.b), wire.ErrProtocol)
		case err == nil:
			r.next++
			return p.receive(transport.Message{Body: mem.b}, mem)
		}
	}
	mem.free()
	return err
}

// Pull delivers up to n messages of the ring and reports whether there was one.
func (p *Conn) Pull(n int) bool {
	r := p.RingIn.Load()
	if r == nil {
		return false
	}
	r.inMu.Lock()
	got, err := p.drain(r, n)
	r.inMu.Unlock()
	if err != nil {
		p.broken(r, err)
	}
	return got > 0
}

// endRings is the reading goroutine's last look: what a peer that is gone had
// sent is still there. It returns what ended the connection.
func (p *Conn) endRings(err error) error {
	p.gate.Lock() // who offers sees the end or is seen
	r := p.RingIn.Load()
	if r == nil {
		r = p.offered
	}
	p.gate.Unlock()
	if r == nil {
		return err
	}
	if p.RingIn.Load() != nil {
		r.inMu.Lock()
		if errors.Is(err, io.EOF) {
			_, _ = p.drain(r, all)
		}
		r.over = true
		r.inMu.Unlock()
	}
	p.gone.Store(true)
	if fault := r.fault.Load(); fault != nil {
		err = *fault
	}
	r.T.Close()
	if p.standing != nil {
		p.standing(err)
	}
	return err
}

// memory is where a message lies that came by ring.
type memory struct{ b []byte }

var memories = sync.Pool{New: func() any { return &memory{b: make([]byte, 0, 512)} }}

func getMemory() *memory { return memories.Get().(*memory) }

func (m *memory) free() {
	if m != nil && cap(m.b) <= codec.Keep {
		memories.Put(m)
	}
}
