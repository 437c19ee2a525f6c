//go:build !linux

package memfd

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

func unsupported(what string) error {
	return fmt.Errorf("memfd: %s on %s: %w", what, runtime.GOOS, errors.ErrUnsupported)
}

// Create returns an error that wraps errors.ErrUnsupported.
func Create(string, int64, ...int) (*os.File, error) { return nil, unsupported("make a memory file") }

// NewPage returns an error that wraps errors.ErrUnsupported.
func NewPage(string, int) ([]byte, *os.File, error) { return nil, nil, unsupported("make a page") }

// OpenPage returns an error that wraps errors.ErrUnsupported.
func OpenPage(*os.File, int) ([]byte, error) { return nil, unsupported("map a page") }

// Available returns an error that wraps errors.ErrUnsupported.
func Available() (int64, error) { return 0, unsupported("available memory") }

// MapReadOnly returns an error that wraps errors.ErrUnsupported.
func MapReadOnly(*os.File, int) ([]byte, error) { return nil, unsupported("map memory") }

// MapShared returns an error that wraps errors.ErrUnsupported.
func MapShared(*os.File, int) ([]byte, error) { return nil, unsupported("map memory") }

// Unmap returns an error that wraps errors.ErrUnsupported.
func Unmap([]byte) error { return unsupported("unmap memory") }
