package runtime

import (
	"fmt"
	"os"

	"github.com/understudy-go/understudy/internal/memfd"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/mailbox"
)

// makeMarks makes a receiver's mark page: memory that only we can write. The
// file is for the sender.
func makeMarks() (*mailbox.Progress, *os.File, error) {
	mem, f, err := memfd.NewPage("understudy-marks", mailbox.ProgressSize)
	if err != nil {
		return nil, nil, fmt.Errorf("mark page: %w", err)
	}
	m, err := mailbox.OpenProgress(mem, func() { _ = memfd.Unmap(mem) })
	return m, f, err
}

// openMarks maps a receiver's mark page for reading. It takes f over.
func openMarks(f *os.File) (*mailbox.Progress, error) {
	defer f.Close()
	mem, err := memfd.OpenPage(f, mailbox.ProgressSize)
	if err != nil {
		return nil, fmt.Errorf("mark page: %w: %w", err, wire.ErrProtocol)
	}
	return mailbox.OpenProgress(mem, func() { _ = memfd.Unmap(mem) })
}
