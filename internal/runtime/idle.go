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
	for _, c := range senders {
		if c.direct() {
			direct++
		}
	}
	for _, c := range senders {
		if direct < maxConnections {
			return
		}
		if c.closeIfIdle() {
			direct--
		}
	}
}

// direct reports whether the sender has a connection of its own to another process.
func (c *sender) direct() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current != nil && c.current.inst == nil
}

// closeIfIdle closes a connection over which nothing is under way.
func (c *sender) closeIfIdle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil || c.current.inst != nil {
		return false
	}
	c.prune()
	if c.out.Len() > 0 || len(c.calls) > 0 || len(c.waiters) > 0 || len(c.current.inHand()) > 0 {
		return false
	}
	c.current.close()
	return true
}
