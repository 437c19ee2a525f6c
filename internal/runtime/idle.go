package runtime

import (
	"maps"
	"slices"
)

// maxLinks bounds the direct links from one process. When there are more, idle
// ones are closed, the least recently used first; the next send makes a new
// one. It is well below the usual limit of descriptors.
const maxLinks = 256

// closeIdle makes room for another direct link.
func (s *System) closeIdle() {
	s.mu.Lock()
	senders := slices.Collect(maps.Keys(s.senders))
	s.mu.Unlock()
	slices.SortFunc(senders, func(a, b *sender) int { return int(a.used.Load() - b.used.Load()) })
	links := 0
	for _, c := range senders {
		if c.direct() {
			links++
		}
	}
	for _, c := range senders {
		if links < maxLinks {
			return
		}
		if c.closeIfIdle() {
			links--
		}
	}
}

// direct reports whether the client has a link of its own to another process.
func (c *sender) direct() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link != nil && c.link.inst == nil
}

// closeIfIdle closes a link over which nothing is under way.
func (c *sender) closeIfIdle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == nil || c.link.inst != nil {
		return false
	}
	c.prune()
	if c.out.Len() > 0 || len(c.calls) > 0 || len(c.waiters) > 0 || len(c.link.inHand()) > 0 {
		return false
	}
	c.link.close()
	return true
}
