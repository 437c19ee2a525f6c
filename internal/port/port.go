package port

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
)

// EnvActor tells a process that it is an actor: its value is the system's id.
const EnvActor = "UNDERSTUDY_ACTOR"

// EnvSweeper tells a process that it is a system's orphan sweeper.
const EnvSweeper = "UNDERSTUDY_SWEEPER"

// EnvKind tells an actor's process of what kind it is.
const EnvKind = "UNDERSTUDY_KIND"

// StreamWindow is how many items a stream's writer may be ahead of its reader.
const StreamWindow = 64

// ErrPending is what a handler returns whose reply comes later.
var ErrPending = errors.New("actor: the reply comes later")

// ContextKey is the key under which a context holds the [Invocation] or the
// [Actor] that it belongs to.
type ContextKey struct{}

// TraceKey is the key under which a context holds its trace entries.
type TraceKey struct{}

// PoolKey and OrderKey are the keys of a context's quarantine key and order
// key, for messages to pools.
type (
	PoolKey  struct{}
	OrderKey struct{}
)

// StringOf returns the string that ctx has by a key, or "".
func StringOf(ctx context.Context, key any) string {
	s, _ := ctx.Value(key).(string)
	return s
}

// Runtime is what the runtime does for the process as a whole.
type Runtime interface {
	// Main runs the actor, if the process was started as one, and does not
	// return then.
	Main()
	// Races returns the data races that were found in the processes of this
	// program's systems so far.
	Races() []Race
	// RunInInitializer runs the actor, if the process was started as one of this
	// kind, and does not return then. It is for the initializer of a package
	// variable, in programs whose main calls no Main; the kind's actors may be started
	// without.
	RunInInitializer(kind string)
	// Self returns the actor whose process this is, or nil.
	Self() Actor
}

// Race is one report of the race detector, of an actor's process.
type Race struct {
	Path   string
	PID    int
	Report string
}

func (r Race) String() string {
	return fmt.Sprintf("data race in actor %s (pid %d):\n%s", r.Path, r.PID, r.Report)
}

var installed atomic.Pointer[Runtime]

// Install is called by the runtime's package initialization.
func Install(r Runtime) { installed.Store(&r) }

// Installed returns the runtime, or nil if the program does not link it.
func Installed() Runtime {
	if r := installed.Load(); r != nil {
		return *r
	}
	return nil
}

// System is the part of a system that lives in this process.
type System interface {
	// Target returns the one target of this path and kind: two of them are equal.
	Target(path, kind string) Target
	// Check returns what is known here to be wrong with a path.
	Check(path, kind string) error
	// OpenInbox runs an actor of the kind k, in this process, at a new path below
	// base, for as many waiting messages per sender as capacity says.
	OpenInbox(base string, capacity int, k *Kind) (Inbox, error)
}

// Inbox is an actor that is there to receive.
type Inbox interface {
	Path() string
	Close()
}

// Target is what a reference refers to. It sends.
//
// A message is begun with Begin; its arguments are appended to the buffer; and
// one of Call, Go, Open and Cast takes the buffer over.
type Target interface {
	Path() string
	Kind() string
	// System is nil for a target that belongs to none.
	System() System

	// Begin returns a buffer with the head of a message, the message's id if it is
	// answered, and whether structs may travel as arrays. It fails if ctx has ended.
	Begin(ctx context.Context, method string, answered bool) (buf *codec.Buffer, id uint32, arrays bool, err error)
	// Call sends the message and waits for the reply, until ctx ends.
	Call(ctx context.Context, method string, id uint32, buf *codec.Buffer, pin uuid.UUID) (conn.Reply, error)
	// Go sends the message; the reply is awaited with the Call.
	Go(ctx context.Context, method string, id uint32, buf *codec.Buffer, pin uuid.UUID) (Call, error)
	// Open sends the message; a sequence of items is awaited.
	Open(ctx context.Context, method string, id uint32, buf *codec.Buffer, pin uuid.UUID) (Stream, error)
	// Cast sends the message, waiting for room until ctx ends, unless try.
	Cast(ctx context.Context, method string, buf *codec.Buffer, pin uuid.UUID, try bool) error

	// RemoteError decodes a handler's error.
	RemoteError(method string, raw []byte) error
	// Incarnation waits for a connection to the actor and returns whom it leads to.
	Incarnation(ctx context.Context) (uuid.UUID, error)
}

// Call is a request whose reply is awaited.
type Call interface {
	// Wait waits for the reply until ctx ends. It is called once.
	Wait(ctx context.Context) (conn.Reply, error)
	// Waits notes that the handler that made the call waits for it now, until
	// the function returned is called.
	Waits() (done func())
}

// Stream is a request that is answered by a sequence of items.
type Stream interface {
	// Next returns the next item, encoded, with what came with it: nil at the end.
	Next(ctx context.Context) (value []byte, m *conn.Incoming, err error)
	// Taken tells the writer, from time to time, that the reader took an item.
	Taken()
	// End returns how the stream ended, after Next has returned nil: with an
	// error of the handler, raw, or without the handler.
	End() (raw []byte, err error)
	// Close gives the stream up.
	Close()
}

// Actor is one incarnation of an actor that lives in this process.
type Actor interface {
	Path() string
	Kind() *Kind
	System() System
	// Context ends with the actor.
	Context() context.Context
	Logger() *slog.Logger
	// Exit ends the actor by itself, and the calling goroutine.
	Exit(err error)
}

// Invocation is one message in a handler's hands.
type Invocation interface {
	Actor() Actor

	// Reply takes the one reply that a request may have: ok is false if it was
	// taken before. buf has the head of the response, and takes the result; it is
	// nil if none is awaited.
	Reply() (buf *codec.Buffer, arrays, ok bool)
	// Answer sends the reply that Reply returned, or what kept it from being
	// encoded: then it returns the error that the caller gets.
	Answer(buf *codec.Buffer, err error) error
	// Fail answers with an error, unless there was a reply: it is false then.
	Fail(err error) bool
	// Later has the reply outlive the handler.
	Later()

	// Item returns the buffer for the next item of a stream, which has the head
	// of its message, after waiting for the reader's credit. ok is false when the reader has left.
	Item() (buf *codec.Buffer, arrays, ok bool)
	// Emit sends the item, or ends the stream with what kept it from being
	// encoded.
	Emit(buf *codec.Buffer, err error) (ok bool)
}

// ContextError is ctx's error together with its cause, if that says more.
func ContextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
