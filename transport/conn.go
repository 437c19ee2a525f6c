// Package transport carries messages and file descriptors between two
// processes, or between two halves of one process.
//
// A [Conn] is one end of such a connection. Two transports are one: the socket
// ([NewSocket]), over a stream socket of the AF_UNIX family, and the pipe in
// memory ([Pipe]). The third, the ring ([Rings], one for each direction), is no
// Conn: it is shared memory beside a socket, carries no descriptors, and is
// polled. internal/conn makes one ordered stream of a socket and its rings. The
// package knows nothing of what a message means: two functions tell
// where one ends and how many descriptors it announces.
//
// Two rules keep the ends of a connection from waiting for each other. A
// reader never writes, and a writer never waits: what the kernel does not take
// at once is kept and written in the background. The sender bounds what may
// pile up, by credit or by [Conn.Buffered].
package transport

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// maxFiles is the largest number of descriptors one message may carry. The
// kernel's own bound (SCM_MAX_FD in its scm.h) is 253.
const maxFiles = 64

var (
	// ErrClosed says that the connection carries nothing any more, because it was
	// closed at this end or because the other end is gone. The errors of
	// [Conn.Send] and [Conn.Receive] wrap it next to the cause, if there is
	// one.
	ErrClosed = errors.New("connection is closed")

	// errRefused says that one message could not be sent as it is: it is
	// empty, has too many descriptors, or one of them cannot be used or
	// duplicated. Nothing of it was sent, and the connection goes on working.
	errRefused = errors.New("message refused")
)

// A Message is what one end sends and the other receives: a whole one, always.
type Message struct {
	// Body is one complete message as the framer delimits it. From Receive
	// it is valid until the next Receive on the same connection. To Send it is
	// lent: it is copied if it has to wait.
	Body []byte

	// Files are the descriptors that belong to the message. From Receive
	// they are the caller's to close; all are close-on-exec. To Send they
	// are lent: they are duplicated if the message has to wait.
	Files []*os.File

	// FilesLost is set on a received message that announced descriptors
	// and came without all of them, because this process or the sender had
	// no room for them. Those that did come were closed and Files is
	// empty, so that one is not mistaken for another. The stream of
	// messages is not harmed.
	FilesLost bool

	// Local is a value handed over by reference. Only [Pipe] carries it. If it
	// has a method Discard(), that is called when the receiver closes its end
	// without having received the message.
	Local any
}

// A Conn is one end of a connection that carries messages in both directions,
// in order. Send, Buffered and Close may be called by any number of goroutines
// at once; Receive by one at a time.
type Conn interface {
	// Send gives a message to the connection. It never waits for the peer and
	// never fails because the peer is slow: what cannot be written at once
	// is kept, with what follows, and written in the background. Messages
	// leave in the order of the calls; for calls that overlap it is the
	// order in which the connection took them.
	//
	// An error that wraps [ErrClosed] is the end of sending, though what
	// the peer had sent can still be received. Any other concerns this
	// message only. A nil error says that the
	// message was accepted, not that the peer has it.
	Send(m Message) error

	// Receive waits for the next message. After the peer closed its end,
	// or died, what it had sent is delivered first; then the error is
	// io.EOF, or one that is both io.EOF and io.ErrUnexpectedEOF to
	// errors.Is if it stopped in the middle of a message. What the framer
	// found wrong is wrapped. After Close the error wraps [ErrClosed]. Every
	// error is final.
	Receive() (Message, error)

	// Buffered returns how many bytes of accepted messages still wait in
	// this process: for the kernel on a socket, for the receiver on a
	// pipe. After an error or Close it is 0.
	Buffered() int

	// Close ends the connection and wakes up Receive. What can be written
	// without waiting is written before. It may be called more than once,
	// and its error is always nil.
	Close() error
}

// A streamError is what [Conn.Receive] returns when the framer refused the
// peer's bytes.
type streamError struct {
	Offset int64 // where the bad message begins, in bytes from the beginning of the stream
	Err    error // the framer's error
}

func (e *streamError) Error() string {
	return fmt.Sprintf("transport: receive: bad message at byte %d of the stream: %v", e.Offset, e.Err)
}

// Unwrap returns the framer's error.
func (e *streamError) Unwrap() error { return e.Err }

// A truncatedError is what [Conn.Receive] returns when the peer closed its end
// or died in the middle of a message. To errors.Is it is io.EOF as well as
// io.ErrUnexpectedEOF, because it is an ordinary way to end for a process that
// was killed.
type truncatedError struct {
	Offset int64 // where the message begins, in bytes from the beginning of the stream
	Have   int   // how many bytes of it came
}

func (e *truncatedError) Error() string {
	return fmt.Sprintf("transport: receive: the peer is gone in the middle of a message: %d bytes of the one at byte %d of the stream", e.Have, e.Offset)
}

// Is reports whether target is one of the two ends of file.
func (e *truncatedError) Is(target error) bool {
	return target == io.EOF || target == io.ErrUnexpectedEOF
}

// SocketOptions change how a socket works. The zero value is ready.
type SocketOptions struct {
	// Files says how many descriptors a message announces, which is 0 for
	// nearly all. It is called once for each received message, by the
	// goroutine that receives. Descriptors that came with a message that did
	// not announce them are closed. Without Files none are received at all.
	Files func(body []byte) int

	// Drained is called each time [Conn.Buffered] has come down to 0:
	// everything accepted before is in the kernel, or was dropped because the
	// connection failed. It is called on a goroutine of the connection or of a
	// sender and must not block; it may use the connection.
	Drained func()
}

// closedError builds the error of a connection that has ended. The cause is nil if
// it was closed at this end.
func closedError(op string, cause error) error {
	if cause == nil {
		return fmt.Errorf("transport: %s: %w", op, ErrClosed)
	}
	return fmt.Errorf("transport: %s: %w: %w", op, ErrClosed, cause)
}

// refused builds the error of a message that cannot be sent.
func refused(format string, args ...any) error {
	return fmt.Errorf("transport: send: %w: %w", errRefused, fmt.Errorf(format, args...))
}

// check refuses what no connection can carry.
func (m *Message) check() error {
	if len(m.Files) == 0 {
		return nil
	}
	if len(m.Files) > maxFiles {
		return refused("%d descriptors, at most %d may travel together", len(m.Files), maxFiles)
	}
	for i, f := range m.Files {
		if f == nil {
			return refused("descriptor %d is a nil *os.File", i)
		}
	}
	return nil
}
