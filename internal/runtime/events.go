package runtime

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/understudy-go/understudy/actor"
)

// broker hands events to those who range over them.
type broker struct {
	mu     sync.Mutex
	subs   map[*subscription]struct{}
	counts map[actor.EventType]uint64
	closed bool
}

type subscription struct {
	mu      sync.Mutex
	backlog backlog[actor.Event]
	ended   bool
	changed chan struct{}
}

func (b *broker) publish(e actor.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.counts == nil {
		b.counts = make(map[actor.EventType]uint64)
	}
	b.counts[e.Type]++
	for s := range b.subs {
		s.put(e)
	}
}

func (b *broker) count(t actor.EventType) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts[t]
}

func (b *broker) subscribe() *subscription {
	s := &subscription{changed: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		s.ended = true
		return s
	}
	if b.subs == nil {
		b.subs = make(map[*subscription]struct{})
	}
	b.subs[s] = struct{}{}
	return s
}

func (b *broker) unsubscribe(s *subscription) {
	b.mu.Lock()
	delete(b.subs, s)
	b.mu.Unlock()
	s.end()
}

func (b *broker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for s := range b.subs {
		s.end()
	}
	b.subs = nil
}

func (s *subscription) put(e actor.Event) {
	s.mu.Lock()
	s.backlog.put(e, eventSize(e))
	s.mu.Unlock()
	s.wake()
}

func (s *subscription) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *subscription) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.wake()
}

// next returns the next event; false at the end.
func (s *subscription) next(ctx context.Context) (actor.Event, bool) {
	for {
		s.mu.Lock()
		if n := s.backlog.told(); n > 0 {
			s.mu.Unlock()
			return actor.Event{Type: actor.EventsDropped, Detail: fmt.Sprintf("%d events: the reader was too slow", n)}, true
		}
		if e, ok := s.backlog.take(); ok {
			s.mu.Unlock()
			return e, true
		}
		ended := s.ended
		s.mu.Unlock()
		if ended {
			return actor.Event{}, false
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
			return actor.Event{}, false
		}
	}
}

// Events returns what happens from now on in this process's part of the system
// and below, until ctx ends or the system is closed. It may be ranged over
// once. A reader that is too slow loses the oldest events and is told so by an
// event of type [EventsDropped].
func (s *System) Events(ctx context.Context) iter.Seq[actor.Event] {
	sub := s.events.subscribe()
	release := context.AfterFunc(ctx, func() { s.events.unsubscribe(sub) })
	return func(yield func(actor.Event) bool) {
		defer func() {
			release()
			s.events.unsubscribe(sub)
		}()
		for {
			e, ok := sub.next(ctx)
			if !ok || !yield(e) {
				return
			}
		}
	}
}
