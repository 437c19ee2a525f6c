package transport

import (
	"errors"
	"testing"
)

// FuzzRing lets a peer put anything into its half, and reads it; then it has a
// writer and a reader do what the input says, beside a plain queue. Nothing may
// panic, no copy may leave the ring, and the two must agree with the queue.
func FuzzRing(f *testing.F) {
	f.Add([]byte{}, []byte{}, uint64(0))
	f.Add([]byte{5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'}, []byte{0, 3, 20, 1, 0, 255}, uint64(32))
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255}, []byte{200, 200, 1, 1, 200}, uint64(1<<64-16))
	f.Fuzz(func(t *testing.T, memory, moves []byte, tail uint64) {
		const size = 256
		liar := newRingEnds(size)
		copy(liar.w.data, memory)
		*liar.writerMem.word(tailWord) = tail
		readToTheEnd(t, liar)
		// Its words about our ring are no better.
		*liar.writerMem.word(headWord) = tail
		ours := newRingWriter(liar.readerMem, liar.writerMem)
		for i := range uint64(size) {
			if ok, err := ours.write(i, memory[:min(len(memory), 64)]); err != nil && !errors.Is(err, ErrCorruptRing) {
				t.Fatal(err)
			} else if !ok {
				break
			}
		}

		e, model := newRingEnds(size), queueModel{room: size}
		for _, m := range moves {
			if m%4 == 3 {
				model.read(t, e)
			} else {
				model.write(t, e, int(m))
			}
		}
	})
}
