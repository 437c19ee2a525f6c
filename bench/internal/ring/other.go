//go:build !linux

package ring

import (
	"errors"
	"os"
	"runtime"
)

// Memory is not to be had here: actors are processes on Linux only.
func Memory() (mem []byte, f *os.File, err error) { return nil, nil, errors.ErrUnsupported }

// Map is not to be had here.
func Map(*os.File) ([]byte, error) { return nil, errors.ErrUnsupported }

// Unmap gives the memory back.
func Unmap([]byte) {}

func yield() { runtime.Gosched() }
