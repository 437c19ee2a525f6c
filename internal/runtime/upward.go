package runtime

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
)

// maxUpward is how many bytes of records and events may wait in the connection to
// the parent. What is more waits here, bounded, while the parent does not read.
const maxUpward = 1 << 20

// upward takes log records and events to the parent.
type upward struct {
	mu      sync.Mutex
	records backlog[[]byte]
	events  backlog[[]byte]
	pumping bool
}

// send passes on a control message of the kind that waits in b.
func (s *System) sendUpward(b *backlog[[]byte], method string, params []byte) {
	u := &s.upward
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.pumping && s.parent.Buffered() <= maxUpward {
		_ = s.parent.Notify(method, params)
		return
	}
	b.put(params, len(params))
	if !u.pumping {
		u.pumping = true
		go s.pump()
	}
}

// pump sends what waits as the parent reads.
func (s *System) pump() {
	u := &s.upward
	poll(context.Background(), func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		for s.parent.Buffered() <= maxUpward {
			if n := u.events.told(); n > 0 {
				_ = s.parent.Notify(ctlEvent, codec.ControlParams(toWireEvent(actor.Event{Type: actor.EventsDropped, Path: s.fromPath(), PID: os.Getpid(),
					Detail: fmt.Sprintf("%d events: the reader was too slow", n)})))
			}
			if n := u.records.told(); n > 0 {
				_ = s.parent.Notify(ctlLog, codec.ControlParams(toWireRecord(s.fromPath(), os.Getpid(), droppedRecord(n))))
			}
			if params, ok := u.events.take(); ok {
				_ = s.parent.Notify(ctlEvent, params)
			} else if params, ok := u.records.take(); ok {
				_ = s.parent.Notify(ctlLog, params)
			} else {
				u.pumping = false
				return true
			}
		}
		return false
	})
}

// sentUpward reports whether nothing waits here.
func (s *System) sentUpward() bool {
	s.upward.mu.Lock()
	defer s.upward.mu.Unlock()
	return !s.upward.pumping
}
