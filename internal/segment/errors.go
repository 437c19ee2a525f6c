package segment

import (
	"errors"
	"fmt"
)

// Package shm publishes these under the same names, where they are explained. Their texts are for its users.
var (
	ErrReleased = errors.New("shm: array released; its slices ended with it (Keep an array that must outlive its handler)")
	ErrBudget   = errors.New("budget of this process for arrays exhausted; release arrays or raise it with SetBudget")
	ErrNoMemory = errors.New("not enough memory available")
	ErrShared   = errors.New("shm: a shared array cannot be frozen; make it with New")
)

// A SegmentError says why a descriptor that came from a peer was refused. It has not been mapped, and is closed.
type SegmentError struct {
	Mode   Mode
	Size   int64 // as announced by the peer
	Reason string
	Err    error // the system's error, if there was one
}

func (e *SegmentError) Error() string {
	s := fmt.Sprintf("shm: refused a descriptor announced as %v segment of %d bytes: %s", e.Mode, e.Size, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *SegmentError) Unwrap() error { return e.Err }

// A ReferenceError says why a reference in a message does not denote an array. Nothing has been mapped.
type ReferenceError struct {
	Reason string
	Err    error // the cause, if there was one
}

func (e *ReferenceError) Error() string {
	s := "shm: bad array reference: " + e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *ReferenceError) Unwrap() error { return e.Err }

// FormatBytes writes a size the way people read it; exact below 1 KiB.
func FormatBytes(n int64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return fmt.Sprintf("%d bytes", n)
	}
	f, u := float64(n)/(1<<10), 0
	for f >= 1<<10 && u < len(units)-1 {
		f, u = f/(1<<10), u+1
	}
	return fmt.Sprintf("%.1f %ciB", f, units[u])
}
