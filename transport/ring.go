package transport

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A ring carries records from one process to another without a system call.
// Each side has one piece of memory that it alone writes and the other can only
// read: its own ring, and three words. What both would write does not exist, so
// a peer can break its own ring and nothing else.
//
//	word     0  tail: bytes that we have published in our ring, ever
//	word    64  head: bytes that we have taken from the peer's ring, ever
//	word   128  parked: 0 while no reader waits; else our reader sleeps for the
//	            n-th time and wants to be woken, once: 2n+1 on the futex of the
//	            peer's tail, 2n by a message of the socket
//	byte  4096  the ring
//
// A record is 16 bytes of header, the body's length and the record's number,
// and the body, padded to 16 bytes, so that no header is split at the ring's
// end. It is there when the tail says so: a writer that is killed before that
// has written nothing.
//
// The functions work on any memory; the tests run them on the heap, where the
// race detector sees what it cannot see in a mapping.
const (
	tailWord   = 0
	headWord   = 64
	parkedWord = 128
	ringStart  = 4096

	// ringSize is the size of a ring in bytes, a power of two: room for the
	// thousand small messages that a mailbox holds by default.
	ringSize = 128 << 10

	// MaxRecord is the largest body that goes into a ring, in bytes. A larger
	// message would keep small ones waiting while it is copied, and gains
	// little: a system call is a small part of what it costs.
	MaxRecord = 16 << 10

	recordHead = 16
	ringMemory = ringStart + ringSize

	// parkedInKernel is set in a parked word whose reader has blocked a thread.
	parkedInKernel = 1
)

// step is a point between two accesses to shared memory, for tests that stop or
// kill a side there.
type step string

const (
	stepRoom   step = "head of the reader read"
	stepHeader step = "header written"
	stepBody   step = "body written"
	stepTail   step = "tail published"
	stepAsleep step = "parked word of the reader read"
	stepSeen   step = "tail of the writer read"
	stepTaken  step = "header read"
	stepCopied step = "body copied out"
	stepHead   step = "head published"
	stepParked step = "parked"
)

// ringMem is one side's memory.
type ringMem []byte

func (m ringMem) word(off int) *uint64 { return (*uint64)(unsafe.Pointer(&m[off])) }

func (m ringMem) ring() []byte { return m[ringStart:] }

// check demands what word and ring need.
func (m ringMem) check() error {
	if at := unsafe.SliceData(m); len(m) != ringMemory || uintptr(unsafe.Pointer(at))%64 != 0 {
		return fmt.Errorf("transport: ring of %d bytes at %p: want %d, aligned to 64", len(m), at, ringMemory)
	}
	return nil
}

// ringWriter is the writing end: ours, and of the peer's only the head and the
// parked word. One goroutine at a time may use it.
type ringWriter struct {
	data   []byte  // its size is a power of two
	tail   *uint64 // ours
	head   *uint64 // theirs
	parked *uint64 // theirs

	at    uint64 // what tail says
	freed uint64 // what head said when it was last read
	woken uint64 // the parked word of the sleep from which the reader was woken last
	hook  func(step)
}

func newRingWriter(ours, theirs ringMem) ringWriter {
	return ringWriter{data: ours.ring(), tail: ours.word(tailWord), head: theirs.word(headWord), parked: theirs.word(parkedWord)}
}

func (w *ringWriter) step(s step) {
	if w.hook != nil {
		w.hook(s)
	}
}

// write publishes a record. It is false if there is no room for it now, or
// ever. The error is final: the peer's head is impossible.
func (w *ringWriter) write(number uint64, body []byte) (bool, error) {
	if len(body) > MaxRecord {
		return false, nil
	}
	need, size := recordSize(len(body)), uint64(len(w.data))
	if w.at+need-w.freed > size {
		w.freed = atomic.LoadUint64(w.head)
		w.step(stepRoom)
		if used := w.at - w.freed; used > size {
			return false, fmt.Errorf("the reader claims to have taken %d bytes of %d: %w", w.freed, w.at, ErrCorruptRing)
		} else if used+need > size {
			return false, nil
		}
	}
	pos := int(w.at & (size - 1))
	binary.NativeEndian.PutUint64(w.data[pos:], uint64(len(body)))
	binary.NativeEndian.PutUint64(w.data[pos+8:], number)
	w.step(stepHeader)
	pos = (pos + recordHead) & int(size-1)
	if n := copy(w.data[pos:], body); n < len(body) {
		copy(w.data, body[n:])
	}
	w.step(stepBody)
	w.at += need
	atomic.StoreUint64(w.tail, w.at)
	w.step(stepTail)
	return true, nil
}

// A wakeUp is what the writer must do for a reader that sleeps.
type wakeUp int

const (
	wakeNone     wakeUp = iota
	wakeKernel          // wake the futex of the tail
	wakeBySocket        // send a message by the socket
)

// wanted says how the reader wants to be woken, and from which sleep. It is asked
// after write: a reader that parks before it has seen the record is seen parked.
// Each sleep is ended once: waking up takes a while, in which much can be written.
// The one that ends it calls ended.
func (w *ringWriter) wanted() (how wakeUp, sleep uint64) {
	p := atomic.LoadUint64(w.parked)
	w.step(stepAsleep)
	switch {
	case p == 0 || p == w.woken:
		return wakeNone, p
	case p&parkedInKernel != 0:
		return wakeKernel, p
	default:
		return wakeBySocket, p
	}
}

// ended says that the reader was woken from a sleep. A futex that woke no thread
// has ended none: the reader had parked and did not sleep yet. It has seen what
// was written before, but this may be known here only later.
func (w *ringWriter) ended(sleep uint64) { w.woken = sleep }

func recordSize(body int) uint64 { return recordHead + uint64(body+15)&^15 }

// ringReader is the reading end: of the peer's memory the ring and the tail, of
// ours the head and the parked word. One goroutine at a time may use it, but
// pending, park and unpark are for all.
type ringReader struct {
	data   []byte  // its size is a power of two
	tail   *uint64 // theirs
	head   *uint64 // ours
	parked *uint64 // ours

	at   uint64 // what head says
	seen uint64 // what tail said when it was last read
	hook func(step)

	parking sync.Locker // of who sleeps on a channel, and who reads the socket meanwhile
	sleeps  uint64      // how often it has parked
}

func newRingReader(ours, theirs ringMem) ringReader {
	return ringReader{data: theirs.ring(), tail: theirs.word(tailWord), head: ours.word(headWord), parked: ours.word(parkedWord), parking: new(sync.Mutex)}
}

func (r *ringReader) step(s step) {
	if r.hook != nil {
		r.hook(s)
	}
}

// pending reports whether there is something to read.
func (r *ringReader) pending() bool { return atomic.LoadUint64(r.tail) != atomic.LoadUint64(r.head) }

// front returns the number of the first record, if there is one. The error is
// final: the peer's tail is impossible.
func (r *ringReader) front() (number uint64, ok bool, err error) {
	if r.at == r.seen {
		r.seen = atomic.LoadUint64(r.tail)
		r.step(stepSeen)
		if r.at == r.seen {
			return 0, false, nil
		}
		if have := r.seen - r.at; have > uint64(len(r.data)) || have%recordHead != 0 {
			return 0, false, fmt.Errorf("the writer claims to have written %d bytes, %d are taken: %w", r.seen, r.at, ErrCorruptRing)
		}
	}
	return binary.NativeEndian.Uint64(r.data[r.at&uint64(len(r.data)-1)+8:]), true, nil
}

// take copies the first record's body behind buf and lets the writer have its
// room back. There must be a record. What the peer may change is read once.
func (r *ringReader) take(buf []byte) ([]byte, error) {
	size := len(r.data)
	pos := int(r.at) & (size - 1)
	n := binary.NativeEndian.Uint64(r.data[pos:])
	r.step(stepTaken)
	if n > MaxRecord || r.seen-r.at < recordSize(int(n)) {
		return buf, fmt.Errorf("a record of %d bytes in %d: %w", n, r.seen-r.at, ErrCorruptRing)
	}
	pos = (pos + recordHead) & (size - 1)
	if first := size - pos; first < int(n) {
		buf = append(append(buf, r.data[pos:]...), r.data[:int(n)-first]...)
	} else {
		buf = append(buf, r.data[pos:pos+int(n)]...)
	}
	r.step(stepCopied)
	r.at += recordSize(int(n))
	atomic.StoreUint64(r.head, r.at)
	r.step(stepHead)
	return buf, nil
}

// park asks to be woken, in the kernel or by a message of the socket. The caller
// must look for records once more before it sleeps: the writer looks at the word
// only after it has published.
func (r *ringReader) park(inKernel bool) {
	r.sleeps++
	p := r.sleeps << 1
	if inKernel {
		p |= parkedInKernel
	}
	atomic.StoreUint64(r.parked, p)
	r.step(stepParked)
}

func (r *ringReader) unpark() {
	atomic.StoreUint64(r.parked, 0)
	r.step(stepUnpark)
}
