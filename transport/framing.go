package transport

import (
	"fmt"
)

// An assembler turns the pieces of a stream into messages, each with its
// descriptors. It does no input itself: its user reads into space and says
// with filled how much came. It is used by one goroutine, except its batches.
type assembler struct {
	frame   func(data []byte) (n int, err error)
	count   func(body []byte) int
	batches batches

	buf        []byte
	start, end int   // buf[start:end] are bytes not yet handed out
	taken      int   // length of the message that next has handed out, at buf[start:]
	seen       int   // how much of buf[start:end] the framer has been shown
	offset     int64 // of buf[start] in the stream

	full bool // the last read filled all the space there was: more is waiting
	most int  // largest fill since the reader last had to wait
	lazy int  // how many times in a row the reader waited without having needed a large buffer
}

// part is one assembled message: what Message is before descriptors have become files.
type part struct {
	body []byte
	fds  []int
	lost bool
}

// next returns the next whole message, if there is one. What it returned
// before is no longer valid.
func (a *assembler) next() (p part, ok bool, err error) {
	a.start += a.taken
	a.offset += int64(a.taken)
	a.taken = 0
	data := a.buf[a.start:a.end]
	if len(data) == a.seen {
		return part{}, false, nil // nothing that the framer does not know
	}
	n, err := a.frame(data)
	switch {
	case err != nil:
		return part{}, false, &streamError{Offset: a.offset, Err: err}
	case n < 0 || n > len(data):
		err = fmt.Errorf("the framer claims %d of %d bytes", n, len(data))
		return part{}, false, &streamError{Offset: a.offset, Err: err}
	case n == 0:
		a.seen = len(data)
		return part{}, false, nil
	}
	a.seen, a.taken = 0, n
	p.body = data[:n:n]
	if a.count != nil {
		p.fds, p.lost = a.batches.claim(a.offset+int64(n), a.count(p.body))
	}
	return p, true, nil
}

// space returns the room for the next read, which is never empty. It is called
// only after next found no message.
func (a *assembler) space() []byte {
	have := a.end - a.start
	if have == 0 {
		a.start, a.end = 0, 0
	}
	switch size := len(a.buf); {
	case size == 0:
		a.move(smallBuffer)
	case a.full && size < largeBuffer:
		a.move(4 * size)
	case size-a.end >= size/4:
		// Room enough.
	case have <= size/2:
		// At least a quarter of the size was read since the last time,
		// so moving half of it costs each byte a constant.
		copy(a.buf, a.buf[a.start:a.end])
		a.start, a.end = 0, have
	case size < 1<<20:
		a.move(4 * size)
	default:
		a.move(2 * size)
	}
	return a.buf[a.end:]
}

// move changes the buffer for one of the given size.
func (a *assembler) move(size int) {
	old := a.buf
	a.buf = getBuffer(size)
	a.end = copy(a.buf, old[a.start:a.end])
	a.start = 0
	a.full = false
	putBuffer(old)
}

// filled says that n bytes were read into the space, together with fds and the
// kernel's word that some were left out.
func (a *assembler) filled(n int, fds []int, truncated bool) {
	a.full = n == len(a.buf)-a.end
	a.end += n
	a.most = max(a.most, a.end-a.start)
	if len(fds) > 0 || truncated {
		a.batches.add(a.offset+int64(a.end-a.start), fds, truncated)
	}
}

// idle is called when there is nothing to read. It changes an empty buffer for
// a smaller one. One above largeBuffer goes at once, because the pool has it
// when it is wanted again; the last step waits until the connection has been quiet
// for a while.
func (a *assembler) idle() {
	const quiet = 32 // waits
	if a.start != a.end || len(a.buf) == smallBuffer {
		return
	}
	a.lazy++
	if a.most > smallBuffer/2 {
		a.lazy = 0
	}
	a.most = 0
	switch {
	case a.lazy >= quiet:
		a.lazy = 0
		a.move(smallBuffer)
	case len(a.buf) > largeBuffer:
		a.move(largeBuffer)
	}
}

// pending returns how many bytes of an incomplete message there are.
func (a *assembler) pending() int { return a.end - a.start - a.taken }

// release gives the buffer back when nothing more will be read.
func (a *assembler) release() {
	putBuffer(a.buf)
	a.buf, a.start, a.end, a.taken, a.seen = nil, 0, 0, 0, 0
}
