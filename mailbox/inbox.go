package mailbox

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/wire"
)

// Inbox is the receiving side of one actor's mailbox: a queue per connection,
// served round-robin so that one busy sender cannot starve the others. Handlers
// take messages with [Slot.Next]; connections put them in with [Queue.Push].
//
// An idle slot is a waiter of the inbox's poller, whose sources are the
// connections: so it reads them itself. A message that it finds there while
// nothing is queued is begun for it at once; it never lies in a queue. While all
// slots work, messages stay in their rings.
type Inbox struct {
	poller conn.Poller
	slots  int
	over   atomic.Bool // something is queued, or it is closed; written under mu

	mu       sync.Mutex
	ring     []*Queue      // connections with something to begin, in serving order
	busy     int           // slots that are at work
	idle     chan struct{} // closed when nothing waits and no slot works; made by WaitEmpty
	closed   bool
	unlooked int // messages begun since the rings were looked at
}

// NewInbox returns an empty inbox with handler slots from 0 to slots-1. spin is
// how long an idle slot looks at rings before it sleeps; see [transport.Spinner].
func NewInbox(slots int, spin time.Duration) *Inbox {
	in := &Inbox{slots: slots}
	in.poller.Spin = spin
	return in
}

// Slot is one goroutine that handles messages of an inbox, one at a time.
type Slot struct {
	in     *Inbox
	number int
	begin  func(*conn.Incoming)
	wait   conn.Waiter

	queue *Queue         // of m
	m     *conn.Incoming // begun for it while it waited; nil: none
}

// Slot returns the handler slot with the given number. begin, if not nil, runs
// with the inbox locked, at the very moment at which a message is begun for it.
func (in *Inbox) Slot(number int, begin func(*conn.Incoming)) *Slot {
	s := &Slot{in: in, number: number, begin: begin}
	s.wait.For = (*slotWait)(s)
	return s
}

// slotWait is the slot as its waiter knows it.
type slotWait Slot

// Over reports whether the slot need not wait: see [conn.Waiter]. If a message is
// queued, the slot takes it with that: so of several idle slots one leaves.
func (w *slotWait) Over() bool {
	s := (*Slot)(w)
	return s.m != nil || s.in.over.Load() && s.take()
}

// Queue is one connection's part of an inbox.
type Queue struct {
	in       *Inbox
	progress *Progress
	items    []*conn.Incoming
	head     int
	begun    uint64
	bytes    int
	capacity int
	capBytes int
	wanted   uint64             // position whose begin the sender waits for
	credit   func(begun uint64) // tells the sender; must not block
	source   *conn.Conn         // see ReadFrom
	closed   bool
	unread   bool // too many replies are: see mayBegin
}

// NewQueue adds a connection. The sender may have capacity messages and capBytes
// bytes (or one message of any size) that are not begun. credit is called,
// with the inbox locked, when a position that the sender asked for is begun.
func (in *Inbox) NewQueue(progress *Progress, capacity, capBytes int, credit func(begun uint64)) *Queue {
	progress.setSlots(in.slots)
	return &Queue{in: in, progress: progress, capacity: capacity, capBytes: capBytes, credit: credit}
}

// ReadFrom has idle slots read c, whose handler calls Push.
func (q *Queue) ReadFrom(c *conn.Conn) {
	q.in.mu.Lock()
	defer q.in.mu.Unlock()
	if !q.closed {
		q.source = c
		q.in.poller.AddSource(c)
	}
}

// Push puts a message in. It fails when the sender sends more than it was
// granted, which is a violation of the protocol. When the inbox is closed
// it leaves the message unbegun: it stays with its sender. waits is true if the
// message was not begun at once.
func (q *Queue) Push(m *conn.Incoming) (waits bool, err error) {
	in := q.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if q.closed {
		m.Drop()
		return false, nil
	}
	n := len(q.items) - q.head
	if n > 0 && (n >= q.capacity || q.bytes+m.Size() > q.capBytes) {
		m.Drop()
		return false, fmt.Errorf("%d messages, %d bytes waiting, capacity %d and %d: %w", n+1, q.bytes+m.Size(), q.capacity, q.capBytes, conn.ErrOverflow)
	}
	if m.By != nil && len(in.ring) == 0 && !in.closed && !m.Cancelled && q.mayBegin() {
		if s := (*Slot)(m.By.For.(*slotWait)); s.m == nil {
			q.begin(s, m)
			return false, nil
		}
	}
	if q.head > 64 && q.head > len(q.items)/2 {
		k := copy(q.items, q.items[q.head:])
		clear(q.items[k:])
		q.items, q.head = q.items[:k], 0
	}
	q.items = append(q.items, m)
	q.bytes += m.Size()
	if n == 0 && q.mayBegin() {
		in.ring = append(in.ring, q)
		in.changed()
	}
	in.poller.Wake()
	return true, nil
}

// changed follows each change of what slots wait for. The lock is held.
func (in *Inbox) changed() { in.over.Store(in.closed || len(in.ring) > 0) }

// Next waits for a message, publishes that the slot begins it, and returns it
// with its queue. It returns false when the inbox is closed.
func (s *Slot) Next() (*Queue, *conn.Incoming, bool) {
	s.in.poller.Wait(context.Background(), &s.wait, nil)
	q, m := s.queue, s.m
	s.queue, s.m = nil, nil
	return q, m, m != nil
}

// take begins the next message that is queued, if there is one. It is true if
// the slot need not wait.
func (s *Slot) take() bool {
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	for !in.closed && len(in.ring) > 0 {
		if in.unlooked++; in.unlooked > conn.PullBatch {
			// What waits in the rings must have its turn.
			in.unlooked = 0
			in.mu.Unlock()
			in.poller.Poll()
			in.mu.Lock()
			continue
		}
		q := in.ring[0]
		copy(in.ring, in.ring[1:])
		in.ring = in.ring[:len(in.ring)-1]
		if !q.mayBegin() {
			in.changed()
			continue
		}
		m := q.pop()
		if len(q.items) > q.head {
			in.ring = append(in.ring, q)
		}
		in.changed()
		if !m.Cancelled {
			q.begin(s, m)
			return true
		}
		q.begun++
		q.progress.SetBegun(q.begun)
		q.grant()
		m.Drop()
		in.checkIdle()
	}
	return in.closed
}

// begin publishes that s begins m, the next message of the queue. The lock is held.
func (q *Queue) begin(s *Slot, m *conn.Incoming) {
	s.queue, s.m = q, m
	q.in.busy++
	q.begun++
	q.progress.begin(s.number, q.begun)
	q.grant()
	if m.Meta.Stream && q.source != nil {
		q.source.Resume() // the stream's credit comes while the slot works
	}
	if s.begin != nil {
		s.begin(m)
	}
}

func (q *Queue) pop() *conn.Incoming {
	m := q.items[q.head]
	q.items[q.head] = nil
	q.head++
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
// the message it took from q; otherwise its position stays, for the sender to know
// that the message was cut off in the actor's hands.
func (q *Queue) End(slot int, finished bool) {
	q.in.mu.Lock()
	defer q.in.mu.Unlock()
	if q.progress != nil && finished {
		q.progress.end(slot)
	}
	q.in.busy--
	q.in.checkIdle()
}

func (in *Inbox) checkIdle() {
	if in.idle != nil && in.busy == 0 && len(in.ring) == 0 && !in.poller.Pending() {
		close(in.idle)
		in.idle = nil
	}
}

// WaitEmpty waits until nothing is in the inbox and no slot is at work, or
// until given up.
func (in *Inbox) WaitEmpty(giveUp <-chan struct{}) {
	in.mu.Lock()
	if in.busy == 0 && len(in.ring) == 0 && !in.poller.Pending() {
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

// mayBegin is false while the sender leaves too many replies unread; then the queue
// is not in the ring, and comes back when half of them are read. The lock is held.
func (q *Queue) mayBegin() bool {
	if !q.unread && q.source != nil && q.source.Buffered() > wire.ReplyWindow {
		q.unread = true
		go q.awaitReader()
	}
	return !q.unread
}

func (q *Queue) awaitReader() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		<-tick.C
		if n == 100 { // it has stopped, it seems
			tick.Reset(20 * time.Millisecond)
		}
		in := q.in
		in.mu.Lock()
		if q.closed || q.source.Buffered() <= wire.ReplyWindow/2 { // 0 when the connection has ended
			q.unread = false
			if !q.closed && len(q.items) > q.head {
				in.ring = append(in.ring, q)
				in.changed()
				in.poller.Wake()
			}
			in.checkIdle()
			in.mu.Unlock()
			return
		}
		in.mu.Unlock()
	}
}

// Want asks for a credit as soon as position is begun.
func (q *Queue) Want(position uint64) {
	q.in.mu.Lock()
	defer q.in.mu.Unlock()
	q.wanted = position
	q.grant()
}

// waiting returns the call with the given id if it is not begun. The inbox is locked.
func (q *Queue) waiting(id uint64) *conn.Incoming {
	for _, m := range q.items[q.head:] {
		if m.Call && m.ID == id && !m.Cancelled {
			return m
		}
	}
	return nil
}

// Cancel withdraws the call with the given id if it is not begun.
func (q *Queue) Cancel(id uint64) bool {
	q.in.mu.Lock()
	defer q.in.mu.Unlock()
	m := q.waiting(id)
	if m != nil {
		m.Cancelled = true
	}
	return m != nil
}

// Grant lets the stream that the call with the given id asks for have n further
// items, at most most altogether, if the call is not begun, which it reports. With
// n 0 that is all.
func (q *Queue) Grant(id, n uint64, most int) bool {
	q.in.mu.Lock()
	defer q.in.mu.Unlock()
	m := q.waiting(id)
	if m != nil && m.Meta.Window < most {
		m.Meta.Window += int(min(n, uint64(most-m.Meta.Window)))
	}
	return m != nil
}

// Empty reports whether nothing waits.
func (q *Queue) Empty() bool {
	q.in.mu.Lock()
	defer q.in.mu.Unlock()
	return len(q.items) == q.head
}

// Close ends the connection's part. What it held is dropped: a sender that is
// gone expects no answer, and one that lives keeps what was not begun. With
// progress the page is given back, too: what slots still have in hand stays in
// their hands as the sender sees it.
func (q *Queue) Close(progress bool) {
	in := q.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if progress && q.progress != nil {
		q.progress.Close()
		q.progress = nil
	}
	if q.closed {
		return
	}
	q.closed = true
	for _, m := range q.items[q.head:] {
		m.Drop()
	}
	q.items, q.head, q.bytes = nil, 0, 0
	if q.source != nil {
		in.poller.RemoveSource(q.source)
	}
	for i, r := range in.ring {
		if r == q {
			in.ring = append(in.ring[:i], in.ring[i+1:]...)
			in.changed()
			break
		}
	}
	in.checkIdle()
}

// len is the number of messages that wait in all queues.
func (in *Inbox) len() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := 0
	for _, q := range in.ring {
		n += len(q.items) - q.head
	}
	return n
}

// Waiting returns how many messages wait in all queues and rings, and the bytes of
// those messages. What lies in rings is taken from there first, unless a slot is
// about to.
func (in *Inbox) Waiting() (messages, bytes int) {
	in.poller.Poll()
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, q := range in.ring {
		messages += len(q.items) - q.head
		bytes += q.bytes
	}
	return messages, bytes
}

// HasCall reports whether a call waits in any queue.
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

// Close makes every [Slot.Next] return false: no message is begun any more. It is
// idempotent.
func (in *Inbox) Close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.changed()
	in.poller.Wake()
}
