package transport

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// NewSocket makes a connection of one end of a connection: a stream socket of the
// AF_UNIX family. It takes f over, also when it fails, and makes it
// non-blocking; the connection must have the description for itself.
//
// frame finds the end of each message in the stream. It returns 0 if data, which
// is never empty, does not yet hold a whole message; otherwise data[:n] is one,
// and the next call is about the bytes behind it. It is resumable: it is called
// with a message's bytes from the beginning each time some more have come. They
// may have moved in memory: it may keep an offset, not a slice. An error is final.
// To bound the size of a message is frame's duty: the socket is read for as long
// as it asks for more.
//
// A message with descriptors is a sendmsg of its own, with the descriptors
// attached to the first byte of the message; other messages may share a write.
func NewSocket(f *os.File, frame func(data []byte) (n int, err error), opts SocketOptions) (Conn, error) {
	if f == nil {
		return nil, fmt.Errorf("transport: socket: %w", os.ErrInvalid)
	}
	name := f.Name()
	own, err := takeOver(f)
	if err != nil {
		return nil, fmt.Errorf("transport: socket on %s: %w", name, err)
	}
	raw, err := own.SyscallConn()
	if err != nil {
		own.Close()
		return nil, fmt.Errorf("transport: socket on %s: %w", name, err)
	}
	s := &socket{file: own, raw: raw}
	s.drained, s.closing, s.patience = opts.Drained, make(chan struct{}), refsPatience
	s.assembler.frame, s.assembler.count = frame, opts.Files
	s.assembler.batches.closeFD = closeFD
	if opts.Files != nil {
		s.files = newFilesReceiver()
	}
	s.settled.L = &s.mu
	// The functions are made once: a closure for each message would be an
	// allocation for each message.
	s.read, s.writeNow, s.writeWhenReady = s.doRead, s.doWriteNow, s.doWriteWhenReady
	return s, nil
}

// takeOver returns a file on the same description that waits in the netpoller.
// A new descriptor is made because f, if it was inherited, is a file that is
// blocking for good. f is closed.
func takeOver(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := duplicateFD(f)
	if err != nil {
		return nil, err
	}
	if err := checkSocket(fd); err != nil {
		closeFD(fd)
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		closeFD(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	own := os.NewFile(uintptr(fd), f.Name())
	// The only way to learn that the netpoller did not take it.
	if err := own.SetDeadline(time.Time{}); err != nil {
		own.Close()
		return nil, err
	}
	return own, nil
}

func checkSocket(fd int) error {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if domain != unix.AF_UNIX || kind != unix.SOCK_STREAM {
		return fmt.Errorf("want a stream socket of the AF_UNIX family, this is type %d of family %d", kind, domain)
	}
	return nil
}

// socket is the connection over a socket. This file receives and closes; the other
// one sends.
type socket struct {
	file   *os.File
	raw    syscall.RawConn
	once   sync.Once   // closes
	closed atomic.Bool // Close was called

	// Of the goroutine that receives.
	assembler assembler
	files     *filesReceiver // nil if no message announces descriptors
	end       error          // what every further Receive returns
	read      func(fd uintptr) bool
	readN     int
	readFDs   []int
	readTrunc bool
	readErrno unix.Errno

	sender
}

// Receive implements [Conn].
func (s *socket) Receive() (Message, error) {
	for {
		m, ok, err := s.TryReceive()
		if ok || err != nil {
			return m, err
		}
		if !s.fill() {
			return Message{}, ErrInterrupted
		}
	}
}

// TryReceive implements [Assistable].
func (s *socket) TryReceive() (m Message, ok bool, err error) {
	if s.end == nil {
		p, ok, err := s.assembler.next()
		switch {
		case err != nil:
			s.finish(err)
		case s.closed.Load():
			closeFDs(p.fds)
			s.finish(closedError("receive", nil))
		case ok:
			return Message{Body: p.body, Files: asFiles(p.fds), FilesLost: p.lost}, true, nil
		}
	}
	return Message{}, false, s.end
}

// interrupt implements [Assistable].
func (s *socket) interrupt() { _ = s.file.SetReadDeadline(time.Unix(1, 0)) }

// fill waits for bytes, or for the end. It is false when it was interrupted.
func (s *socket) fill() bool {
	err := s.raw.Read(s.read)
	n, fds, truncated, errno := s.readN, s.readFDs, s.readTrunc, s.readErrno
	s.readFDs = nil
	switch {
	case s.closed.Load():
		if err == nil {
			closeFDs(fds)
		}
		s.finish(closedError("receive", nil))
	case errors.Is(err, os.ErrDeadlineExceeded):
		// An interrupt from here on ends the next Receive.
		_ = s.file.SetReadDeadline(time.Time{})
		return false
	case err != nil:
		s.finish(closedError("receive", err))
	case errno == 0 && n > 0:
		s.assembler.filled(n, fds, truncated)
	case errno == 0 || errno == unix.ECONNRESET:
		// The kernel says ECONNRESET instead of the end if the peer had
		// not read everything when it closed its socket or was killed
		// (unix_release_sock in net/unix/af_unix.c), but also only after
		// all that the peer had sent.
		if have := s.assembler.pending(); have > 0 {
			s.finish(&truncatedError{Offset: s.assembler.offset, Have: have})
		} else {
			s.finish(io.EOF)
		}
	default:
		s.finish(closedError("receive", os.NewSyscallError("recvmsg", errno)))
	}
	return true
}

// doRead is one attempt to read, in the netpoller's hands: false means to wait.
func (s *socket) doRead(fd uintptr) bool {
	space := s.assembler.space()
	if s.files != nil {
		s.readN, s.readFDs, s.readTrunc, s.readErrno = s.files.recv(int(fd), space)
	} else {
		s.readN, s.readErrno = recv(int(fd), space)
	}
	if s.readErrno == unix.EAGAIN {
		s.assembler.idle()
		return false
	}
	return true
}

// finish ends receiving. Descriptors whose message will never be complete are
// closed, and the body of the last message is no longer valid.
func (s *socket) finish(err error) {
	s.end = err
	s.assembler.batches.close()
	s.assembler.release()
}

// Close implements [Conn].
func (s *socket) Close() error {
	s.once.Do(func() {
		s.closed.Store(true)
		s.stopSending()
		// Without the shutdown, the peer would not see the end for as
		// long as a process that is being started holds a copy of the
		// descriptor (golang/go#22315). It still reads what was sent.
		_ = s.raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
		s.file.Close() // wakes up Receive
		s.assembler.batches.close()
	})
	return nil
}

var _ Pollable = (*socket)(nil)

func asFiles(fds []int) []*os.File {
	if len(fds) == 0 {
		return nil
	}
	files := make([]*os.File, len(fds))
	for i, fd := range fds {
		files[i] = os.NewFile(uintptr(fd), "received fd "+strconv.Itoa(fd))
	}
	return files
}
