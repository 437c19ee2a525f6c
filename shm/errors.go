package shm

import (
	"fmt"

	"github.com/understudy-go/understudy/internal/segment"
)

var (
	// ErrReleased answers every use of a handle after its Release, be it by the program or, for an array that came
	// in a message, by the runtime when the handler returned.
	ErrReleased = segment.ErrReleased

	// ErrBudget is in the *AllocError of an array that does not fit the budget given to SetBudget.
	ErrBudget = segment.ErrBudget

	// ErrNoMemory is in the *AllocError of an array for which the machine, the container or the file size limit has
	// no room. Asking would not have failed: it would have woken the OOM killer.
	ErrNoMemory = segment.ErrNoMemory

	// ErrShared answers Freeze on an array made by NewShared.
	ErrShared = segment.ErrShared
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
		return fmt.Sprintf("shm: allocate array of %s, %s left: %v", segment.FormatBytes(e.Bytes), segment.FormatBytes(e.Limit), e.Err)
	}
	return fmt.Sprintf("shm: allocate array of %s: %v", segment.FormatBytes(e.Bytes), e.Err)
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
