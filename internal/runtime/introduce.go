package runtime

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
)

// What introductions cost is descriptors: of the process that makes the socket
// pair, until both ends are on their way, and of the target, for as long as the
// connection stands. A peer that asks for ever more of them must use up neither.
// So an introduction is made only while the asker and the target read what they
// are sent, and only with descriptors that are not kept for other things (see
// [process.Spare]); and an actor that has too many connections closes idle ones,
// first of that part of the tree from which most have come.

// maxUnreadDescriptors bounds, in bytes, what a process that is sent descriptors has
// not read: until it reads them we hold them. One takes about a hundred bytes.
const maxUnreadDescriptors = 4 << 10

// errBusy says that a peer does not read the descriptors that it was sent before.
var errBusy = errors.New("too many descriptors are under way")

func (s *controlServer) introduce(m *conn.Incoming) {
	answer(s, m, func(ctx context.Context, o introduceOrder) (any, error) {
		if s.below != "" && o.From != s.below && !strings.HasPrefix(o.From, s.below+"/") {
			o.From = s.below // it may say what it likes, and is counted as what it is
		}
		for {
			in, err := s.sys.introduceFor(ctx, o, s.sendEnd)
			if !errors.Is(err, errBusy) {
				return in, err
			}
			select {
			case <-time.After(retryDelay):
			case <-ctx.Done():
				return nil, errors.Join(err, context.Cause(ctx))
			}
		}
	})
}

// sendEnd makes a connection and sends its end to the asker, unless that has not
// read enough of those before. It makes one at a time.
func (s *controlServer) sendEnd(connect func() (*os.File, error)) (token uint64, err error) {
	s.making.Lock()
	defer s.making.Unlock()
	if s.conn.Buffered() > maxUnreadDescriptors {
		return 0, errBusy
	}
	f, err := connect()
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return s.conn.SendFile(f)
}

// refusals are the senders whose connections a process could not take, lately: it
// is out of descriptors. They ask again, and are told.
type refusals struct {
	mu sync.Mutex
	at map[string]time.Time
}

const (
	maxRefusals   = 64
	refusalStands = time.Second
)

// refused takes the word of the process that it could not take a connection.
func (b *processBackend) refused(m *conn.Incoming) {
	var o connectOrder
	if codec.DecodeControl(m.Params, &o) != nil {
		return
	}
	r := &b.refusals
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil || len(r.at) >= maxRefusals {
		r.at = make(map[string]time.Time) // those that are forgotten will be refused again
	}
	r.at[o.From] = time.Now()
}

// take reports whether a connection from this sender was refused, once.
func (r *refusals) take(from string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.at[from]
	delete(r.at, from)
	return ok && time.Since(at) < refusalStands
}
