package transport

import (
	"errors"
	"io"
	"os"
	"sync"
)

// Pipe returns the two ends of a connection within this process. Messages stay
// whole, so it needs no framer. A body is copied once, descriptors are
// duplicated once, and Local passes as it is; a message may consist of Local
// alone. FilesLost does not occur: Send refuses a message whose descriptors it
// cannot duplicate.
func Pipe() (a, b Conn) {
	there, back := newFlow(), newFlow()
	return &pipe{in: back, out: there}, &pipe{in: there, out: back}
}

type pipe struct {
	in, out *flow
	last    []byte // body handed out by the last Receive, to be used again
}

func (p *pipe) Send(m Message) error {
	if err := m.check(); err != nil {
		return err
	}
	if len(m.Body) == 0 && m.Local == nil {
		return refused("it is empty")
	}
	return p.out.put(m)
}

func (p *pipe) Receive() (Message, error) {
	m, err := p.in.take(p.last)
	p.last = m.Body
	return m, err
}

func (p *pipe) Buffered() int { return p.out.buffered() }

func (p *pipe) Close() error {
	// What was sent stays for the peer to read; what was received is
	// dropped, with its descriptors.
	p.out.finish()
	p.in.abandon()
	return nil
}

// A flow is one direction of a pipe: an unbounded queue between any number of
// senders and one receiver.
type flow struct {
	mu    sync.Mutex
	ready sync.Cond // something to take, or the end
	queue []Message // waiting messages are queue[head:]
	head  int
	bytes int      // in waiting bodies
	spare [][]byte // bodies that were received and may be used again

	finished  bool // the sender closed its end: nothing more will come
	abandoned bool // the receiver closed its end: nothing more is wanted
}

const (
	spareBodies = 8        // how many bodies a flow keeps for reuse
	spareBytes  = 64 << 10 // the largest body it keeps
)

func newFlow() *flow {
	f := &flow{}
	f.ready.L = &f.mu
	return f
}

func (f *flow) put(m Message) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.finished:
		return closedError("send", nil)
	case f.abandoned:
		return closedError("send", errPeerClosed)
	}
	if len(m.Files) > 0 {
		files, err := duplicate(m.Files)
		if err != nil {
			return err
		}
		m.Files = files
	}
	if len(m.Body) > 0 {
		m.Body = f.copyBody(m.Body)
	}
	if len(f.queue) == cap(f.queue) && f.head > len(f.queue)/2 {
		// Moving fewer than half is paid for by those that left.
		n := copy(f.queue, f.queue[f.head:])
		clear(f.queue[n:])
		f.queue, f.head = f.queue[:n], 0
	}
	m.FilesLost = false
	f.queue = append(f.queue, m)
	f.bytes += len(m.Body)
	f.ready.Signal()
	return nil
}

// copyBody copies a body into one that was received before, or into a new one.
func (f *flow) copyBody(body []byte) []byte {
	if last := len(f.spare) - 1; last >= 0 && len(body) <= spareBytes {
		b := f.spare[last]
		f.spare = f.spare[:last]
		return append(b[:0], body...)
	}
	return append([]byte(nil), body...)
}

// take waits for a message. The body of the message before goes back for use.
func (f *flow) take(last []byte) (Message, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if cap(last) > 0 && cap(last) <= spareBytes && len(f.spare) < spareBodies {
		f.spare = append(f.spare, last)
	}
	for {
		switch {
		case f.abandoned:
			return Message{}, closedError("receive", nil)
		case f.head < len(f.queue):
			m := f.queue[f.head]
			f.queue[f.head] = Message{}
			f.head++
			f.bytes -= len(m.Body)
			if f.head == len(f.queue) {
				f.reset()
			}
			return m, nil
		case f.finished:
			return Message{}, io.EOF
		}
		f.ready.Wait()
	}
}

// reset makes an emptied queue begin at its beginning, and lets go of one that
// has grown long: a burst must not be paid for ever.
func (f *flow) reset() {
	const long = 1024
	f.head = 0
	f.queue = f.queue[:0]
	if cap(f.queue) > long {
		f.queue = nil
	}
}

func (f *flow) buffered() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.finished {
		return 0
	}
	return f.bytes
}

// finish is the sender's end: what waits is still delivered.
func (f *flow) finish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finished = true
	f.ready.Broadcast()
}

// abandon is the receiver's end: what waits is dropped.
func (f *flow) abandon() {
	f.mu.Lock()
	unread := f.queue[f.head:]
	f.abandoned = true
	f.queue, f.head, f.bytes, f.spare = nil, 0, 0, nil
	f.ready.Broadcast()
	f.mu.Unlock()
	for _, m := range unread {
		closeFiles(m.Files)
		if d, ok := m.Local.(interface{ Discard() }); ok {
			d.Discard() // without the lock: it runs the owner's code
		}
	}
}

// errPeerClosed is the cause on the pipe of what is EPIPE on a socket.
var errPeerClosed = errors.New("the other end is closed")

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close() // the descriptor was not wanted, so its error does not matter
	}
}
