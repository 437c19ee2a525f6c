package actor

import (
	"context"
	"fmt"
	"iter"
	"sync"
)

// broker hands events to those who range over them.
type broker struct {
	mu     sync.Mutex
	subs   map[*subscription]struct{}
	counts map[EventType]uint64
	closed bool
}

// maxEvents bounds what waits for one subscriber.
const maxEvents = 8192

type subscription struct {
	mu      sync.Mutex
	queue   []Event
	dropped int
	ended   bool
	changed chan struct{}
}

func (b *broker) publish(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.counts == nil {
		b.counts = make(map[EventType]uint64)
	}
	b.counts[e.Type]++
	for s := range b.subs {
		s.put(e)
	}
}

func (b *broker) count(t EventType) uint64 {
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

func (s *subscription) put(e Event) {
	s.mu.Lock()
	if len(s.queue) >= maxEvents {
		s.queue = s.queue[1:]
		s.dropped++
	}
	s.queue = append(s.queue, e)
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
func (s *subscription) next(ctx context.Context) (Event, bool) {
	for {
		s.mu.Lock()
		if s.dropped > 0 {
			n := s.dropped
			s.dropped = 0
			s.mu.Unlock()
			return Event{Type: EventsDropped, Detail: fmt.Sprintf("%d events: the reader was too slow", n)}, true
		}
		if len(s.queue) > 0 {
			e := s.queue[0]
			s.queue = s.queue[1:]
			s.mu.Unlock()
			return e, true
		}
		ended := s.ended
		s.mu.Unlock()
		if ended {
			return Event{}, false
		}
		select {
		case <-s.changed:
		case <-ctx.Done():
			return Event{}, false
		}
	}
}

// Events returns what happens from now on in this process's part of the system
// and below, until ctx ends or the system is closed. It is to be ranged over
// once. A reader that is too slow loses the oldest events and is told so by an
// event of type [EventsDropped].
func (s *System) Events(ctx context.Context) iter.Seq[Event] {
	sub := s.events.subscribe()
	release := context.AfterFunc(ctx, func() { s.events.unsubscribe(sub) })
	return func(yield func(Event) bool) {
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

// Monitor returns the ends of the actor's incarnations from now on, each
// exactly once, until ctx ends or the actor is gone for good. It waits until
// the monitor is set up; the result is to be ranged over once.
func (r Ref[K]) Monitor(ctx context.Context) iter.Seq[Down] {
	sys := r.to.sys
	if sys == nil {
		return func(func(Down) bool) {}
	}
	first, err := sys.watch(ctx, watchOrder{Path: r.to.path, Cursor: -1})
	return func(yield func(Down) bool) {
		cursor := first.Cursor
		for err == nil && !first.Final {
			var a watchAnswer
			if a, err = sys.watch(ctx, watchOrder{Path: r.to.path, Cursor: cursor}); err != nil {
				return
			}
			for _, w := range a.Downs {
				d := w.down()
				if r.to.pin == (Incarnation{}) || r.to.pin == d.Incarnation {
					if !yield(d) {
						return
					}
				}
				if r.to.pin == d.Incarnation {
					return // it will not end twice
				}
			}
			cursor = a.Cursor
			if a.Final {
				return
			}
		}
	}
}
