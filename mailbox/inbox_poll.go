package mailbox

import (
	"slices"

	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/transport"
)

// Where links have rings, an idle handler slot reads them itself: all of them,
// one slot at a time, the watcher. What other goroutines put into the inbox
// wakes it as well. It leaves with the first thing to do, and if other slots
// are idle, one of them watches on.

// Bell is the bell of the inbox, for peers to ring. It is closed by CloseBell.
func (in *Inbox) Doorbell() (*transport.Doorbell, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.bell == nil {
		if in.closed {
			return nil, transport.ErrClosed
		}
		b, err := transport.NewDoorbell()
		if err != nil {
			return nil, err
		}
		in.bell = b
	}
	return in.bell, nil
}

// CloseBell gives the bell back, when no slot waits any more.
func (in *Inbox) CloseDoorbell() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.bell != nil {
		in.bell.Close()
		in.bell = nil
	}
}

// Watch has idle slots read the ring of peer, whose handler calls q.Push.
func (q *Queue) AddRings(peer *conn.Conn) {
	in := q.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if q.closed {
		return
	}
	q.peer = peer
	in.rings = append(slices.Clip(in.rings), q) // a watcher reads the old list
	if in.lent != nil {
		in.lent.peer.Recall()
		in.lent = nil
	}
	in.wake()
}

// stir makes whoever waits look again. The lock is held.
func (in *Inbox) wake() {
	in.wakes.Add(1)
	switch {
	case in.parked.Load():
		in.bell.Ring()
	case in.polling:
	case in.guest != nil:
		in.guest.peer.Interrupt()
	default:
		in.ready.Signal()
	}
}

// unwatch forgets the ring of a link that has ended; a watcher lets its memory
// go. The lock is held.
func (in *Inbox) unwatch(q *Queue) {
	if i := slices.Index(in.rings, q); i >= 0 {
		in.rings = slices.Delete(slices.Clone(in.rings), i, i+1)
		in.wake()
	}
}

// slotWatch is what the watcher looks at.
type slotCheck struct {
	in      *Inbox
	rings   []*conn.RingPair
	peers   []*conn.Conn
	stirred uint32
}

// Ready implements [transport.Ready].
func (w *slotCheck) Ready() bool {
	for _, r := range w.rings {
		if r.Ready() {
			return true
		}
	}
	return w.in.wakes.Load() != w.stirred
}

// asleep is the last look before the watcher sleeps. It asks for the bell only
// now that the bell is listened to: what is rung for one sleep is rung once.
func (w *slotCheck) asleep() bool {
	for _, r := range w.rings {
		r.T.Park()
	}
	w.in.parked.Store(true)
	return w.Ready()
}

// overdue reports whether slots have found work in the inbox for so long that
// what waits in the rings would never be begun. The lock is held.
func (in *Inbox) overdue() bool {
	if len(in.rings) == 0 || in.polling {
		return false
	}
	in.unlooked++
	return in.unlooked > conn.PullBatch
}

// watch reads the rings until there is something in the inbox, or a reason to
// look at the inbox itself. The lock is held, and let go meanwhile.
func (in *Inbox) pollRings() {
	in.unlooked = 0
	w := &in.check
	w.in, w.stirred = in, in.wakes.Load()
	w.rings, w.peers = w.rings[:0], w.peers[:0]
	for _, q := range in.rings {
		if r := q.peer.RingIn.Load(); r != nil && r.T.Enter() {
			w.rings, w.peers = append(w.rings, r), append(w.peers, q.peer)
		}
	}
	in.polling = true
	busy := len(in.ring) > 0
	in.mu.Unlock()
	if !w.pull() && !busy {
		w.wait()
	}
	for i, r := range w.rings {
		r.T.Leave()
		w.rings[i], w.peers[i] = nil, nil
	}
	in.mu.Lock()
	in.polling = false
	if in.waits > 0 {
		in.ready.Signal() // to watch on
	}
}

// wait waits for something to pull, or to notice.
func (w *slotCheck) wait() {
	ok, since := w.in.spin.Spin(w)
	if !ok {
		_ = w.in.bell.Wait(w.asleep) // a bell that is closed is the end of the inbox
		w.in.parked.Store(false)
		for _, r := range w.rings {
			r.T.Unpark()
		}
		w.in.spin.Slept(since)
	}
	w.pull()
}

// pull takes some messages from each ring.
func (w *slotCheck) pull() bool {
	got := false
	for i, r := range w.rings {
		if r.Ready() {
			got = w.peers[i].Pull(conn.PullBatch) || got
		}
	}
	return got
}

// pending reports whether a ring has messages that nobody has looked at. The
// lock is held.
func (in *Inbox) pending() bool {
	return slices.ContainsFunc(in.rings, func(q *Queue) bool {
		r := q.peer.RingIn.Load()
		if r == nil || !r.T.Enter() {
			return false
		}
		defer r.T.Leave()
		return r.T.Pending()
	})
}
