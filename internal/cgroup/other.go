//go:build !linux

package cgroup

import (
	"errors"
	"fmt"
	"runtime"
)

// Groups are the control groups of a system. There are none on this system.
type Groups struct{}

// Open returns an error that wraps ErrNone, or nil if none are wanted.
func Open(_ string, mode Mode) (*Groups, error) {
	if mode == Never {
		return nil, nil
	}
	return nil, &Error{Op: "use", Err: fmt.Errorf("control groups on %s: %w", runtime.GOOS, errors.ErrUnsupported)}
}

// Inherited returns nil.
func Inherited() (*Groups, error) { return nil, nil }

// Dir returns "".
func (*Groups) Dir() string { return "" }

// Close does nothing.
func (*Groups) Close() error { return nil }

// Room says that no group has a limit.
func Room() (left int64, where string, ok bool) { return 0, "", false }
