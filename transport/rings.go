package transport

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// ErrScribbled says that the peer has put nonsense into its ring. The
// connection cannot go on.
var ErrCorruptRing = errors.New("the peer's ring is broken")

// Rings are the fast lane beside a socket lane: a ring in each direction, in
// memory. Records are numbered by their writer, so that what goes by ring and
// what goes by socket can be put in one order again.
//
// [NewRings] makes our half, [Rings.Join] adds the peer's. Close may be called at
// any time by anybody; the memory goes when the last who has entered it leaves.
// So every other method but File is called between [Rings.Enter] and [Rings.Leave].
type Rings struct {
	ours   ringMem
	theirs ringMem
	file   *os.File // of ours, until Join
	free   func(mem []byte)
	bell   *PeerDoorbell

	out ringWriter
	in  ringReader

	users atomic.Int64 // who has entered, and one until Close
	over  atomic.Bool
}

// File is our half, for the peer: it can only read it. It is ours still, and
// closed by Join and Close.
func (r *Rings) File() *os.File { return r.file }

// join connects the halves.
func (r *Rings) join(theirs ringMem, bell *PeerDoorbell) error {
	for _, m := range []ringMem{r.ours, theirs} {
		if err := m.check(); err != nil {
			return err
		}
	}
	r.theirs, r.bell = theirs, bell
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
	if r.bell != nil {
		r.bell.Close()
	}
	if r.free != nil {
		r.free(r.ours)
		if r.theirs != nil {
			r.free(r.theirs)
		}
	}
}

// Write publishes a record and wakes the peer's reader if it sleeps. One
// goroutine at a time may call it. It is false if the record has no room, now
// or, above [MaxRecord], ever. The error wraps [ErrScribbled] and is final.
func (r *Rings) Write(number uint64, body []byte) (bool, error) {
	ok, err := r.out.write(number, body)
	if err != nil {
		return false, fmt.Errorf("transport: ring: %w", err)
	}
	if ok && r.out.asleep() {
		r.bell.Ring()
	}
	return ok, nil
}

// PeerParked reports whether the peer's reader sleeps, or has been woken and does
// not run yet.
func (r *Rings) PeerParked() bool { return atomic.LoadUint64(r.out.parked) != 0 }

// Pending reports whether a record waits to be read. Anybody may ask.
func (r *Rings) Pending() bool { return r.in.pending() }

// Front returns the number of the first record that waits, if one does. One
// goroutine at a time may call it or Take. The error wraps [ErrScribbled] and
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

// Park asks the peer to ring our bell, once, when it has written. Whoever parks
// listens already, and asks Pending once more before it sleeps: it parks in what
// it gives to [Bell.Wait]. The ringing for a record that was read meanwhile would
// else be forgotten when the listening begins, and there is no second one.
func (r *Rings) Park() { r.in.park() }

// Unpark takes Park back.
func (r *Rings) Unpark() { r.in.unpark() }
