package segment

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/memfd"
)

// What the system says about memory becomes an error that tells shortage from other refusals.
func TestRefusedMemory(t *testing.T) {
	for err, want := range map[error]struct {
		left  int64
		short bool
	}{
		&memfd.RoomError{Left: 5, Where: "on this machine"}: {5, true},
		unix.ENOSPC: {-1, true},
		unix.ENOMEM: {-1, true},
		unix.EMFILE: {-1, false},
	} {
		left, got := shortage(fmt.Errorf("memfd: %w", err))
		if left != want.left || errors.Is(got, ErrNoMemory) != want.short || !want.short && !errors.Is(got, err) {
			t.Errorf("%v: %d, %v", err, left, got)
		}
	}
}
