package transport

import "sync"

// batches are the descriptors that came and whose message is not complete yet.
//
// One read returns at most one batch, and none of the bytes behind the
// sendmsg that the batch was attached to; but bytes sent before may be glued
// to it (unix_stream_read_generic in net/unix/af_unix.c of the kernel). So the
// batch belongs to the message that holds the last byte of its read, and a
// message has the batches that came with its own bytes: those that came before
// its end and after the end of the message before it. What was lost on one
// message, by the kernel or by a sender in need, shifts nothing for the next.
type batches struct {
	closeFD func(fd int)

	mu     sync.Mutex // Close comes from another goroutine
	queue  []batch    // first in, first out; never more than two
	closed bool
}

type batch struct {
	end       int64 // position in the stream behind the last byte of its read
	fds       []int
	truncated bool // some of the batch's descriptors did not get here
}

// add takes what came with a read that ended at end. All complete messages
// were claimed before that read, so what is queued belongs to the one that was
// incomplete and can be made one batch: neither the queue nor the number of
// descriptors can be driven up by a message that never ends.
func (b *batches) add(end int64, fds []int, truncated bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) > 1 {
		first, second := &b.queue[0], b.queue[1]
		first.end = second.end
		first.truncated = first.truncated || second.truncated
		first.fds = append(first.fds, second.fds...)
		b.queue = b.queue[:1]
		b.limit(first)
	}
	b.queue = append(b.queue, batch{end, fds, truncated})
	b.limit(&b.queue[len(b.queue)-1])
}

// limit drops a batch that no message can announce.
func (b *batches) limit(it *batch) {
	if b.closed || len(it.fds) > maxFiles {
		b.closeAll(it.fds)
		it.fds, it.truncated = nil, true
	}
}

// claim takes out what belongs to the message that ends at end and announces
// want descriptors. It returns them all or none, and closes those that were
// not announced.
func (b *batches) claim(end int64, want int) (fds []int, lost bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for ; n < len(b.queue) && b.queue[n].end <= end; n++ {
		fds = append(fds, b.queue[n].fds...)
		lost = lost || b.queue[n].truncated
	}
	b.queue = append(b.queue[:0], b.queue[n:]...)
	if want <= 0 {
		b.closeAll(fds)
		return nil, false
	}
	if lost || len(fds) < want || len(fds) > maxFiles {
		b.closeAll(fds)
		return nil, true
	}
	b.closeAll(fds[want:])
	return fds[:want:want], false
}

// close closes what was not claimed, and whatever comes later.
func (b *batches) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, batch := range b.queue {
		b.closeAll(batch.fds)
	}
	b.queue, b.closed = nil, true
}

func (b *batches) closeAll(fds []int) {
	for _, fd := range fds {
		b.closeFD(fd)
	}
}
