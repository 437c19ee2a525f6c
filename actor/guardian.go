package actor

import (
	"fmt"
	"sync"

	"github.com/understudy-go/understudy/internal/cgroup"
	"github.com/understudy-go/understudy/internal/orphans"
)

// guard is what outlives a system's processes, or ends them: their control
// groups and, in the root, the orphan sweeper. Both begin with the first process.
type guard struct {
	mu     sync.Mutex
	g      *orphans.Sweeper
	groups *cgroup.Groups
	opened bool
	closed bool
}

// open finds the control groups.
func (g *guard) open(s *System) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.openLocked(s)
}

func (g *guard) openLocked(s *System) (err error) {
	if g.opened || g.closed {
		return nil
	}
	if s.parent != nil {
		g.groups, err = cgroup.Inherited()
	} else {
		g.groups, err = cgroup.Open(s.id, cgroup.Mode(s.opts.Cgroups))
	}
	if err != nil && s.parent == nil && s.opts.Cgroups != CgroupsRequired {
		s.Logger().Debug("actors have no control groups", "reason", err)
		err = nil
	}
	g.opened = err == nil
	return err
}

// start makes what a process needs before it is started, and returns its
// control groups.
func (g *guard) start(s *System) (*cgroup.Groups, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.openLocked(s); err != nil {
		return nil, err
	}
	if s.parent != nil || g.g != nil || g.closed {
		return g.groups, nil
	}
	var err error
	if g.g, err = orphans.StartSweeper(s.id, g.groups); err != nil {
		return nil, fmt.Errorf("orphan sweeper: %w", err)
	}
	return g.groups, nil
}

// close ends what is left of the system.
func (g *guard) close(s *System) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.g != nil {
		g.g.Close()
		g.g = nil
	}
	if err := g.groups.Close(); err != nil {
		s.Logger().Warn("a control group is left", "error", err)
	}
}
