//go:build !linux

package transport

import (
	"errors"
	"fmt"
	"os"
)

// NewSocket works on Linux. Elsewhere it closes f and returns an error that
// wraps errors.ErrUnsupported.
func NewSocket(f *os.File, frame func(data []byte) (n int, err error), opts SocketOptions) (Conn, error) {
	if f != nil {
		f.Close()
	}
	return nil, fmt.Errorf("transport: socket on this system: %w", errors.ErrUnsupported)
}
