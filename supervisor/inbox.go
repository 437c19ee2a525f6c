package supervisor

import (
	"sync"
)

// inbox is the queue of events that a runner works off. Posting never blocks:
// those who post are timers, instances and callers, and the runner must not be
// able to keep them.
type inbox struct {
	wake chan struct{} // one slot

	mu     sync.Mutex
	events []event
	closed bool
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// post is false if the runner has ended.
func (b *inbox) post(ev event) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.events = append(b.events, ev)
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return true
}

// take waits for events and returns all there are.
func (b *inbox) take() []event {
	for range b.wake {
		b.mu.Lock()
		evs := b.events
		b.events = nil
		b.mu.Unlock()
		if len(evs) > 0 {
			return evs
		}
	}
	return nil
}

// close refuses further events.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.events = nil
}
