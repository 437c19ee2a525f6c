package runtime

import (
	"maps"
	"slices"
)

// maxConnections bounds the direct connections from one process. When there are more, idle
// ones are closed, the least recently used first; the next send makes a new
// one. It is well below the usual limit of descriptors.
const maxConnections = 256

// closeIdle makes room for another direct connection.
func (s *System) closeIdle() {
	s.mu.Lock()
	senders := slices.Collect(maps.Keys(s.senders))
	s.mu.Unlock()
	slices.SortFunc(senders, func(a, b *sender) int { return int(a.used.Load() - b.used.Load()) })
	direct := 0
	for _, to := range senders {
		if to.direct() {
			direct++
		}
	}
	for _, to := range senders {
		if direct < maxConnections {
			return
		}
		if to.closeIfIdle() {
			direct--
		}
	}
}

// direct reports whether the sender has a connection of its own to another process.
func (s *sender) direct() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current != nil && s.current.inst == nil
}

// closeIfIdle closes a connection over which nothing is under way.
func (s *sender) closeIfIdle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current.inst != nil {
		return false
	}
	s.prune()
	if s.out.Len() > 0 || len(s.calls) > 0 || len(s.waiters) > 0 || len(s.current.inHand()) > 0 {
		return false
	}
	s.current.close()
	return true
}
