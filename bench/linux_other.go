//go:build !linux

package main

import (
	"errors"
	"os"
	"time"
)

// Actors are processes on Linux only, and so there is nothing to measure
// elsewhere.

func rawMemory(int) (allocate, seal time.Duration, err error) {
	return 0, 0, errors.ErrUnsupported
}

type futexPong struct{}

func newFutexPong(int, int) (*futexPong, error) { return nil, errors.ErrUnsupported }
func (*futexPong) side() side                   { return side{} }
func (*futexPong) close()                       {}
func floorFutex(*os.File, string) error         { return errors.ErrUnsupported }

func pss(int) (float64, error) { return 0, errors.ErrUnsupported }
func killHard(int) error       { return errors.ErrUnsupported }
