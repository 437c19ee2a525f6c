//go:build !linux

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
)

// Process is a running child. There are none on this system.
type Process struct{}

// Guardian ends what a dead system left behind. There are none on this system.
type Guardian struct{}

func unsupported(what string) error {
	return fmt.Errorf("process: %s on %s: %w (use in-process actors)", what, runtime.GOOS, errors.ErrUnsupported)
}

// Supported returns an error that wraps errors.ErrUnsupported.
func Supported() error { return unsupported("child processes") }

// Start returns an error that wraps errors.ErrUnsupported.
func Start(context.Context, Command) (*Process, error) { return nil, unsupported("start a child") }

// PID returns 0.
func (*Process) PID() int { return 0 }

// Done returns nil.
func (*Process) Done() <-chan struct{} { return nil }

// Status returns the zero Status.
func (*Process) Status() Status { return Status{} }

// Tail returns nil.
func (*Process) Tail(Stream) []string { return nil }

// OutputDropped returns 0.
func (*Process) OutputDropped() int64 { return 0 }

// Signal returns an error that wraps errors.ErrUnsupported.
func (*Process) Signal(syscall.Signal) error { return unsupported("signal a child") }

// Kill returns an error that wraps errors.ErrUnsupported.
func (*Process) Kill() error { return unsupported("kill a child") }

// Terminate returns an error that wraps errors.ErrUnsupported.
func (*Process) Terminate(context.Context) error { return unsupported("terminate a child") }

// ChildSetup does nothing.
func ChildSetup() {}

// SetTitle returns an error that wraps errors.ErrUnsupported.
func SetTitle(string) error { return unsupported("set the process title") }

// SocketPair returns an error that wraps errors.ErrUnsupported.
func SocketPair() (parent, child *os.File, err error) { return nil, nil, unsupported("socket pair") }

// Memfd returns an error that wraps errors.ErrUnsupported.
func Memfd(string, int64, ...int) (*os.File, error) { return nil, unsupported("memfd") }

// AvailableMemory returns an error that wraps errors.ErrUnsupported.
func AvailableMemory() (int64, error) { return 0, unsupported("available memory") }

// MapReadOnly returns an error that wraps errors.ErrUnsupported.
func MapReadOnly(*os.File, int) ([]byte, error) { return nil, unsupported("map memory") }

// MapShared returns an error that wraps errors.ErrUnsupported.
func MapShared(*os.File, int) ([]byte, error) { return nil, unsupported("map memory") }

// Unmap returns an error that wraps errors.ErrUnsupported.
func Unmap([]byte) error { return unsupported("unmap memory") }

// StartGuardian returns an error that wraps errors.ErrUnsupported.
func StartGuardian(string, *Cgroups) (*Guardian, error) { return nil, unsupported("start a guardian") }

// PID returns 0.
func (*Guardian) PID() int { return 0 }

// Close does nothing.
func (*Guardian) Close() error { return nil }

// RunGuardianIfAsked does nothing.
func RunGuardianIfAsked() {}

// Cgroups are the control groups of a system. There are none on this system.
type Cgroups struct{}

// OpenCgroups returns an error that wraps ErrNoCgroup, or nil if none are wanted.
func OpenCgroups(_ string, mode CgroupMode) (*Cgroups, error) {
	if mode == CgroupsNever {
		return nil, nil
	}
	return nil, &CgroupError{"", "use", unsupported("control groups")}
}

// GivenCgroups returns nil.
func GivenCgroups() (*Cgroups, error) { return nil, nil }

// Dir returns "".
func (*Cgroups) Dir() string { return "" }

// Close does nothing.
func (*Cgroups) Close() error { return nil }

// Reaper reaps the orphans of a system. There are none on this system.
type Reaper struct{}

// StartReaper returns an error that wraps errors.ErrUnsupported.
func StartReaper(string) (*Reaper, error) { return nil, unsupported("subreaping") }

// Close does nothing.
func (*Reaper) Close() error { return nil }
