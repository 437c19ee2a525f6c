package supervisor

import (
	"iter"
	"math"
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
// actions in their order. The rules are those of Erlang/OTP's supervisor. This
// file, handle.go, job.go, operation.go, restart.go and calls.go decide; the
// runner decides nothing.
//
// Two mechanisms serve all strategies, restart types and calls. A [job] is what
// one child is busy with: its start, restart or stop. Children that do not
// depend on each other have theirs side by side. An [operation] is about many:
// the first start, a restart of a group, the end. It stops some children one
// after another, then starts some one after another, and there is one at a
// time; while it is under way exits of other children, calls and retries wait in
// a queue, in their order, as they would in the mailbox of an OTP supervisor.

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
	series      string // of its events
	readyGrace  time.Duration
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
	spec    any   // what the runner launches; opaque here
	origin  Child // what it was made from; opaque here
	dynamic bool  // added at run time: gone when the supervisor is restarted
	pos     int   // its place in the start order
	step    int   // the step that made this record

	phase phase
	inc   int // the last incarnation, unique within the supervisor; 0: none yet
	told  runtime.PathState
	job   job
	calls queue[called] // admin calls that wait for the end of its job
	kills []callID      // who waits for the end of the incarnation

	retry     int           // names the armed timer; an older timer that still fires is ignored
	counted   bool          // the restart that the timer will make is counted already
	countedAt time.Duration // when its last restart was counted
	inRow     int           // restarts since the child was last ready for Backoff.Reset
	failures  int           // failed starts since it last ended by itself

	restarts int           // how often it was started again
	since    time.Duration // when it came into its phase
	readyAt  time.Duration
	awayAt   time.Duration     // when it was ready last; in phase running it means nothing
	last     *actor.ExitStatus // how its last incarnation ended
	lastErr  error             // why its last start failed; nil if it did not
}

// rules is the part of a supervisor's spec that the core needs.
type rules struct {
	strategy  Strategy
	intensity int // unlimited: no limit
	period    time.Duration
	auto      AutoShutdown
	parallel  int // starts at once of children that do not depend on each other; 0: defaultParallel
}

// unlimited is an intensity that allows any number of restarts.
const unlimited = math.MaxInt

// state of one supervisor. Values of it are never changed, only replaced.
type state struct {
	rules
	path     string
	children ordered[int, *child] // in start order
	places   ordered[string, int] // by id: where in children
	lastPos  int                  // the last place that was given away
	now      time.Duration        // of the newest event
	steps    int                  // so far
	incs     int                  // incarnations so far
	retries  int                  // timers so far
	window   queue[time.Duration] // when restarts were counted within the period

	op          operation
	busy        int                       // children in phase starting
	due         ordered[int, string]      // jobs that wait until fewer are busy
	lastTicket  int                       // of those
	pending     queue[event]              // what waits for the end of the operation, in order of arrival
	waiting     ordered[callID, struct{}] // calls that wait, in pending or with a child, and are not cancelled
	retrying    ordered[int, struct{}]    // places of the children in phase restarting
	covered     int                       // first place that was last known to be covered by a retry
	significant int                       // significant children that are not idle
	killing     bool                      // every stop is a kill
	done        bool                      // the end was reported

	// Of this step alone.
	outbound []action
	answers  []action // after those
	touched  []string // children that came into a phase in which nothing runs, or whose job is over
	settle   bool     // any child may have to be told of
}

func newState(path string, r rules, specs []spec) state {
	s := state{rules: r, path: path, covered: nowhere}
	if s.parallel == 0 {
		s.parallel = defaultParallel
	}
	for _, sp := range specs {
		s.add(sp, false)
	}
	return s
}

// spec is one child's spec as the core takes it.
type spec struct {
	policy
	launch any
	origin Child
}

// step is the supervisor: what it does about one event.
func step(s state, at time.Duration, ev event) (state, []action) {
	s.steps++
	s.now = max(s.now, at)
	s.handle(ev)
	// What waited for the end of an operation, until one of it begins another.
	for s.op.kind == opNone {
		next, ok := s.pending.oldest()
		if !ok {
			break
		}
		s.pending = s.pending.pop()
		if c, ok := next.(called); ok {
			if !s.waiting.has(c.call) {
				continue // cancelled
			}
			s.waiting = s.waiting.delete(c.call)
		}
		s.handle(next)
	}
	if s.op.kind == opNone {
		s.startDue()
		s.tellIdle()
	}
	actions := append(s.outbound, s.answers...)
	s.outbound, s.answers, s.touched, s.settle = nil, nil, nil, false
	return s, actions
}

// do adds an action to those of this step. Answers come last: a caller who gets one
// finds senders told of what it means.
func (s *state) do(a action) {
	switch a.(type) {
	case reply, started, end:
		s.answers = append(s.answers, a)
	default:
		s.outbound = append(s.outbound, a)
	}
}

// all yields the children in start order.
func (s *state) all() iter.Seq[*child] { return s.since(0) }

// since yields the children from that place on, in start order.
func (s *state) since(pos int) iter.Seq[*child] {
	return func(yield func(*child) bool) {
		for _, c := range s.children.from(pos) {
			if !yield(c) {
				return
			}
		}
	}
}

// add appends a child to the start order.
func (s *state) add(sp spec, dynamic bool) {
	s.lastPos++
	s.places = s.places.set(sp.id, s.lastPos)
	s.children = s.children.set(s.lastPos, &child{policy: sp.policy, spec: sp.launch, origin: sp.origin, dynamic: dynamic, pos: s.lastPos, step: s.steps})
}

// find returns the child's record to read, or nil.
func (s *state) find(id string) *child {
	pos, ok := s.places.get(id)
	if !ok {
		return nil
	}
	c, _ := s.children.get(pos)
	return c
}

// edit returns the child's record to be changed in this step: a fresh copy,
// once a step.
func (s *state) edit(id string) *child {
	old := s.find(id)
	if old.step == s.steps {
		return old
	}
	c := *old
	c.step = s.steps
	s.children = s.children.set(c.pos, &c)
	return &c
}

// enter moves the child into a phase and returns its record, to be changed
// further in this step.
func (s *state) enter(id string, p phase) *child {
	c := s.edit(id)
	if s.op.kind != opNone && c.pos >= s.op.from {
		s.op.asked += change(c.phase == stopping, p == stopping)
	}
	s.busy += change(c.phase == starting, p == starting)
	if c.significant {
		s.significant += change(c.phase != idle, p != idle)
	}
	switch change(c.phase == restarting, p == restarting) {
	case 1:
		s.retrying = s.retrying.set(c.pos, struct{}{})
	case -1:
		s.retrying = s.retrying.delete(c.pos)
	}
	if p == idle || p == restarting {
		s.touched = append(s.touched, id)
	}
	if c.phase == running && p != running {
		c.awayAt = s.now
	}
	c.phase, c.since = p, s.now
	return c
}

// change returns by how much a count of what is so changes.
func change(was, is bool) int {
	switch {
	case is && !was:
		return 1
	case was && !is:
		return -1
	}
	return 0
}

// drop forgets the child's spec. Calls that waited for it get their answer.
func (s *state) drop(id string) {
	c := s.enter(id, idle) // for the bookkeeping of phases
	s.tell(c, runtime.PathGone)
	s.release(c)
	s.children = s.children.delete(c.pos)
	s.places = s.places.delete(id)
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

// alone reports whether a child is restarted without any other.
func (s *state) alone() bool { return s.strategy != RestForOne && s.strategy != OneForAll }

// nowhere is a place behind all children.
const nowhere = math.MaxInt

// groupFrom returns where the group begins that is restarted with the child:
// with it, or at the first. It reaches to the last child.
func (s *state) groupFrom(c *child) int {
	if s.strategy == OneForAll {
		return 0
	}
	return c.pos
}

// coveredFrom returns the first place that a retry of some child covers, with
// the group that it starts.
func (s *state) coveredFrom() int {
	first, _, ok := s.retrying.first()
	switch {
	case !ok || s.alone():
		return nowhere
	case s.strategy == OneForAll:
		return 0
	}
	return first
}

// tellIdle settles, while no operation is under way, what senders to children
// that do not run are told: they wait as long as a retry may still bring the
// child back, and fail otherwise.
func (s *state) tellIdle() {
	from := s.coveredFrom()
	if from != s.covered || s.settle {
		s.covered = from
		for c := range s.all() {
			s.tellOf(c, from)
		}
		return
	}
	for _, id := range s.touched {
		if c := s.find(id); c != nil {
			s.tellOf(c, from)
		}
	}
}

func (s *state) tellOf(c *child, covered int) {
	want := runtime.PathStopped
	switch {
	case c.phase == restarting, c.phase == idle && c.pos >= covered:
		want = runtime.PathRestarting
	case c.phase != idle, c.job.kind != jobNone: // the latter waits to be started
		return
	}
	if c.told != want {
		s.tell(s.edit(c.id), want)
	}
}
