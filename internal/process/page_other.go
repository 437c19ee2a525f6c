//go:build !linux

package process

import (
	"errors"
	"os"
)

// ErrUnsealed says that a peer's memory is not what it should be.
var ErrUnsealed = errors.New("memory is not sealed as it must be")

// NewPage returns an error that wraps errors.ErrUnsupported.
func NewPage(string, int) ([]byte, *os.File, error) { return nil, nil, unsupported("make a page") }

// OpenPage returns an error that wraps errors.ErrUnsupported.
func OpenPage(*os.File, int) ([]byte, error) { return nil, unsupported("map a page") }
