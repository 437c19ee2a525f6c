package process

import (
	"errors"
	"fmt"
)

// CgroupMode says whether the processes of a system get control groups (cgroup v2) of their own.
type CgroupMode int

const (
	// CgroupsAuto: where a part of the hierarchy is delegated to us, else not.
	CgroupsAuto CgroupMode = iota
	// CgroupsNever: not even there.
	CgroupsNever
	// CgroupsRequired: wherever it can be done, and an error where it cannot.
	CgroupsRequired
)

// ErrNoCgroup means that control groups were demanded and cannot be had.
var ErrNoCgroup = errors.New("no control group (cgroup v2) to be had")

// CgroupError says why there is no control group. It is an ErrNoCgroup, and wraps the system's error.
type CgroupError struct {
	Dir string // of the group, "" if none was found
	Op  string // the step that failed
	Err error
}

// Error names the directory and the step that failed.
func (e *CgroupError) Error() string {
	if e.Dir == "" {
		return fmt.Sprintf("%v: %s: %v", ErrNoCgroup, e.Op, e.Err)
	}
	return fmt.Sprintf("%v: %s %s: %v", ErrNoCgroup, e.Op, e.Dir, e.Err)
}

// Unwrap returns ErrNoCgroup and the system's error.
func (e *CgroupError) Unwrap() []error { return []error{ErrNoCgroup, e.Err} }
