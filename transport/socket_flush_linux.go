package transport

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// sendRounds is how often a sender also writes what others left in the queue,
// before it leaves that to a goroutine: Send must come to an end.
const sendRounds = 4

// refsPatience is how long a message waits while too many descriptors are on
// their way. Then it goes without its own, and its receiver is told so: what
// is stuck may be on its way to another process that never reads.
const refsPatience = 5 * time.Second

// pass is the end of a Send that cannot just lay down the pen. It is called
// with the pen and the lock and gives both away.
func (s *socket) pass() {
	for range sendRounds {
		if len(s.current.data) > 0 || !s.next() {
			break // the kernel takes no more, or there is no more
		}
		s.mu.Unlock()
		n, errno, err := s.write(s.current.data, s.current.fds)
		s.mu.Lock()
		s.wrote(n, errno, err)
	}
	if s.next() {
		s.mu.Unlock()
		go s.flush()
		return
	}
	s.layDown()
}

// flush writes until nothing waits. It has the pen.
func (s *socket) flush() {
	s.mu.Lock()
	for s.next() {
		s.mu.Unlock()
		n, errno, err := s.writeWaiting()
		s.mu.Lock()
		s.wrote(n, errno, err)
	}
	s.layDown()
}

// writeWaiting writes some of the current piece and waits if it has to. Once
// Close was called it does not wait: what the kernel does not take then is
// lost, and that is an error.
func (s *socket) writeWaiting() (n int, errno unix.Errno, err error) {
	var waited time.Duration
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		s.writeData, s.writeFDs = s.current.data, s.current.fds
		err := s.raw.Write(s.writeWhenReady)
		n, errno = s.writeN, s.writeErrno
		s.writeData, s.writeFDs = nil, nil
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			n, errno, err = s.write(s.current.data, s.current.fds)
			if err == nil && transient(errno) {
				err = os.ErrDeadlineExceeded
			}
			return n, errno, err
		case err != nil || !transient(errno):
			return n, errno, err
		}
		// Not the socket is full but something else, and the netpoller
		// will not say when there is room again.
		if errno == unix.ETOOMANYREFS && waited >= s.patience {
			closeFDs(s.current.fds)
			s.current.fds = nil
			continue
		}
		waited += pause
		select {
		case <-time.After(pause):
		case <-s.closing: // the deadline has passed as well
		}
	}
}

// wrote accounts for an attempt to write the current piece. It is called with
// the pen and the lock.
func (s *socket) wrote(n int, errno unix.Errno, err error) {
	switch {
	case err != nil:
		_ = s.fail(err)
	case errno != 0 && !transient(errno):
		_ = s.fail(os.NewSyscallError("sendmsg", errno))
	case errno == 0:
		s.bytes -= n
		s.notify = s.bytes == 0
		s.current.data = s.current.data[n:]
		closeFDs(s.current.fds)
		s.current.fds = nil
		if len(s.current.data) == 0 {
			s.current.drop()
		}
	}
}

// next says whether there is something to write, and makes it the current
// piece. It is called with the pen and the lock.
func (s *socket) next() bool {
	if len(s.current.data) > 0 {
		return true
	}
	if len(s.queue) == 0 {
		return false
	}
	s.current = s.queue[0]
	s.queue[0] = piece{}
	s.queue = s.queue[1:]
	if len(s.queue) == 0 {
		s.queue = nil
	}
	return true
}

// fail ends sending and drops what waits. It returns what every further Send
// returns. It is called with the pen and the lock.
func (s *socket) fail(cause error) error {
	if s.failed == nil {
		s.failed = closedError("send", cause)
	}
	s.current.drop()
	for i := range s.queue {
		s.queue[i].drop()
	}
	s.queue = nil
	s.notify = s.notify || s.bytes > 0
	s.bytes = 0
	return s.failed
}

// layDown gives the pen and the lock away when nothing waits.
func (s *socket) layDown() {
	notify := s.notify && s.drained != nil
	s.notify = false
	s.writing = false
	s.settled.Broadcast()
	s.mu.Unlock()
	if notify {
		s.drained()
	}
}

// stopSending refuses further messages and waits until those accepted before
// are written, as far as that needs no waiting for the peer.
func (s *socket) stopSending() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = closedError("send", nil)
	}
	if s.writing {
		_ = s.file.SetWriteDeadline(time.Unix(1, 0)) // wakes up the writer
	}
	close(s.closing)
	for s.writing {
		s.settled.Wait()
	}
}

// Buffered implements [Conn].
func (s *socket) Buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}
