//go:build !linux

package transport

import (
	"errors"
	"os"
)

// NewRings needs sealed memory files.
func NewRings() (*Rings, error) { return nil, errors.ErrUnsupported }

// Join is never reached: NewRings fails.
func (r *Rings) Join(theirs *os.File) error {
	theirs.Close()
	return errors.ErrUnsupported
}
