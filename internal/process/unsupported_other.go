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

// Ready returns an error that wraps errors.ErrUnsupported.
func (*Process) Ready() error { return unsupported("limit a child") }

// ChildSetup does nothing.
func ChildSetup() {}

// SetTitle returns an error that wraps errors.ErrUnsupported.
func SetTitle(string) error { return unsupported("set the process title") }

// SocketPair returns an error that wraps errors.ErrUnsupported.
func SocketPair() (parent, child *os.File, err error) { return nil, nil, unsupported("socket pair") }

// Usage returns nothing.
func (*Process) Usage() (Usage, bool) { return Usage{}, false }

// ReadUsage returns nothing.
func ReadUsage(int) (Usage, bool) { return Usage{}, false }

// Said does nothing.
func (*Process) Said(string) {}

// MaxFiles returns a large number.
func MaxFiles() int { return 1 << 30 }

// Spare returns nil: there is nothing to keep descriptors for.
func Spare(*os.File) error { return nil }

// SparePair returns an error that wraps errors.ErrUnsupported.
func SparePair() (parent, child *os.File, err error) { return nil, nil, unsupported("socket pair") }
