package runtime

import (
	"maps"
	"slices"
	"strings"

	"github.com/understudy-go/understudy/internal/process"
)

// maxConnections bounds the direct connections from one process. When there are more, idle
// ones are closed, the least recently used first; the next send makes a new
// one. It is well below the usual limit of descriptors.
const maxConnections = 256

// maxReceivers bounds the connections to one actor. When there are more, an idle one
// is closed; its sender makes a new one when it sends again.
func maxReceivers() int { return min(1024, process.MaxFiles()/4) }

// mostlyIdle returns the oldest idle connection of the part of the tree from which
// most come, or nil. A flood so drives out itself. h.mu is held.
func (h *host) mostlyIdle() (oldest *receiver) {
	count := make(map[string]int)
	for r := range h.receivers {
		count[r.part()]++
	}
	for r := range h.receivers {
		if !r.idle() {
			continue
		}
		if oldest == nil || count[r.part()] > count[oldest.part()] ||
			count[r.part()] == count[oldest.part()] && r.number < oldest.number {
			oldest = r
		}
	}
	return oldest
}

// part is the part of the tree that the sender is in: the first name of its path,
// which the root vouches for.
func (r *receiver) part() string {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.from, "/"), "/")
	return name
}

// idle reports whether nothing is under way over the connection, as far as one
// sees. h.mu is held.
func (r *receiver) idle() bool {
	switch r.stage.Load() {
	case receiverNew:
		return true
	case receiverGreeting:
		return false
	}
	if !r.owned || !r.queue.Empty() || r.conn.Buffered() > 0 {
		return false
	}
	for i := range r.h.active {
		if inv := r.h.active[i].Load(); inv != nil && inv.receiver == r {
			return false
		}
	}
	for k := range r.h.late {
		if k.receiver == r {
			return false
		}
	}
	return true
}

// leave closes the connection. The queue ends first: what is not begun stays with
// the sender.
func (r *receiver) leave() {
	if r.stage.Load() == receiverOpen {
		r.queue.Close(false)
	}
	r.conn.Close()
}

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
