package shm

import (
	"errors"
	"fmt"
)

var (
	// ErrReleased answers every use of a handle after its Release, be it by the program or, for an array that came
	// in a message, by the runtime when the handler returned.
	ErrReleased = errors.New("shm: array released; its slices ended with it (Keep an array that must outlive its handler)")

	// ErrBudget is in the *AllocError of an array that does not fit the budget given to SetBudget.
	ErrBudget = errors.New("budget of this process for arrays exhausted; release arrays or raise it with SetBudget")

	// ErrNoMemory is in the *AllocError of an array for which the machine, the container or the file size limit has
	// no room. Asking would not have failed: it would have woken the OOM killer.
	ErrNoMemory = errors.New("not enough memory available")

	// ErrShared answers Freeze on an array made by NewShared.
	ErrShared = errors.New("shm: a shared array cannot be frozen; make it with New")
)

// An AllocError says why an array could not be allocated. It wraps ErrBudget, ErrNoMemory or the system's error
// (ENOSPC, EMFILE, ...). Nothing has been allocated.
type AllocError struct {
	Bytes int64 // asked for
	Limit int64 // bytes that were left where Err names a limit, otherwise -1
	Err   error
}

func (e *AllocError) Error() string {
	if e.Limit >= 0 {
		return fmt.Sprintf("shm: allocate array of %s, %s left: %v", bytesText(e.Bytes), bytesText(e.Limit), e.Err)
	}
	return fmt.Sprintf("shm: allocate array of %s: %v", bytesText(e.Bytes), e.Err)
}

func (e *AllocError) Unwrap() error { return e.Err }

// A ShapeError says why a shape describes no array.
type ShapeError struct {
	Shape  []int
	Reason string
}

func (e *ShapeError) Error() string {
	return fmt.Sprintf("shm: shape %v: %s", e.Shape, e.Reason)
}

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

// bytesText writes a size the way people read it; exact below 1 KiB.
func bytesText(n int64) string {
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
