package runtime

import (
	"fmt"
	"os"

	"github.com/understudy-go/understudy/internal/memfd"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/mailbox"
)

// newProgressPage makes a receiver's progress page: memory that only we can write. The
// file is for the sender.
func newProgressPage() (*mailbox.Progress, *os.File, error) {
	mem, f, err := memfd.NewPage("understudy-progress", mailbox.ProgressSize)
	if err != nil {
		return nil, nil, fmt.Errorf("progress page: %w", err)
	}
	m, err := mailbox.OpenProgress(mem, func() { _ = memfd.Unmap(mem) })
	return m, f, err
}

// openProgressPage maps a receiver's progress page for reading. It takes f over.
func openProgressPage(f *os.File) (*mailbox.Progress, error) {
	defer f.Close()
	mem, err := memfd.OpenPage(f, mailbox.ProgressSize)
	if err != nil {
		return nil, fmt.Errorf("progress page: %w: %w", err, wire.ErrProtocol)
	}
	return mailbox.OpenProgress(mem, func() { _ = memfd.Unmap(mem) })
}
