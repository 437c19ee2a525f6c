package supervisor

import (
	"fmt"
	"iter"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// State is where a child is.
type State uint8

const (
	StateStopped    State = State(idle)       // its spec is known, nothing runs
	StateStarting   State = State(starting)   // not ready yet
	StateRunning    State = State(running)    // ready
	StateStopping   State = State(stopping)   // asked to end
	StateExited     State = State(ended)      // ended by itself just now
	StateRestarting State = State(restarting) // will be started again
)

// String returns the state in a word.
func (s State) String() string { return phase(s).String() }

// ChildInfo is what is known about one child.
type ChildInfo struct {
	ID          string
	Path        string
	Kind        string // [KindSupervisor] for a nested supervisor
	Supervisor  bool
	Restart     actor.Restart
	PID         int               // 0: in this process, or not running
	Incarnation actor.Incarnation // zero: not running
	State       State
	Restarts    int               // how often it was started again
	LastExit    *actor.ExitStatus // how its last incarnation ended; nil: none has
	Since       time.Time         // when it came into its state
	Spec        Child             // from which it is started
}

// Children yields the children in start order, as they are at the call. It
// does not wait for a restart under way, and answers after the end, too.
func (t *Tree) Children() iter.Seq[ChildInfo] {
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
// [actor.ErrNotFound] if there is none of that id.
func (t *Tree) Child(id string) (ChildInfo, error) {
	c := t.state.Load().find(id)
	if c == nil {
		return ChildInfo{}, fmt.Errorf("child %s: %w", join(t.path, id), actor.ErrNotFound)
	}
	return t.info(c), nil
}

func (t *Tree) info(c *child) ChildInfo {
	info := ChildInfo{
		ID:         c.id,
		Path:       join(t.path, c.id),
		Kind:       c.kind,
		Supervisor: c.supervisor,
		Restart:    c.restart,
		State:      State(c.phase),
		Restarts:   c.restarts,
		LastExit:   c.last,
		Since:      t.begun.Add(c.since),
		Spec:       c.origin,
	}
	if c.phase.alive() {
		if inst := t.getLive(c.inc); inst != nil {
			info.PID, info.Incarnation = inst.PID(), inst.Incarnation()
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
	for c := range t.state.Load().all() {
		n.Specs++
		if c.phase == running || c.phase == stopping {
			n.Active++
		}
		if c.supervisor {
			n.Supervisors++
		} else {
			n.Actors++
		}
	}
	return n
}
