package transport

import (
	"errors"
	"fmt"
	"os"

	"github.com/understudy-go/understudy/internal/memfd"
)

// NewRings makes our half of a pair of rings. The error says what the kernel
// lacks: F_SEAL_FUTURE_WRITE is there since Linux 5.1.
func NewRings() (*Rings, error) {
	mem, f, err := memfd.NewPage("understudy-ring", ringMemory)
	if err != nil {
		return nil, fmt.Errorf("transport: rings: %w", err)
	}
	r := &Rings{ours: mem, file: f, free: func(mem []byte) { _ = memfd.Unmap(mem) }}
	r.users.Store(1)
	return r, nil
}

// Join adds the peer's half. It takes the file over; after an error the rings can
// only be closed. It comes before every other method but File. The error wraps
// [ErrCorruptRing] if the half is not what it must be.
func (r *Rings) Join(theirs *os.File) error {
	defer theirs.Close()
	mem, err := memfd.OpenPage(theirs, ringMemory)
	if err != nil {
		if errors.Is(err, memfd.ErrRefused) {
			err = fmt.Errorf("%w: %w", err, ErrCorruptRing)
		}
		return fmt.Errorf("transport: rings: %w", err)
	}
	if err := r.join(mem); err != nil {
		_ = memfd.Unmap(mem)
		return err
	}
	r.file.Close()
	r.file = nil
	return nil
}
