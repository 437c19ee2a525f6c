package transport

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// sender is the sending half of a socket.
//
// A sender that finds no other writing takes the pen and writes its message itself:
// on an idle connection Send is one system call on the caller's goroutine. Whoever
// finds somebody writing leaves its message in the queue, joined with the
// others that wait, and the one with the pen writes it. If the kernel takes no
// more, the pen goes to a goroutine that lives until the queue is empty.
type sender struct {
	drained  func()        // see SocketOptions; may be nil
	closing  chan struct{} // closed by Close
	patience time.Duration // with ETOOMANYREFS

	mu      sync.Mutex
	settled sync.Cond // the pen has been laid down
	failed  error     // what every further Send returns
	writing bool      // a goroutine has the pen
	queue   []piece   // what came meanwhile
	bytes   int       // accepted and not in the kernel

	// The rest is for the one with the pen.
	current        piece // empty, or what is left of the piece being written
	notify         bool  // bytes has come down to 0
	writeNow       func(fd uintptr)
	writeWhenReady func(fd uintptr) bool
	writeData      []byte
	writeFDs       []int
	writeN         int
	writeErrno     unix.Errno
}

// A piece is what goes into one write: some messages, or one with descriptors.
type piece struct {
	data []byte // what is left to write
	fds  []int  // duplicates, to go with the first byte; closed when they went
	pool []byte // the whole buffer, if it will be given back
}

func (p *piece) drop() {
	closeFDs(p.fds)
	putBuffer(p.pool)
	*p = piece{}
}

// Send implements [Conn].
func (s *socket) Send(m Message) error {
	if err := m.check(); err != nil {
		return err
	}
	switch {
	case m.Local != nil:
		return refused("a local value cannot leave the process")
	case len(m.Body) == 0:
		return refused("it is empty")
	}
	s.mu.Lock()
	if s.failed != nil {
		err := s.failed
		s.mu.Unlock()
		return err
	}
	if s.writing {
		err := s.enqueue(m)
		s.mu.Unlock()
		return err
	}
	s.writing = true
	s.mu.Unlock()

	n, errno, err := s.writeMessage(m)

	s.mu.Lock()
	switch {
	case err != nil:
		if !errors.Is(err, errRefused) {
			err = s.fail(err)
		}
	case errno == 0 && n == len(m.Body):
		if len(s.queue) == 0 {
			s.layDown()
			return nil
		}
	case errno == 0 || transient(errno):
		err = s.keep(m, n)
	default:
		err = s.fail(os.NewSyscallError("sendmsg", errno))
	}
	s.pass()
	return err
}

// writeMessage makes one attempt to write a message with what it has borrowed.
// An error means that nothing could be attempted.
func (s *socket) writeMessage(m Message) (n int, errno unix.Errno, err error) {
	if len(m.Files) == 0 {
		return s.write(m.Body, nil)
	}
	failed := borrowFDs(m.Files, make([]int, 0, len(m.Files)), func(fds []int) {
		n, errno, err = s.write(m.Body, fds)
	})
	if failed != nil {
		return 0, 0, failed
	}
	return n, errno, err
}

// borrowFDs calls use with the descriptors of files, which stay open, and as
// blocking as they were, until it has returned.
func borrowFDs(files []*os.File, fds []int, use func(fds []int)) error {
	i := len(fds)
	if i == len(files) {
		use(fds)
		return nil
	}
	raw, err := files[i].SyscallConn()
	if err != nil {
		return refused("descriptor %d of %d (%s): %w", i, len(files), files[i].Name(), err)
	}
	var inner error
	err = raw.Control(func(fd uintptr) { inner = borrowFDs(files, append(fds, int(fd)), use) })
	if err != nil {
		return refused("descriptor %d of %d (%s): %w", i, len(files), files[i].Name(), err)
	}
	return inner
}

// write makes one attempt. It is called with the pen and without the lock.
func (s *socket) write(data []byte, fds []int) (int, unix.Errno, error) {
	s.writeData, s.writeFDs = data, fds
	err := s.raw.Control(s.writeNow)
	s.writeData, s.writeFDs = nil, nil
	return s.writeN, s.writeErrno, err
}

func (s *socket) doWriteNow(fd uintptr) {
	if len(s.writeFDs) == 0 {
		s.writeN, s.writeErrno = send(int(fd), s.writeData)
	} else {
		s.writeN, s.writeErrno = sendFiles(int(fd), s.writeData, s.writeFDs)
	}
}

// doWriteWhenReady is doWriteNow in the netpoller's hands: false means to wait.
func (s *socket) doWriteWhenReady(fd uintptr) bool {
	s.doWriteNow(fd)
	return s.writeErrno != unix.EAGAIN
}

// transient reports whether a write may succeed later. ETOOMANYREFS says that
// too many descriptors are on their way, to whatever receivers.
func transient(errno unix.Errno) bool {
	switch errno {
	case unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM, unix.ETOOMANYREFS:
		return true
	}
	return false
}

// keep makes what is left of a message the current piece, after n bytes of it
// were written. It is called with the pen and the lock.
func (s *socket) keep(m Message, n int) error {
	files := m.Files
	if n > 0 {
		files = nil // they went with the first byte
	}
	p, err := newPiece(m.Body[n:], files)
	if err != nil {
		return err
	}
	s.current = p
	s.bytes += len(p.data)
	return nil
}

// enqueue puts a copy of a message behind those that wait. It is called with
// the lock.
func (s *socket) enqueue(m Message) error {
	if last := len(s.queue) - 1; last >= 0 && len(m.Files) == 0 {
		p := &s.queue[last]
		if len(p.fds) == 0 && cap(p.data)-len(p.data) >= len(m.Body) {
			p.data = append(p.data, m.Body...)
			s.bytes += len(m.Body)
			return nil
		}
	}
	p, err := newPiece(m.Body, m.Files)
	if err != nil {
		return err
	}
	s.queue = append(s.queue, p)
	s.bytes += len(p.data)
	return nil
}

// newPiece copies a message into a buffer. A plain one gets a large buffer, so
// that others find room behind it: the peer is behind, and more will come.
func newPiece(body []byte, files []*os.File) (p piece, err error) {
	size := len(body)
	if len(files) > 0 {
		if p.fds, err = duplicateFDs(files); err != nil {
			return piece{}, err
		}
	} else {
		size = max(size, largeBuffer)
	}
	p.pool = getBuffer(size)
	p.data = append(p.pool[:0], body...)
	return p, nil
}
