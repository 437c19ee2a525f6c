package supervisor

import (
	"time"
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

// AutoShutdown says whether a supervisor stops when significant children end
// by themselves and are not restarted. Zero is never, and no child may be
// significant then.
type AutoShutdown int

const (
	autoShutdownNever AutoShutdown = iota
	// AutoShutdownAny: when one ends.
	AutoShutdownAny
	// AutoShutdownAll: when the last one that ran ends.
	AutoShutdownAll
)

// OTP's defaults.
const (
	defaultIntensity = 1
	defaultPeriod    = 5 * time.Second
)

// defaultParallel is how many children start at once if a Spec does not say.
const defaultParallel = 16

// Values of a Spec's Intensity that zero, being the default, cannot say.
const (
	// NoRestarts allows no restart at all: the first child that would have to be
	// restarted ends the supervisor.
	NoRestarts = -1
	// Unlimited allows any number of restarts.
	Unlimited = -2
)

// Spec is what a supervisor is made of. The zero value of every field but
// Children is a useful default; a Spec without children is a supervisor to
// which they are added with [Tree.StartChild]. A Spec is also the Run of a
// [Child] that is a nested supervisor, in the same process.
type Spec struct {
	// Name is for a tree that an actor starts: if not empty, it is an element
	// of the path between the actor's own and the children's, so that one actor
	// can have several trees. The root of a system needs none, and a nested
	// supervisor has its child's name.
	Name string

	Strategy Strategy
	// Intensity is the number of restarts within Period that the supervisor
	// accepts; the next one ends it. 0 is 1; see NoRestarts and Unlimited.
	Intensity    int
	Period       time.Duration // 0 is 5 s
	AutoShutdown AutoShutdown

	// Parallel bounds how many children may start at once of those that do not
	// depend on each other: the children of a Dynamic supervisor, those added
	// with [Tree.StartChild], and OneForOne restarts. Beyond it, restarts come
	// before additions. The Children of other strategies are first started one
	// after another. 0 is 16.
	Parallel int

	// Children in start order. They are stopped in reverse order.
	Children []Child

	// Defaults fills the zero fields of each actor of the tree, and of the
	// trees nested in it, whose own Defaults come first. Process and Mailbox are
	// filled field by field; in Env, Defaults' entries come first and the
	// child's own replace them. Nested supervisors take nothing from it, those
	// with a process of their own only what concerns the process. It has no Name,
	// Run or Significant.
	//
	// A child cannot take a default back with a zero: where it is Transient, for
	// one, a permanent child belongs in another tree.
	Defaults Child
}
