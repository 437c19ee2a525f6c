package runtime

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/understudy-go/understudy/internal/cgroup"
	"github.com/understudy-go/understudy/internal/orphans"
)

// cleanup is what ends the processes that a system leaves: their control groups
// and, in the root, the orphan sweeper. Both begin with the first process.
type cleanup struct {
	mu      sync.Mutex
	sweeper *orphans.Sweeper
	groups  *cgroup.Groups
	opened  bool
	closed  bool
}

// open finds the control groups.
func (o *cleanup) open(s *System) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.openLocked(s)
}

func (o *cleanup) openLocked(s *System) (err error) {
	if o.opened || o.closed {
		return nil
	}
	if s.parent != nil {
		o.groups, err = cgroup.Inherited()
	} else {
		o.groups, err = cgroup.Open(s.id, cgroup.Mode(s.opts.Cgroups))
	}
	if err != nil && s.parent == nil && s.opts.Cgroups != CgroupsRequired {
		s.say(slog.LevelDebug, "actors have no control groups", slog.Any("reason", err))
		err = nil
	}
	o.opened = err == nil
	return err
}

// start makes what a process needs before it is started, and returns its
// control groups.
func (o *cleanup) start(s *System) (*cgroup.Groups, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.openLocked(s); err != nil {
		return nil, err
	}
	if s.parent != nil || o.sweeper != nil || o.closed {
		return o.groups, nil
	}
	var err error
	if o.sweeper, err = orphans.StartSweeper(s.id, o.groups); err != nil {
		return nil, fmt.Errorf("orphan sweeper: %w", err)
	}
	return o.groups, nil
}

// close ends what is left of the system.
func (o *cleanup) close(s *System) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if o.sweeper != nil {
		o.sweeper.Close()
		o.sweeper = nil
	}
	if err := o.groups.Close(); err != nil {
		s.say(slog.LevelWarn, "a control group is left", slog.Any("error", err))
	}
}
