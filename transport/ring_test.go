package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

// heapRing is memory for a ring of the given size, aligned as a mapping is.
func heapRing(size int) ringMem {
	const align = 64
	b := make([]byte, ringStart+size+align)
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (align - 1))
	return ringMem(b[off : off+ringStart+size : off+ringStart+size])
}

// ringEnds is one direction: a writer and its reader.
type ringEnds struct {
	writerMem, readerMem ringMem
	w                    ringWriter
	r                    ringReader
}

func newRingEnds(size int) *ringEnds {
	e := &ringEnds{writerMem: heapRing(size), readerMem: heapRing(size)}
	e.w, e.r = newRingWriter(e.writerMem, e.readerMem), newRingReader(e.readerMem, e.writerMem)
	return e
}

// ringBody makes a body that can be told from every other one.
func ringBody(number uint64, size int) []byte {
	b := bytes.Repeat([]byte{byte(number*7 + 1)}, size)
	for i := 0; i+8 <= size; i += 8 {
		binary.NativeEndian.PutUint64(b[i:], number<<32|uint64(i))
	}
	return b
}

// next reads one record; ok is false if there is none.
func (e *ringEnds) next() (number uint64, body []byte, ok bool, err error) {
	number, ok, err = e.r.front()
	if ok && err == nil {
		body, err = e.r.take([]byte{})
	}
	return number, body, ok, err
}

func (e *ringEnds) expect(t *testing.T, number uint64, want []byte) {
	t.Helper()
	got, body, ok, err := e.next()
	if err != nil || !ok || got != number || !bytes.Equal(body, want) {
		t.Fatalf("record %d of %d bytes came as %d of %d bytes (%v, %v)", number, len(want), got, len(body), ok, err)
	}
}

func TestRingEverySize(t *testing.T) {
	e := newRingEnds(ringSize)
	number := uint64(0)
	for size := 0; size <= MaxRecord; size++ { // at ever other places of the ring
		number++
		body := ringBody(number, size)
		if ok, err := e.w.write(number, body); !ok || err != nil {
			t.Fatalf("%d bytes into an empty ring: %v, %v", size, ok, err)
		}
		if e.w.at%recordHead != 0 {
			t.Fatalf("a header would be split at %d", e.w.at)
		}
		e.expect(t, number, body)
	}
	if ok, err := e.w.write(number+1, make([]byte, MaxRecord+1)); ok || err != nil {
		t.Errorf("a record that is too large: %v, %v", ok, err)
	}
	if _, _, ok, err := e.next(); ok || err != nil {
		t.Errorf("a record nobody wrote: %v", err)
	}
}

func TestRingTakesBehindWhatThereIs(t *testing.T) {
	e := newRingEnds(64)
	for i := range uint64(9) { // across the end as well
		_, _ = e.w.write(i, []byte("body"))
		_, _, _ = e.r.front()
		if b, err := e.r.take([]byte("some")); err != nil || string(b) != "somebody" {
			t.Fatalf("took %q, %v", b, err)
		}
	}
}

func TestRingFull(t *testing.T) {
	e := newRingEnds(128)
	for round := range uint64(10) {
		for i := range uint64(4) { // of 32 bytes each
			if ok, err := e.w.write(round*4+i, ringBody(i, 16)); !ok || err != nil {
				t.Fatalf("record %d of 4: %v, %v", i, ok, err)
			}
		}
		if ok, err := e.w.write(0, nil); ok || err != nil {
			t.Fatalf("a record into a full ring: %v, %v", ok, err)
		}
		for i := range uint64(4) {
			e.expect(t, round*4+i, ringBody(i, 16))
		}
	}
	if ok, err := e.w.write(0, make([]byte, 120)); ok || err != nil {
		t.Errorf("a record larger than the ring: %v, %v", ok, err)
	}
}

// Whatever is written and read in whatever order, the reader sees what a queue
// would give it.
func TestRingIsAQueue(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		e := newRingEnds(1024)
		model := queueModel{room: 1024}
		for range 5000 {
			if rnd.IntN(2) == 0 {
				model.write(t, e, rnd.IntN(300))
			} else {
				model.read(t, e)
			}
		}
	}
}

// queueModel is what a ring is to its users.
type queueModel struct {
	room  int
	last  uint64
	queue []int // sizes of the bodies, of numbers up to last
}

func (m *queueModel) write(t *testing.T, e *ringEnds, size int) {
	t.Helper()
	need := int(recordSize(size))
	ok, err := e.w.write(m.last+1, ringBody(m.last+1, size))
	if err != nil || ok != (need <= m.room && size <= MaxRecord) {
		t.Fatalf("writing %d bytes with room for %d: %v, %v", need, m.room, ok, err)
	}
	if ok {
		m.last++
		m.room -= need
		m.queue = append(m.queue, size)
	}
}

func (m *queueModel) read(t *testing.T, e *ringEnds) {
	t.Helper()
	if e.r.pending() != (len(m.queue) > 0) {
		t.Fatalf("pending is %v with %d records", e.r.pending(), len(m.queue))
	}
	if len(m.queue) == 0 {
		if _, _, ok, err := e.next(); ok || err != nil {
			t.Fatalf("a record out of an empty ring (%v)", err)
		}
		return
	}
	size := m.queue[0]
	number := m.last + 1 - uint64(len(m.queue))
	e.expect(t, number, ringBody(number, size))
	m.queue = m.queue[1:]
	m.room += int(recordSize(size))
}

// Both ends at once, for the race detector.
func TestRingConcurrently(t *testing.T) {
	e := newRingEnds(4096)
	const n = 20_000
	failed := make(chan error, 1)
	go func() {
		var err error
		for i := uint64(1); i <= n && err == nil; {
			var ok bool
			if ok, err = e.w.write(i, ringBody(i, int(i*13%700))); ok {
				i++
			}
			pause(1)
		}
		failed <- err
	}()
	for i := uint64(1); i <= n; pause(1) {
		number, body, ok, err := e.next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			continue
		}
		if number != i || !bytes.Equal(body, ringBody(i, int(i*13%700))) {
			t.Fatalf("record %d of %d bytes came where %d was due", number, len(body), i)
		}
		i++
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

// A peer can write what it likes into its own half: that is found out, or harms
// nobody but itself.
func TestRingOfALiar(t *testing.T) {
	const size = 256
	for name, lie := range map[string]func(e *ringEnds){
		"tail beyond the ring":     func(e *ringEnds) { *e.writerMem.word(tailWord) += size },
		"tail far beyond":          func(e *ringEnds) { *e.writerMem.word(tailWord) = 1 << 63 },
		"tail backwards":           func(e *ringEnds) { *e.writerMem.word(tailWord) = 32 },
		"tail to nothing":          func(e *ringEnds) { *e.writerMem.word(tailWord) = 0 },
		"tail inside a header":     func(e *ringEnds) { *e.writerMem.word(tailWord) += 8 },
		"length beyond the record": func(e *ringEnds) { binary.NativeEndian.PutUint64(e.r.data[64:], 17) },
		"length beyond the ring":   func(e *ringEnds) { binary.NativeEndian.PutUint64(e.r.data[64:], size) },
		"length too large":         func(e *ringEnds) { binary.NativeEndian.PutUint64(e.r.data[64:], MaxRecord+1) },
		"length negative":          func(e *ringEnds) { binary.NativeEndian.PutUint64(e.r.data[64:], 1<<64-1) },
	} {
		t.Run(name, func(t *testing.T) {
			e := newRingEnds(size)
			for i := range uint64(2) {
				_, _ = e.w.write(i, ringBody(i, 16))
				e.expect(t, i, ringBody(i, 16))
			}
			_, _ = e.w.write(2, ringBody(2, 16))
			lie(e)
			if _, _, ok, err := e.next(); !errors.Is(err, ErrCorruptRing) {
				t.Errorf("found %v, %v", ok, err)
			}
		})
	}
}

// What the reader has once read of the peer's is not read again: a length that
// changes under its hands changes nothing.
func TestRingLengthChangesUnderTheReader(t *testing.T) {
	e := newRingEnds(256)
	_, _ = e.w.write(1, ringBody(1, 16))
	e.r.hook = func(s step) {
		if s == stepTaken {
			binary.NativeEndian.PutUint64(e.w.data, MaxRecord)
			binary.NativeEndian.PutUint64(e.w.data[8:], 99)
		}
	}
	e.expect(t, 1, ringBody(1, 16))
}

func TestRingHeadOfALiar(t *testing.T) {
	for name, head := range map[string]uint64{"beyond what was written": 129, "far beyond": 1 << 63, "before the beginning": 1<<64 - 16} {
		t.Run(name, func(t *testing.T) {
			e := newRingEnds(128)
			for i := range uint64(4) {
				_, _ = e.w.write(i, ringBody(i, 16))
			}
			*e.readerMem.word(headWord) = head
			if ok, err := e.w.write(5, nil); ok || !errors.Is(err, ErrCorruptRing) {
				t.Errorf("wrote %v, %v", ok, err)
			}
		})
	}
}

// A bit that flips anywhere in the writer's memory is an error or other words,
// never a panic, and never more than was asked for.
func TestRingFlippedBits(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	for range 20_000 {
		e := newRingEnds(256)
		for i := range uint64(5) {
			_, _ = e.w.write(i, ringBody(i, rnd.IntN(60)))
			if rnd.IntN(2) == 0 {
				_, _, _, _ = e.next()
			}
		}
		at := tailWord + rnd.IntN(8)
		if rnd.IntN(3) > 0 {
			at = ringStart + rnd.IntN(256)
		}
		e.writerMem[at] ^= 1 << rnd.IntN(8)
		readToTheEnd(t, e)
	}
}

// readToTheEnd reads a ring of anything.
func readToTheEnd(t *testing.T, e *ringEnds) {
	t.Helper()
	for taken := 0; ; {
		_, body, ok, err := e.next()
		if err != nil && !errors.Is(err, ErrCorruptRing) {
			t.Fatalf("found %v", err)
		}
		if err != nil || !ok {
			return
		}
		// What was seen before, and once more what the ring holds.
		if taken += int(recordSize(len(body))); taken > 2*len(e.r.data) {
			t.Fatalf("%d bytes out of a ring of %d", taken, len(e.r.data))
		}
	}
}

func TestRingMemoryIsChecked(t *testing.T) {
	good := heapRing(ringSize)
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for name, m := range map[string]ringMem{"none": nil, "short": good[:ringMemory-1], "askew": heapRing(ringSize + 8)[8:]} {
		if err := m.check(); err == nil || !strings.Contains(err.Error(), fmt.Sprint(len(m))) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
