package process

import (
	"errors"
	"fmt"
	"os"
)

// ErrDone means that the child is already gone. It is os.ErrProcessDone, so either name works with errors.Is.
var ErrDone = os.ErrProcessDone

// ErrKilled means that a child did not end when asked and had to be killed.
var ErrKilled = errors.New("process: did not end when asked, killed")

// StartError says why a child could not be started. Err is the system's error: syscall.ENOENT, EACCES, EAGAIN...
type StartError struct {
	Title string // what was to be started, "" if untitled
	Path  string // the executable
	Op    string // the step that failed: "exec", "chdir", "pipe", "limit", ...
	Err   error
}

// Error names the child, its executable and the step that failed.
func (e *StartError) Error() string {
	if e.Title == "" {
		return fmt.Sprintf("process: cannot start %s: %s: %v", e.Path, e.Op, e.Err)
	}
	return fmt.Sprintf("process: cannot start %q (%s): %s: %v", e.Title, e.Path, e.Op, e.Err)
}

// Unwrap returns the system's error.
func (e *StartError) Unwrap() error { return e.Err }

// FieldError says which field of an *exec.Cmd a program cannot be started with. It is an errors.ErrUnsupported.
type FieldError struct {
	Field  string // "WaitDelay", "SysProcAttr.Setctty"; "" for the command itself
	Reason string
}

// Error names the field and the reason.
func (e *FieldError) Error() string {
	return fmt.Sprintf("process: command cannot be started: exec.Cmd.%s: %s", e.Field, e.Reason)
}

// Unwrap returns errors.ErrUnsupported.
func (e *FieldError) Unwrap() error { return errors.ErrUnsupported }

// LimitError says which limit could not be had. The child was not left running without it.
type LimitError struct {
	Limit string // "memory", "files", "cpus" or "nice"
	Value int64
	Err   error
}

// Error names the limit, the value asked for and the system's answer.
func (e *LimitError) Error() string {
	return fmt.Sprintf("limit %s=%d refused: %v", e.Limit, e.Value, e.Err)
}

// Unwrap returns the system's error.
func (e *LimitError) Unwrap() error { return e.Err }
