package supervisor

import (
	"slices"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// The core of a supervisor is one pure function,
//
//	step(state, at, event) (state, []action)
//
// without clock, goroutine or I/O. The runner feeds it events one at a time,
// with the (monotonic) time at which each happened, and carries out the
// actions in their order. Everything that SUPERVISION says is decided in the
// core_*.go files; the runner decides nothing.
//
// One mechanism serves all strategies, restart types and calls: an
// [operation] stops some children one after another, then starts some one
// after another. While it is under way, exits of other children, calls and
// retries wait in a queue, in their order, as they would in the mailbox of an
// OTP supervisor, which carries out an operation in one go.

// phase is where one child is.
type phase uint8

const (
	idle       phase = iota // its spec is known, nothing runs
	starting                // launched, not ready
	running                 // ready
	stopping                // asked to end
	ended                   // ended by itself; what that means waits in the queue
	restarting              // will be started (again) by its timer
)

var phaseNames = [...]string{"stopped", "starting", "running", "stopping", "exited", "restarting"}

func (p phase) String() string { return phaseNames[p] }

// alive reports whether there is an instance whose end is not dealt with.
// It is what a pid in OTP's child record says.
func (p phase) alive() bool { return p != idle && p != restarting }

// policy is what the core knows about a child's spec.
type policy struct {
	id          string
	kind        string
	supervisor  bool
	restart     Restart
	significant bool
	stopTimeout time.Duration // 0: kill at once; negative: none
	backoff     Backoff
}

// child is one record of the state. Records are immutable: a step that
// changes one replaces it (see [state.edit]).
type child struct {
	policy
	spec    any  // what the runner launches; opaque here
	dynamic bool // added at run time: gone when the supervisor is restarted

	phase phase
	inc   int // the last incarnation, unique within the supervisor; 0: none yet
	told  runtime.PathState

	retry   int  // names the armed timer; an older timer that still fires is ignored
	counted bool // the restart that the timer will make is counted already
	inRow   int  // restarts since the child was last ready for Backoff.Reset

	restarts int           // how often it was started again
	since    time.Duration // when it came into its phase
	readyAt  time.Duration
	last     *actor.ExitStatus // how its last incarnation ended
	lastErr  error             // the last failed start
}

// rules is the part of a supervisor's spec that the core needs.
type rules struct {
	strategy  Strategy
	intensity int
	period    time.Duration
	auto      AutoShutdown
}

// state of one supervisor. Values of it are never changed, only replaced.
type state struct {
	rules
	path     string
	children []*child // in start order
	now      time.Duration
	incs     int             // incarnations so far
	retries  int             // timers so far
	restarts []time.Duration // the sliding window of counted restarts, oldest first

	op       operation
	asked    int      // children in phase stopping
	pending  []event  // what waits for the end of the operation, in order of arrival
	killing  bool     // every stop is a kill
	done     bool     // the end was reported
	outbound []action // of this step
	answers  []action // likewise, after those
}

func newState(path string, r rules, specs []spec) state {
	s := state{rules: r, path: path}
	for _, sp := range specs {
		s.children = append(s.children, &child{policy: sp.policy, spec: sp.launch})
	}
	return s
}

// spec is one child's spec as the core takes it.
type spec struct {
	policy
	launch any
}

// step is the supervisor: what it does about one event.
func step(s state, at time.Duration, ev event) (state, []action) {
	s.children = slices.Clone(s.children)
	s.outbound, s.answers = nil, nil
	s.now = max(s.now, at)
	s.handle(ev)
	// What waited for the end of an operation, until one of it begins another.
	for s.op.kind == opNone && len(s.pending) > 0 {
		next := s.pending[0]
		s.pending = s.pending[1:]
		s.handle(next)
	}
	if s.op.kind == opNone {
		s.tellIdle()
	}
	actions := append(s.outbound, s.answers...)
	s.outbound, s.answers = nil, nil
	return s, actions
}

// do adds an action to those of this step. Answers come last: whoever gets one
// finds senders told of what it means.
func (s *state) do(a action) {
	switch a.(type) {
	case reply, started, end:
		s.answers = append(s.answers, a)
	default:
		s.outbound = append(s.outbound, a)
	}
}

// index returns the position of the child in the start order, or -1.
func (s *state) index(id string) int {
	for i, c := range s.children {
		if c.id == id {
			return i
		}
	}
	return -1
}

// find returns the child's record to read, or nil.
func (s *state) find(id string) *child {
	if i := s.index(id); i >= 0 {
		return s.children[i]
	}
	return nil
}

// edit returns a fresh copy of the child's record that this step may change.
func (s *state) edit(id string) *child {
	i := s.index(id)
	c := *s.children[i]
	s.children[i] = &c
	return &c
}

// enter moves the child into a phase and returns its record, to be changed
// further in this step.
func (s *state) enter(id string, p phase) *child {
	c := s.edit(id)
	if c.phase == stopping {
		s.asked--
	}
	if p == stopping {
		s.asked++
	}
	c.phase, c.since = p, s.now
	return c
}

// drop forgets the child's spec.
func (s *state) drop(id string) {
	c := s.enter(id, idle) // for the bookkeeping of phases
	s.tell(c, runtime.PathGone)
	i := s.index(id)
	s.children = slices.Delete(s.children, i, i+1)
}

// tell lets senders know the state of the child's path, if it is news.
func (s *state) tell(c *child, p runtime.PathState) {
	if c.told != p {
		c.told = p
		s.do(setPath{id: c.id, state: p, spec: c.spec})
	}
}

// keepsNoStopped reports whether the spec of c goes with its process.
func (s *state) keepsNoStopped(c *child) bool {
	return c.restart == Temporary || s.strategy == Dynamic
}

// group returns the ids that are started again together with the child: by
// the strategy itself, those after it, or all; in start order.
func (s *state) group(id string) []string {
	i := s.index(id)
	var members []*child
	switch s.strategy {
	case RestForOne:
		members = s.children[i:]
	case OneForAll:
		members = s.children
	default:
		members = s.children[i : i+1]
	}
	ids := make([]string, len(members))
	for j, c := range members {
		ids[j] = c.id
	}
	return ids
}

// tellIdle settles, at the end of an operation, what senders to children that
// do not run are told: they wait as long as a retry may still bring the child
// back, and fail otherwise.
func (s *state) tellIdle() {
	from := len(s.children) // first index that a pending group restart covers
	for i, c := range s.children {
		if c.phase == restarting {
			switch s.strategy {
			case OneForAll:
				from = 0
			case RestForOne:
				from = min(from, i)
			}
		}
	}
	for i, c := range s.children {
		want := runtime.PathStopped
		switch {
		case c.phase == restarting, c.phase == idle && i >= from:
			want = runtime.PathRestarting
		case c.phase != idle:
			continue
		}
		if c.told != want {
			s.tell(s.edit(c.id), want)
		}
	}
}
