package actor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/understudy-go/understudy/internal/port"
)

// Reason is why an incarnation ended. The set is closed.
type Reason int

const (
	ReasonNormal       Reason = iota // by itself, without an error: Run returned nil, Exit without an error, exit code 0
	ReasonShutdown                   // we asked it to end, or a supervisor that gave up or shut down by itself
	ReasonError                      // Exit with an error, or Run returned one
	ReasonPanic                      // a panic or a fatal error of the runtime
	ReasonExitCode                   // another exit code than 0
	ReasonSignal                     // killed by a signal that we did not send, or by [Ref.Kill]
	ReasonOutOfMemory                // its memory limit, or the kernel's
	ReasonStartFailed                // the constructor returned an error, or the process could not be made
	ReasonStartTimeout               // not ready in time
	ReasonUnresponsive               // the watchdog got no answer
	ReasonProtocol                   // it broke the protocol
	ReasonLost                       // the connection ended, and the reason is not known
	ReasonKilled                     // SIGKILL by us, after the stop timeout
	ReasonDeadline                   // SIGKILL by us: a handler went on after its deadline, or for too long
)

var reasonNames = [...]string{
	"normal", "shutdown", "error", "panic", "exit code", "signal", "out of memory",
	"start failed", "start timeout", "unresponsive", "protocol violation", "lost connection", "killed", "deadline",
}

// String returns the reason in words.
func (r Reason) String() string {
	if r < 0 || int(r) >= len(reasonNames) {
		return fmt.Sprintf("Reason(%d)", int(r))
	}
	return reasonNames[r]
}

// ExitStatus is the report of how one incarnation ended.
type ExitStatus struct {
	Reason       Reason         `msgpack:"reason"`
	Code         int            `msgpack:"code,omitempty"`           // exit code of the process, 0 if a signal ended it
	Signal       syscall.Signal `msgpack:"signal,omitempty"`         // the signal that ended it, or 0
	Err          error          `msgpack:"-"`                        // what the actor said: the error of Exit, Run or the constructor, or the crash text
	Stdout       []string       `msgpack:"stdout,omitempty"`         // its last lines on standard output
	Stderr       []string       `msgpack:"stderr,omitempty"`         // its last lines on standard error
	DoNotRestart bool           `msgpack:"do_not_restart,omitempty"` // exit code 125 or ErrDoNotRestart: whatever its type
}

// ExitCodeDoNotRestart is the exit code by which any executable says what
// ErrDoNotRestart says in Go.
const ExitCodeDoNotRestart = 125

// String describes the end in one line.
func (e ExitStatus) String() string {
	var b strings.Builder
	b.WriteString(e.Reason.String())
	switch {
	case e.Signal != 0:
		fmt.Fprintf(&b, " (%v)", e.Signal)
	case e.Code != 0:
		fmt.Fprintf(&b, " (exit code %d)", e.Code)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Begun answers "may I retry?": had the actor begun to handle the message?
type Begun int

const (
	BegunUnknown Begun = iota
	BegunYes
	BegunNo
)

// String returns yes, no or unknown.
func (b Begun) String() string { return [...]string{"unknown", "yes", "no"}[b] }

// ExitError is what a call gets when the actor ended while the call was in its
// hands. errors.As finds it through every wrapper; Unwrap gives the cause.
type ExitError struct {
	ExitStatus
	Path        string
	PID         int // 0 in-process
	Incarnation Incarnation
	Begun       Begun
}

func (e *ExitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "actor %s", e.Path)
	if e.PID != 0 {
		fmt.Fprintf(&b, " (pid %d)", e.PID)
	}
	fmt.Fprintf(&b, " ended: %v; message begun: %v", e.ExitStatus, e.Begun)
	var p *PanicError
	if !errors.As(e.Err, &p) { // else it says why, and what it printed is the stack
		b.WriteString(port.Quote(e.Stdout, e.Stderr))
	}
	return b.String()
}

func (e *ExitError) Unwrap() error { return e.Err }

// Exit ends the actor that ctx belongs to, and the calling goroutine: it does
// not return. nil is a normal end, any other error an abnormal one. A call whose
// handler calls Exit gets an [*ExitError]; other handlers that run have the stop
// timeout to finish.
//
// ctx is that of a handler, a stream, the constructor, Run or Stop, or one made
// from it, and Exit may be called on any goroutine: by a context.AfterFunc, for
// one. In an actor's process every other ctx stands for its actor, too. Exit
// panics outside of actors.
func Exit(ctx context.Context, err error) {
	a := actorOf(ctx)
	if a == nil {
		panic("actor.Exit: the context does not belong to an actor")
	}
	a.Exit(err)
}
