package transport

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// ErrCorruptRing says that the peer has put nonsense into its ring. The
// connection cannot go on.
var ErrCorruptRing = errors.New("the peer's ring is broken")

// Rings are the fast way beside a socket: a ring in each direction, in
// memory. Records are numbered by their writer, so that what goes by ring and
// what goes by socket can be put in one order again.
//
// [NewRings] makes our half, [Rings.Join] adds the peer's. Close may be called at
// any time by any goroutine; the memory goes when the last that has entered it
// leaves. So every other method but File is called between [Rings.Enter] and [Rings.Leave].
type Rings struct {
	ours   ringMem
	theirs ringMem
	file   *os.File // of ours, until Join
	free   func(mem []byte)

	out ringWriter
	in  ringReader

	users atomic.Int64 // who has entered, and one until Close
	over  atomic.Bool
}

// File is our half, for the peer: it can only read it. It is ours still, and
// closed by Join and Close.
func (r *Rings) File() *os.File { return r.file }

// join connects the halves.
func (r *Rings) join(theirs ringMem) error {
	for _, m := range []ringMem{r.ours, theirs} {
		if err := m.check(); err != nil {
			return err
		}
	}
	r.theirs = theirs
	r.out, r.in = newRingWriter(r.ours, theirs), newRingReader(r.ours, theirs)
	if joined != nil {
		joined(r)
	}
	return nil
}

// joined, if set, is shown all rings before they are used: tests stop a process
// at each of its steps.
var joined func(*Rings)

// Enter makes the memory stay until Leave. It is false after Close.
func (r *Rings) Enter() bool {
	for {
		n := r.users.Load()
		if n == 0 || r.over.Load() {
			return false
		}
		if r.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Leave ends what Enter began.
func (r *Rings) Leave() {
	if r.users.Add(-1) == 0 {
		r.release()
	}
}

// Close gives the rings up.
func (r *Rings) Close() {
	if !r.over.Swap(true) {
		r.Leave()
	}
}

func (r *Rings) release() {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
	if r.free != nil {
		r.free(r.ours)
		if r.theirs != nil {
			r.free(r.theirs)
		}
	}
}

// Write publishes a record and wakes the peer's reader if it sleeps in the
// kernel. If notify is true the reader sleeps otherwise, and the caller must wake
// it by any message of the socket. One goroutine at a time may call Write. ok is
// false if the record has no room, now or, above [MaxRecord], ever. The error
// wraps [ErrCorruptRing] and is final.
func (r *Rings) Write(number uint64, body []byte) (ok, notify bool, err error) {
	ok, err = r.out.write(number, body)
	if err != nil {
		return false, false, fmt.Errorf("transport: ring: %w", err)
	}
	if !ok {
		return false, false, nil
	}
	switch how, sleep := r.out.wanted(); how {
	case wakeKernel:
		if futexWakeShared(r.out.tail) {
			r.out.ended(sleep)
		}
	case wakeBySocket:
		r.out.ended(sleep)
		notify = true
	}
	return true, notify, nil
}

// PeerParked reports whether the peer's reader sleeps, or has been woken and does
// not run yet.
func (r *Rings) PeerParked() bool { return atomic.LoadUint64(r.out.parked) != 0 }

// Pending reports whether a record waits to be read. Any goroutine may ask.
func (r *Rings) Pending() bool { return r.in.pending() }

// Front returns the number of the first record that waits, if one does. One
// goroutine at a time may call it or Take. The error wraps [ErrCorruptRing] and
// is final.
func (r *Rings) Front() (number uint64, ok bool, err error) {
	number, ok, err = r.in.front()
	if err != nil {
		err = fmt.Errorf("transport: ring: %w", err)
	}
	return number, ok, err
}

// Take appends the body of the first record to buf and removes it. It follows a
// Front that found one. The error is Front's.
func (r *Rings) Take(buf []byte) ([]byte, error) {
	buf, err := r.in.take(buf)
	if err != nil {
		err = fmt.Errorf("transport: ring: %w", err)
	}
	return buf, err
}
