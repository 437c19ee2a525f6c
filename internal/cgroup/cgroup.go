package cgroup

import (
	"errors"
	"fmt"
)

// Env tells a child that is this program that it is in a control group of its system, and of which kind:
// "auto:SYSTEM" or "required:SYSTEM".
const Env = "UNDERSTUDY_CGROUP"

// Prefix begins the name of a system's directory, "understudy-PID-SYSTEM".
const Prefix = "understudy-"

// Mode says whether the processes of a system get control groups (cgroup v2) of their own.
type Mode int

const (
	// Auto: where a part of the hierarchy is delegated to us, else not.
	Auto Mode = iota
	// Never: not even there.
	Never
	// Required: wherever it can be done, and an error where it cannot.
	Required
)

// ErrNone means that control groups were demanded and there is none for us.
var ErrNone = errors.New("no control group (cgroup v2) available")

// Error says why there is no control group. It is an ErrNone, and wraps the system's error.
type Error struct {
	Dir string // of the group, "" if none was found
	Op  string // the step that failed
	Err error
	// Memory is the memory limit that could not be set, 0 if another step failed.
	Memory int64
}

// Error names the directory and the step that failed.
func (e *Error) Error() string {
	if e.Dir == "" {
		return fmt.Sprintf("%v: %s: %v", ErrNone, e.Op, e.Err)
	}
	return fmt.Sprintf("%v: %s %s: %v", ErrNone, e.Op, e.Dir, e.Err)
}

// Unwrap returns ErrNone and the system's error.
func (e *Error) Unwrap() []error { return []error{ErrNone, e.Err} }
