//go:build !linux

package orphans

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/understudy-go/understudy/internal/cgroup"
)

func unsupported(what string) error {
	return fmt.Errorf("orphans: %s on %s: %w (use in-process actors)", what, runtime.GOOS, errors.ErrUnsupported)
}

// Sweeper ends what a dead system left behind. There are none on this system.
type Sweeper struct{}

// StartSweeper returns an error that wraps errors.ErrUnsupported.
func StartSweeper(string, *cgroup.Groups) (*Sweeper, error) {
	return nil, unsupported("start an orphan sweeper")
}

// PID returns 0.
func (*Sweeper) PID() int { return 0 }

// Close does nothing.
func (*Sweeper) Close() error { return nil }

// RunSweeperIfAsked does nothing.
func RunSweeperIfAsked() {}

// Reaper reaps the orphans of a system. There are none on this system.
type Reaper struct{}

// StartReaper returns an error that wraps errors.ErrUnsupported.
func StartReaper(string) (*Reaper, error) { return nil, unsupported("subreaping") }

// Close does nothing.
func (*Reaper) Close() error { return nil }
