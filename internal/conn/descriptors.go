package conn

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/transport"
)

// A descriptor travels alone, in a "$/file" notification, and a later message
// refers to it by its token. So a lost descriptor harms only that message, and
// the count of descriptors a message bears is known before it is decoded.

// maxUnclaimed bounds the descriptors that a peer can make us hold.
const maxUnclaimed = 64

type fileTable struct {
	mu     sync.Mutex
	last   uint64
	files  map[uint64]*os.File // nil: lost
	closed bool
}

func (t *fileTable) init() { t.files = make(map[uint64]*os.File) }

func (t *fileTable) next() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	return t.last
}

// put files what a "$/file" brought.
func (t *fileTable) put(params []byte, files []*os.File, lost bool) error {
	var token uint64
	if err := codec.DecodeParams(params, &token); err != nil {
		return errors.Join(err, t.discard(files))
	}
	if lost || len(files) != 1 {
		_ = t.discard(files)
		files = []*os.File{nil}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, twice := t.files[token]; t.closed || twice || len(t.files) >= maxUnclaimed {
		if files[0] != nil {
			files[0].Close()
		}
		return fmt.Errorf("descriptor token %d is in use, or %d are unclaimed: %w", token, len(t.files), wire.ErrProtocol)
	}
	t.files[token] = files[0]
	return nil
}

func (t *fileTable) take(token uint64) (*os.File, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, ok := t.files[token]
	delete(t.files, token)
	if t.closed {
		return nil, transport.ErrClosed // with the connection, and what came by it
	}
	if !ok {
		return nil, fmt.Errorf("descriptor %d was never sent: %w", token, wire.ErrProtocol)
	}
	if f == nil {
		return nil, ErrLost
	}
	return f, nil
}

// discard closes descriptors that no message announced. They are surplus, not
// an offence: the kernel may have delivered them with other bytes.
func (t *fileTable) discard(files []*os.File) error {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
	return nil
}

func (t *fileTable) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, f := range t.files {
		if f != nil {
			f.Close()
		}
	}
	t.files = nil
}

var filePrefix = wire.AppendNotifyHead(nil, methodFile)

// FileCount is the number of descriptors that the message announces; it is
// what a socket is told by (see transport.WithFileCount).
func FileCount(body []byte) int {
	if bytes.HasPrefix(body, filePrefix) {
		return 1
	}
	return 0
}
