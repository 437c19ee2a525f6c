package supervisor

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// What an admin call can be told, besides [actor.ErrNotFound], a
// [*StartError] and the error of its ctx. A call to a supervisor that is
// stopping gets [actor.ErrStopping], to one that has ended [actor.ErrStopped].
var (
	// ErrAlreadyStarted: a child of that name runs. It is an [actor.ErrNameTaken].
	ErrAlreadyStarted = fmt.Errorf("child already started (%w)", actor.ErrNameTaken)
	// ErrAlreadyPresent: a child of that name is known but does not run, or is
	// about to be restarted. It is an [actor.ErrNameTaken].
	ErrAlreadyPresent = fmt.Errorf("child already present (%w): restart or delete it", actor.ErrNameTaken)
	// ErrRunning: the child has to be stopped first.
	ErrRunning = errors.New("child is running")
	// ErrRestarting: the child will be restarted; stop it first to end that.
	ErrRestarting = errors.New("child is restarting")
)

var (
	errStopping = fmt.Errorf("supervisor: %w", actor.ErrStopping)
	errStopped  = fmt.Errorf("supervisor: %w", actor.ErrStopped)
)

// StartError says which child could not be started, and why.
type StartError struct {
	Path string // of the child
	Err  error  // the constructor's error, an [*actor.ExitError], a timeout, or the [*StartError] of a nested supervisor's child
}

func (e *StartError) Error() string {
	what := "start " + e.Path + ": "
	if msg := e.Err.Error(); strings.HasPrefix(msg, what) {
		return msg // the actor's own error says so already
	}
	return what + e.Err.Error()
}

func (e *StartError) Unwrap() error { return e.Err }

// GaveUpError is the end of a supervisor that had to restart its children more
// often than its intensity allows.
type GaveUpError struct {
	Path      string            // of the supervisor
	Child     string            // path of the child whose restart was one too many
	Intensity int               // restarts that were allowed
	Period    time.Duration     // within which
	Exit      *actor.ExitStatus // how the child ended last
	Err       error             // what the child said last, if anything
}

func (e *GaveUpError) Error() string {
	last := ""
	switch {
	case e.Exit != nil:
		last = e.Exit.String()
	case e.Err != nil:
		last = e.Err.Error()
	}
	last, _, _ = strings.Cut(last, "\n") // without the stack of a panic
	return fmt.Sprintf("supervisor %s gave up: more than %d restarts within %v, the last one of %s (%s)",
		e.Path, e.Intensity, e.Period, e.Child, last)
}

func (e *GaveUpError) Unwrap() error { return e.Err }
