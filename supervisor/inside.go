package supervisor

import (
	"cmp"
	"slices"
	"sync"

	"github.com/understudy-go/understudy/internal/runtime"
)

// inside are the trees of this process that no supervisor has started: those of
// its actors, and of roots.
var inside trees

// trees is a set of supervisors.
type trees struct {
	mu  sync.Mutex
	all map[*Tree]struct{}
}

func (s *trees) add(t *Tree) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[*Tree]struct{})
	}
	s.all[t] = struct{}{}
}

func (s *trees) remove(t *Tree) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, t)
}

// of returns those that the actor at a path has started, oldest first.
func (s *trees) of(sys *runtime.System, at string) []*Tree {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*Tree
	for t := range s.all {
		if t.system == sys && t.actor == at {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, func(a, b *Tree) int { return cmp.Or(a.begun.Compare(b.begun), cmp.Compare(a.path, b.path)) })
	return found
}

// in returns those of a system, from the leaves to the root.
func (s *trees) in(sys *runtime.System) []*Tree {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*Tree
	for t := range s.all {
		if t.system == sys {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, func(a, b *Tree) int {
		return cmp.Or(cmp.Compare(len(b.path), len(a.path)), a.begun.Compare(b.begun))
	})
	return found
}
