package memfd

import (
	"errors"
	"fmt"
	"syscall"
)

// ErrRefused is in every *RefusedError.
var ErrRefused = errors.New("memory of a peer refused")

// RefusedError says why memory that a peer sent is not what it must be. It has not been mapped.
type RefusedError struct {
	Reason string
	Err    error // the system's error, if there was one
}

// Error gives the reason and the system's error.
func (e *RefusedError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%v: %s: %v", ErrRefused, e.Reason, e.Err)
	}
	return fmt.Sprintf("%v: %s", ErrRefused, e.Reason)
}

// Unwrap returns ErrRefused and the system's error, if there was one.
func (e *RefusedError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrRefused}
	}
	return []error{ErrRefused, e.Err}
}

// RoomError says that there is no room for memory of a size. Trying would not have failed: it would have woken the
// out-of-memory killer, or the SIGXFSZ that ends a Go program. It wraps ENOMEM.
type RoomError struct {
	Left  int64  // bytes
	Where string // "on this machine", "in the control group (/sys/fs/cgroup/a/memory.max)"
}

// Error says how much is left where.
func (e *RoomError) Error() string {
	return fmt.Sprintf("not enough memory available %s: %d bytes left", e.Where, e.Left)
}

// Unwrap returns ENOMEM.
func (e *RoomError) Unwrap() error { return syscall.ENOMEM }
