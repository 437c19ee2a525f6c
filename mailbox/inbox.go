package mailbox

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/transport"
)

// Inbox is the receiving side of one actor's mailbox: a queue per link, served
// round-robin so that one busy sender cannot starve the others. Handlers take
// messages with Next; links put them in with [Queue.Push].
type Inbox struct {
	mu     sync.Mutex
	ready  sync.Cond
	ring   []*Queue      // links with something to begin, in serving order
	waits  int           // slots that wait on ready
	lent   *Queue        // its peer has lent us the reader's place
	guest  *Queue        // a slot waits there
	busy   int           // slots that are at work
	idle   chan struct{} // closed when nothing waits and nobody works; made by WaitEmpty
	closed bool

	// Of the links with rings; see watch.
	rings    []*Queue
	bell     *transport.Doorbell
	polling  bool          // a slot does
	parked   atomic.Bool   // it sleeps
	wakes    atomic.Uint32 // counts what it must notice
	check    slotCheck
	spin     transport.Spinner
	unlooked int // messages begun since the rings were looked at
}

// NewInbox returns an empty inbox. spin is how long an idle slot looks at rings
// before it sleeps; see [transport.Spinner].
func NewInbox(spin time.Duration) *Inbox {
	in := &Inbox{}
	in.spin.Max = spin
	in.ready.L = &in.mu
	return in
}

// Queue is one link's part of an inbox.
type Queue struct {
	in       *Inbox
	marks    *Progress
	items    []*conn.Incoming
	head     int
	begun    uint64
	bytes    int
	capacity int
	capBytes int
	wanted   uint64             // position whose begin the sender waits for
	credit   func(begun uint64) // tells the sender; must not block
	peer     *conn.Conn         // see ReadBy
	closed   bool
}

// NewQueue adds a link. The sender may have capacity messages and capBytes
// bytes (or one message of any size) that are not begun. credit is called,
// with the inbox locked, when a position that the sender asked for is begun.
func (in *Inbox) NewQueue(marks *Progress, capacity, capBytes int, credit func(begun uint64)) *Queue {
	return &Queue{in: in, marks: marks, capacity: capacity, capBytes: capBytes, credit: credit}
}

// ReadBy says that peer reads the link and calls Push, and that the inbox has
// one slot: while this waits for a message, it may take the reader's place.
func (q *Queue) ReadBy(peer *conn.Conn) {
	q.in.mu.Lock()
	defer q.in.mu.Unlock()
	q.peer = peer
}

// Push puts a message in. It fails when the sender sends more than it was
// granted, which is a violation of the protocol, and when the inbox is closed
// it leaves the message unbegun: it stays with its sender.
func (q *Queue) Push(m *conn.Incoming) error {
	in := q.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if q.closed {
		m.Drop()
		return nil
	}
	n := len(q.items) - q.head
	if n > 0 && (n >= q.capacity || q.bytes+m.Size() > q.capBytes) {
		m.Drop()
		return fmt.Errorf("%d messages, %d bytes waiting, capacity %d and %d: %w", n+1, q.bytes+m.Size(), q.capacity, q.capBytes, conn.ErrOverflow)
	}
	if q.head > 64 && q.head > len(q.items)/2 {
		k := copy(q.items, q.items[q.head:])
		clear(q.items[k:])
		q.items, q.head = q.items[:k], 0
	}
	idle := len(in.ring) == 0 && (in.waits > 0 || in.guest != nil)
	q.items = append(q.items, m)
	q.bytes += m.Size()
	if n == 0 {
		in.ring = append(in.ring, q)
	}
	q.lend(idle && !m.Meta.Stream)
	if in.guest != q { // else whoever pushes is the one who waits
		in.wake()
	}
	return nil
}

// lend offers the reader's place to the slot if it would only wait for the
// link's next message. What comes by another link ends that.
func (q *Queue) lend(alone bool) {
	in := q.in
	if len(in.rings) > 0 {
		return // the slot reads those
	}
	if in.lent != nil && in.lent != q {
		in.lent.peer.Recall()
		in.lent = nil
	}
	switch {
	case q.peer == nil:
	case !alone:
		q.peer.Recall()
	case q.peer.Lend():
		in.lent = q
	}
}

// await waits for a message in the reader's place, or until somebody wakes it.
func (in *Inbox) await() {
	if len(in.rings) > 0 && !in.polling {
		in.pollRings()
		return
	}
	q := in.lent
	if q == nil || len(in.rings) > 0 {
		in.waits++
		in.ready.Wait()
		in.waits--
		return
	}
	in.guest = q
	in.mu.Unlock()
	found := q.peer.Assist(in)
	in.mu.Lock()
	in.guest = nil
	if !found && in.lent == q {
		in.lent = nil
	}
}

// Over reports whether a slot has something to do: see [Peer.Assist].
func (in *Inbox) Over() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.closed || len(in.ring) > 0
}

// Next waits for a message, publishes that slot begins it, and returns it with
// its queue. begin runs with the inbox locked, at the very moment of the begin.
// It returns false when the inbox is closed.
func (in *Inbox) Next(slot int, begin func(*conn.Incoming)) (*Queue, *conn.Incoming, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for {
		for !in.closed && (len(in.ring) == 0 || in.overdue()) {
			in.await()
		}
		if in.closed {
			return nil, nil, false
		}
		q := in.ring[0]
		copy(in.ring, in.ring[1:])
		in.ring = in.ring[:len(in.ring)-1]
		m := q.pop()
		if len(q.items) > q.head {
			in.ring = append(in.ring, q)
		}
		if len(in.ring) > 0 && in.waits > 0 {
			in.ready.Signal() // one who watched may have brought several
		}
		if m.Cancelled {
			q.marks.SetBegun(q.begun)
			q.grant()
			m.Drop()
			in.checkIdle()
			continue
		}
		in.busy++
		q.marks.Begin(slot, q.begun)
		q.grant()
		if begin != nil {
			begin(m)
		}
		return q, m, true
	}
}

func (q *Queue) pop() *conn.Incoming {
	m := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	q.begun++
	q.bytes -= m.Size()
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return m
}

func (q *Queue) grant() {
	if q.wanted != 0 && q.begun >= q.wanted && !q.closed {
		q.wanted = 0
		q.credit(q.begun)
	}
}

// End says that slot is free again. finished publishes that it has done with
// the message it took from q; otherwise the mark stays, for the sender to know
// that the message was cut off in the actor's hands.
func (q *Queue) End(slot int, finished bool) {
	q.in.mu.Lock()
	defer q.in.mu.Unlock()
	if q.marks != nil && finished {
		q.marks.End(slot)
	}
	q.in.busy--
	q.in.checkIdle()
}

func (in *Inbox) checkIdle() {
	if in.idle != nil && in.busy == 0 && len(in.ring) == 0 && !in.pending() {
		close(in.idle)
		in.idle = nil
	}
}

// WaitEmpty waits until nothing is in the inbox and no slot is at work, or
// until given up.
func (in *Inbox) WaitEmpty(giveUp <-chan struct{}) {
	in.mu.Lock()
	if in.busy == 0 && len(in.ring) == 0 && !in.pending() {
		in.mu.Unlock()
		return
	}
	if in.idle == nil {
		in.idle = make(chan struct{})
	}
	idle := in.idle
	in.mu.Unlock()
	select {
	case <-idle:
	case <-giveUp:
	}
}

// Want asks for a credit as soon as position is begun.
func (q *Queue) Want(position uint64) {
	q.in.mu.Lock()
	defer q.in.mu.Unlock()
	q.wanted = position
	q.grant()
}

// Cancel withdraws the call with the given id if it is not begun.
func (q *Queue) Cancel(id uint64) bool {
	q.in.mu.Lock()
	defer q.in.mu.Unlock()
	for _, m := range q.items[q.head:] {
		if m.Call && m.ID == id {
			m.Cancelled = true
			return true
		}
	}
	return false
}

// Close ends the link's part. What it held is dropped: a sender that is gone
// has nobody to answer to, and one that lives keeps what was not begun.
func (q *Queue) Close() {
	in := q.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if q.closed {
		return
	}
	q.closed = true
	for _, m := range q.items[q.head:] {
		m.Drop()
	}
	q.items, q.head, q.bytes = nil, 0, 0
	in.unwatch(q)
	for i, r := range in.ring {
		if r == q {
			in.ring = append(in.ring[:i], in.ring[i+1:]...)
			break
		}
	}
	in.checkIdle()
}

// CloseMarks gives the mark page back after the last slot has ended.
func (q *Queue) CloseProgress() {
	q.in.mu.Lock()
	defer q.in.mu.Unlock()
	if q.marks != nil {
		q.marks.Close()
		q.marks = nil
	}
}

// Len is the number of messages waiting in all links.
func (in *Inbox) Len() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := 0
	for _, q := range in.ring {
		n += len(q.items) - q.head
	}
	return n
}

// HasCall reports whether a call waits in any link.
func (in *Inbox) HasCall() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, q := range in.ring {
		for _, m := range q.items[q.head:] {
			if m.Call && !m.Cancelled {
				return true
			}
		}
	}
	return false
}

// Waits reports whether the call with the given id is not begun.
func (q *Queue) Waits(id uint64) bool {
	q.in.mu.Lock()
	defer q.in.mu.Unlock()
	for _, m := range q.items[q.head:] {
		if m.Call && m.ID == id && !m.Cancelled {
			return true
		}
	}
	return false
}

// Close makes every Next return false: no message is begun any more. It is
// idempotent.
func (in *Inbox) Close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.wake()
	in.ready.Broadcast()
}
