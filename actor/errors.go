package actor

import (
	"errors"

	"github.com/understudy-go/understudy/internal/cgroup"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/wire"
)

// What a sender or an admin call can be told. All errors of this package wrap
// one of these, a context error, an [*ExitError] or a [*RemoteError]; those of
// pools besides a [*PoolError] with [ErrNoWorker] or [ErrQuarantined].
var (
	ErrMailboxFull     = errors.New("mailbox full")                                  // TryCast: the sender's share of the mailbox is used up
	ErrNotRunning      = errors.New("actor not running")                             // it ended and will not come back
	ErrStopped         = error(stoppedError{})                                       // it was stopped on request before it began the message; errors.Is(ErrStopped, ErrNotRunning)
	ErrStopping        = errors.New("actor stopping")                                // cause of a handler's ctx when its actor is asked to stop
	ErrNotFound        = errors.New("no such actor")                                 // nothing is known under that path
	ErrNameTaken       = errors.New("name taken")                                    // an id twice in one supervisor
	ErrTooLarge        = wire.ErrTooLarge                                            // a value has more bytes than the system's MaxMessage, or would take too much memory
	ErrTooDeep         = wire.ErrTooDeep                                             // a value has more than 64 levels, or contains itself
	ErrTooManyElements = wire.ErrTooManyElements                                     // a value has more than 1<<20 elements
	ErrTooManySegments = wire.ErrTooManySegments                                     // a value has arrays of more than 64 segments
	ErrCallCycle       = errors.New("call would wait for itself")                    // its own caller holds the slot that it needs
	ErrKindMismatch    = errors.New("actor is of another kind")                      // the path runs another kind than the reference says
	ErrUnknown         = errors.New("unknown method")                                // the backend has no binding for the method
	ErrNoMain          = errors.New("actor.Main (or actor.TestMain) was not called") // it must be the first line of main
	ErrUnbound         = errors.New("reference is not bound to a system")            // a zero Ref, or one decoded outside of a message
	ErrDuplicate       = errors.New("already replied")                               // a second reply to one request
	ErrLost            = conn.ErrLost                                                // a descriptor did not arrive: the receiver is out of descriptors
	ErrProtocol        = wire.ErrProtocol                                            // the peer broke the protocol

	// ErrNoCgroup means that control groups are required and not available; the
	// text says where and why.
	ErrNoCgroup = cgroup.ErrNone

	// ErrIgnore, returned by a constructor, means: keep the spec, run nothing.
	ErrIgnore = errors.New("actor: ignore")
	// ErrDoNotRestart, in the error that ends an actor, means: do not restart
	// it, whatever its type.
	ErrDoNotRestart = errors.New("actor: do not restart")
)

// stoppedError is the case of ErrNotRunning that was asked for.
type stoppedError struct{}

func (stoppedError) Error() string { return "actor stopped" }
func (stoppedError) Unwrap() error { return ErrNotRunning }

// RemoteError is an error value that a handler returned in another process.
// Its text is the handler's. errors.Is finds context errors, io.EOF, the
// fs.Err* values and the errors that kinds declare in their [KindOptions]. The
// error of a constructor or of Run is one, too, in both modes; then Method is
// empty.
type RemoteError struct {
	Path   string
	Method string
	Text   string
	Value  any     // what a foreign peer sent as its error, decoded
	Causes []error // the sentinels that the error wrapped, and what another actor had answered

	// Of an actor in another language: the type of the exception, such as
	// "ValueError", and where it was raised, as that language prints it.
	Type      string
	Traceback string
}

func (e *RemoteError) Error() string {
	return e.Text
}

// Unwrap gives errors.Is and errors.As the sentinels of the remote error.
func (e *RemoteError) Unwrap() []error { return e.Causes }
