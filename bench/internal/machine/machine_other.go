//go:build !linux

// Package machine tells what a benchmark says of the machine that it ran on, and
// how much CPU time a process has used.
package machine

import (
	"errors"
	"time"
)

// CPUTime is not to be had here.
func CPUTime(int) (time.Duration, error) { return 0, errors.ErrUnsupported }

// Kernel returns "".
func Kernel() string { return "" }

// Processor returns "".
func Processor() string { return "" }
