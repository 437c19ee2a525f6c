package supervisor

import (
	"fmt"
	"iter"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// ChildInfo is what is known about one child.
type ChildInfo struct {
	Name        string
	Path        string
	Kind        string // "supervisor" for a nested one
	Supervisor  bool
	Restart     Restart
	PID         int               // 0: in this process, or not running
	Incarnation actor.Incarnation // zero: not running
	State       string            // "stopped", "starting", "running", "stopping", "exited" (just now, by itself) or "restarting"
	Running     bool              // the state is "running": it is ready
	Restarts    int               // how often it was started again
	LastExit    *actor.ExitStatus // how its last incarnation ended; nil: none has
	Since       time.Time         // when it came into its state
	Workers     []ChildInfo       // of a pool, in the order of their start: their Spec is empty
	Spec        Child             // what it was made from, as Start or StartChild was given it; empty if the supervisor is in another process
}

// Children yields the children in start order, as they are at the call. It
// does not wait for a restart under way, and answers after the end, too; but a
// supervisor in another process, which is asked for at most a second, yields
// nothing then.
func (t *Tree) Children() iter.Seq[ChildInfo] {
	if t.away != nil {
		return t.childrenAway()
	}
	s := t.state.Load()
	return func(yield func(ChildInfo) bool) {
		for c := range s.all() {
			if !yield(t.info(c)) {
				return
			}
		}
	}
}

// Child returns what [Tree.Children] yields about one child. It wraps
// [actor.ErrNotFound] if there is none of that name.
func (t *Tree) Child(name string) (ChildInfo, error) {
	if t.away != nil {
		return t.childAway(name)
	}
	c := t.state.Load().find(name)
	if c == nil {
		return ChildInfo{}, fmt.Errorf("child %s: %w", join(t.path, name), actor.ErrNotFound)
	}
	return t.info(c), nil
}

func (t *Tree) info(c *child) ChildInfo {
	info := ChildInfo{
		Name:       c.id,
		Path:       join(t.path, c.id),
		Kind:       c.kind,
		Supervisor: c.supervisor,
		Restart:    c.restart,
		State:      c.phase.String(),
		Running:    c.phase == running,
		Restarts:   c.restarts,
		LastExit:   c.last,
		Since:      t.begun.Add(c.since),
		Spec:       c.origin,
	}
	if c.phase.alive() {
		if inst := t.getLive(c.inc); inst != nil {
			info.PID, info.Incarnation = inst.PID(), inst.Incarnation()
			if p, ok := inst.(*poolRunner); ok {
				info.Workers = p.infos()
			}
		}
	}
	return info
}

// Counts is what [Tree.Count] returns.
type Counts struct {
	Specs       int // children known
	Active      int // of them, those that run
	Supervisors int // of the specs, whether they run or not
	Actors      int // likewise
}

// Count counts the direct children.
func (t *Tree) Count() Counts {
	var n Counts
	for c := range t.Children() {
		n.Specs++
		if c.Running || c.State == stopping.String() {
			n.Active++
		}
		if c.Supervisor {
			n.Supervisors++
		} else {
			n.Actors++
		}
	}
	return n
}
