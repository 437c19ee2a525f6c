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

// Rings beside a socket.
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
// the socket. What is sent before a socket's message is visible to the goroutine
// that receives that, so it first takes from the ring what comes before it:
// control finds everything in its place, no matter which goroutine reads the ring.
//
// The ring is read by the leader of a [Poller], and by the goroutine that reads
// the socket, with each message of the socket. So a message of the socket is also
// how a reader is woken whose thread does not sleep in the kernel.

// RingPair is a connection's pair of rings.
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
func (c *Conn) transmit(m transport.Message, byRing bool) error {
	r := c.ringOut.Load()
	if r == nil {
		c.gate.RLock()
		if r = c.ringOut.Load(); r == nil {
			defer c.gate.RUnlock()
			return c.t.Send(m)
		}
		c.gate.RUnlock()
	}
	r.outMu.Lock()
	defer r.outMu.Unlock()
	if byRing && len(m.Files) == 0 && len(m.Body) <= transport.MaxRecord && r.T.Enter() {
		ok, notify, err := r.T.Write(r.sent+1, m.Body)
		r.T.Leave()
		if err != nil {
			c.broken(r, err)
			return fmt.Errorf("%w: %w", transport.ErrClosed, err)
		}
		if ok {
			r.sent++
			if notify {
				c.wake(r)
			}
			return nil
		}
	}
	err := c.t.Send(m)
	if err == nil {
		r.sent++
	}
	return err
}

// wake wakes the peer's reader by a message of the socket: its reading goroutine
// takes what is in the ring. A message that has not left yet will do the same: it
// will be read later than this. The lock of sending is held.
func (c *Conn) wake(r *RingPair) {
	if c.t.Buffered() == 0 && c.t.Send(transport.Message{Body: wakeMessage}) == nil {
		r.sent++
	}
}

var wakeMessage = wire.AppendNotify(nil, methodWake, nil, nil)

// UnseenByPeer reports whether what we sent may lie in the ring while no reader
// sleeps there who is woken by it: then it may not be looked at for a while.
func (c *Conn) UnseenByPeer() bool {
	r := c.ringOut.Load()
	if r == nil || !r.T.Enter() {
		return false
	}
	defer r.T.Leave()
	return !r.T.PeerParked()
}

// broken ends the connection for what the peer did to its ring.
func (c *Conn) broken(r *RingPair, err error) {
	_ = r.fail(err)
	c.t.Close() // the reading goroutine goes on from here
}

// fail notes the first reason why the connection ends.
func (r *RingPair) fail(err error) error {
	if !errors.Is(err, wire.ErrProtocol) {
		err = fmt.Errorf("%w: %w", err, wire.ErrProtocol)
	}
	r.fault.CompareAndSwap(nil, &err)
	return err
}

// stop is fail with the lock of reading held: nothing is delivered any more,
// because what follows a message that was not understood cannot be trusted, and
// no leader looks for more.
func (r *RingPair) stop(err error) error {
	r.over = true
	r.gap.Store(true)
	return r.fail(err)
}

// deliver takes a message of the socket in its place: behind what the ring has
// of before it. It is called by the goroutine that reads the socket: by is the
// leader whose goroutine that is, nil if it is the connection's own.
func (c *Conn) deliver(m transport.Message, by *Waiter) error {
	r := c.RingIn.Load()
	if r == nil {
		if err := c.receive(m, nil, by); err != nil {
			return err
		}
		if r = c.RingIn.Load(); r == nil {
			return nil
		}
		r.inMu.Lock()
		defer r.inMu.Unlock()
		_, err := c.drain(r, all, nil)
		return err
	}
	r.inMu.Lock()
	defer r.inMu.Unlock()
	if _, err := c.drain(r, all, nil); err != nil {
		return err
	}
	if r.over { // another goroutine found why, and closes the socket
		return errors.Join(c.files.discard(m.Files), *r.fault.Load())
	}
	// The ring holds nothing of before it, or the number that is missing there
	// is this message's.
	r.next++
	r.gap.Store(false)
	if err := c.receive(m, nil, nil); err != nil {
		return r.stop(err)
	}
	_, err := c.drain(r, all, nil)
	if err == nil && c.again(r) {
		_, err = c.drain(r, all, nil)
	}
	return err
}

// again asks for the next wake-up by the socket, if a leader sleeps on.
func (c *Conn) again(r *RingPair) bool {
	g := c.poller.Load()
	if g == nil || r.over || !r.T.Enter() {
		return false
	}
	defer r.T.Leave()
	return g.sleep.Again(r.T)
}

const all = int(^uint(0) >> 1)

// drain delivers records as long as they are next, at most n. by is the leader
// who does it, if it is one. The lock of reading is held.
func (c *Conn) drain(r *RingPair, n int, by *Waiter) (delivered int, err error) {
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
			err = c.record(r, by)
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
func (c *Conn) record(r *RingPair, by *Waiter) (err error) {
	mem := getMemory()
	if mem.b, err = r.T.Take(mem.b[:0]); err == nil {
		var n int
		switch n, err = r.scan.Frame(mem.b); {
		case err == nil && n != len(mem.b):
			err = fmt.Errorf("a record of %d bytes does not hold one message: %w", len(mem.b), wire.ErrProtocol)
		case err == nil:
			r.next++
			return c.receive(transport.Message{Body: mem.b}, mem, by)
		}
	}
	mem.free()
	return err
}

// pull delivers up to n messages of the ring for the leader by, and reports
// whether there was one.
func (c *Conn) pull(n int, by *Waiter) bool {
	r := c.RingIn.Load()
	if r == nil {
		return false
	}
	r.inMu.Lock()
	got, err := c.drain(r, n, by)
	r.inMu.Unlock()
	if err != nil {
		c.broken(r, err)
	}
	return got > 0
}

// endRings is the reading goroutine's last look: what a peer that is gone had
// sent is still there. It returns what ended the connection.
func (c *Conn) endRings(err error) error {
	c.gate.Lock() // an upgrade under way sees the end or is seen
	r := c.RingIn.Load()
	if r == nil {
		r = c.proposed
	}
	c.gate.Unlock()
	if r == nil {
		return err
	}
	if c.RingIn.Load() != nil {
		r.inMu.Lock()
		if errors.Is(err, io.EOF) {
			_, _ = c.drain(r, all, nil)
		}
		r.over = true
		r.gap.Store(true) // no leader looks for more
		r.inMu.Unlock()
	}
	if fault := r.fault.Load(); fault != nil {
		err = *fault
	}
	r.T.Close()
	if c.standing != nil {
		c.standing(err)
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
