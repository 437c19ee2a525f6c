package supervisor

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// Strategy says which children are started again together with one that has
// to be restarted. The names and their meaning are Erlang/OTP's.
type Strategy int

const (
	// OneForOne restarts that child alone. It is the default.
	OneForOne Strategy = iota
	// RestForOne stops the children after it in reverse order, and then starts
	// it and them in order.
	RestForOne
	// OneForAll stops all others in reverse order, and then starts all.
	OneForAll
	// Dynamic is for many children that come and go, as OTP's
	// simple_one_for_one: each is restarted alone; the spec of one that ended
	// and is not restarted goes with it; all are stopped at once, side by side.
	Dynamic
)

// String returns OTP's name of s.
func (s Strategy) String() string {
	switch s {
	case OneForOne:
		return "one for one"
	case RestForOne:
		return "rest for one"
	case OneForAll:
		return "one for all"
	case Dynamic:
		return "dynamic"
	}
	return fmt.Sprintf("Strategy(%d)", int(s))
}

// AutoShutdown says whether a supervisor stops when significant children end
// by themselves and are not restarted.
type AutoShutdown int

const (
	// AutoShutdownNever is the default. No child may be significant then.
	AutoShutdownNever AutoShutdown = iota
	// AutoShutdownAny: when one ends.
	AutoShutdownAny
	// AutoShutdownAll: when the last one that ran ends.
	AutoShutdownAll
)

// String returns the rule in a word.
func (a AutoShutdown) String() string {
	switch a {
	case AutoShutdownNever:
		return "never"
	case AutoShutdownAny:
		return "any significant"
	case AutoShutdownAll:
		return "all significant"
	}
	return fmt.Sprintf("AutoShutdown(%d)", int(a))
}

// Defaults of [Spec], OTP's.
const (
	DefaultIntensity = 1
	DefaultPeriod    = 5 * time.Second
)

// DefaultParallel is the default of [Spec.Parallel].
const DefaultParallel = 16

// NoRestarts as a Spec's Intensity allows no restart at all: the first child
// that would have to be restarted ends the supervisor. (Zero, being the
// default, cannot say that.)
const NoRestarts = -1

// defaultMaxBackoff is the longest delay of a Backoff without Max.
const defaultMaxBackoff = time.Minute

// Spec is what a supervisor is made of. The zero value of every field but
// Children is a useful default; a Spec without children is a supervisor to
// which they are added with [Tree.StartChild].
type Spec struct {
	// Name is for a tree that an actor starts: if not empty, it is an element
	// of the path between the actor's own and the children's, so that one actor
	// can have several trees. The root of a system needs none, and a nested
	// supervisor is named by its id.
	Name string

	Strategy Strategy
	// Intensity is the number of restarts within Period that are put up with;
	// the next one ends the supervisor. 0 is DefaultIntensity; see NoRestarts.
	Intensity    int
	Period       time.Duration // 0 is DefaultPeriod
	AutoShutdown AutoShutdown

	// Parallel bounds how many children may start at once of those that do not
	// depend on each other: the children of a Dynamic supervisor, those added
	// with [Tree.StartChild], and OneForOne restarts. Beyond it, restarts come
	// before additions. The Children of other strategies are first started one
	// after another. 0 is DefaultParallel.
	Parallel int

	// Children in start order. They are stopped in reverse order.
	Children []Child

	// Defaults come before the options of each actor of the tree, and of the
	// trees nested in it. They do not concern nested supervisors themselves.
	Defaults []actor.Option

	// Options of the whole system, which only its root can have: see
	// [actor.SystemOptions].
	Logger     *slog.Logger
	MaxMessage int
	Inline     int
	Lane       actor.Lane
	Spin       time.Duration
	Cgroups    actor.Cgroups
}

// Child is the spec of one child: see [Actor] and [Nested].
type Child struct {
	id   string
	opts []actor.Option
	body body
}

// ID returns the child's id, unique within its supervisor.
func (c Child) ID() string { return c.id }

// Actor is a child that is an actor: a process of its own, or a goroutine with
// [actor.InProcess].
func Actor[K, A any](kind *actor.Kind[K, A], id string, args A, opts ...actor.Option) Child {
	return Child{id: id, opts: opts, body: actorBody{kind.Blueprint(args)}}
}

// Nested is a child that is itself a supervisor, in the same process. Its own
// options are those of supervision: restart type, significance, back-off and
// timeouts. Without StopTimeout its children have all the time that their own
// timeouts allow; without StartTimeout likewise.
func Nested(id string, spec Spec, opts ...actor.Option) Child {
	return Child{id: id, opts: opts, body: nestedBody{spec}}
}

// Permanent is the option of a child that is always restarted, the default.
func Permanent(s *actor.Settings) { s.Restart = actor.Permanent }

// Transient is the option of a child that is restarted only after an abnormal
// end.
func Transient(s *actor.Settings) { s.Restart = actor.Transient }

// Temporary is the option of a child that is never restarted.
func Temporary(s *actor.Settings) { s.Restart = actor.Temporary }

// Significant is the option of a child whose end is the supervisor's concern:
// see [AutoShutdown]. It cannot be permanent.
func Significant(s *actor.Settings) { s.Significant = true }

// StopTimeout is how long the child may take to stop before it is killed: 0
// is no time at all, [actor.Forever] no limit.
func StopTimeout(d time.Duration) actor.Option {
	return func(s *actor.Settings) { s.StopTimeout = &d }
}

// StartTimeout is how long the child may take to become ready.
func StartTimeout(d time.Duration) actor.Option {
	return func(s *actor.Settings) { s.StartTimeout = d }
}

// WithBackoff delays the restarts of the child. Max is a minute, and Reset is
// Max, if they are zero.
func WithBackoff(b actor.Backoff) actor.Option {
	return func(s *actor.Settings) { s.Backoff = b }
}
