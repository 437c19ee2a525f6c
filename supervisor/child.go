package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/internal/seal"
)

// Child is the spec of one child: an actor, a pool, or a supervisor. Name and
// Run are needed; the zero value of every other field is the default.
type Child struct {
	Name string   // unique within its supervisor: one element of the child's path
	Run  Runnable // an actor kind's With(args), a [Pool], a nested [Spec], or a supervisor [Kind]'s With(args)

	Restart     Restart
	Significant bool // its end is the supervisor's concern: see [AutoShutdown]. It cannot be permanent
	Backoff     Backoff

	// StartTimeout is how long the child may take to become ready. 0: 30 s for
	// an actor, as long as its children take for a supervisor.
	StartTimeout time.Duration
	// StopTimeout is how long the child may take to stop before it is killed.
	// 0: 5 s for an actor, Forever for a supervisor. See KillAtOnce and Forever.
	StopTimeout time.Duration

	// Drain has an orderly stop serve first what has reached the actor's mailbox,
	// within the stop timeout. What is still on its way when the mailbox runs
	// empty stays with its sender, as in any stop.
	Drain bool
	// Watchdog, if not 0, has the actor's process asked for a sign of life in
	// this interval, and killed as unresponsive if none comes within another one.
	// It notices a stopped or starved process, not a busy handler. A process of
	// another program must say that it answers while a handler is busy (the
	// capability "pings"): for others the watchdog is off, which is logged.
	Watchdog time.Duration
	// InProcess runs the actor in a goroutine of the process that supervises it,
	// with the same codec, limits of messages, deadlines, ordering and errors.
	// It cannot be killed: a handler that hangs is abandoned and reported.
	InProcess bool

	// ReadyGrace is how long a permanent or significant child may be away, being
	// restarted, before the program counts as not ready: see package observe. 0: 2 s.
	ReadyGrace time.Duration

	Mailbox actor.Mailbox
	Process actor.Process

	series     string // of its events: see actor.Event
	supervisor bool   // it is one, in a process of its own
}

// Runnable is what a [Child] runs: what an [actor.Kind]'s With returns, a
// [Pool], a [Spec], or what a supervisor [Kind]'s With returns. There are no others.
type Runnable interface{ Runnable(seal.Seal) any }

// Runnable makes a Spec the Run of a [Child].
func (s Spec) Runnable(seal.Seal) any { return s }

// Restart says when a child that ended by itself is started again. The names
// and their meaning are those of Erlang/OTP's supervisor.
type Restart int

const (
	// Permanent children are always restarted. It is the default.
	Permanent Restart = iota
	// Transient children are restarted only after an abnormal end.
	Transient
	// Temporary children are never restarted; their spec goes with them.
	Temporary
)

// String returns OTP's name of r.
func (r Restart) String() string {
	switch r {
	case Permanent:
		return "permanent"
	case Transient:
		return "transient"
	case Temporary:
		return "temporary"
	}
	return fmt.Sprintf("Restart(%d)", int(r))
}

// Values of a Child's StopTimeout that are no time.
const (
	// Forever: the child is asked to stop, and may take as long as it takes.
	Forever time.Duration = -1
	// KillAtOnce: the child is killed as soon as it is asked. It is OTP's
	// brutal_kill.
	KillAtOnce time.Duration = -2
)

// Defaults of an actor.
const (
	defaultStopTimeout  = runtime.DefaultStopTimeout
	defaultStartTimeout = runtime.DefaultStartTimeout
	defaultReadyGrace   = 2 * time.Second
)

// Backoff delays restarts: the first restart in a row is immediate, the next
// waits Min, and each further one twice as long up to Max (0: a minute).
// Jitter in [0, 1] is the share of the delay that is random. A child that has
// been ready for Reset (0: Max) starts over. The zero value means no delay, as
// in OTP.
type Backoff struct {
	Min, Max time.Duration
	Jitter   float64
	Reset    time.Duration
}

// defaultMaxBackoff is the longest delay of a Backoff without Max.
const defaultMaxBackoff = time.Minute

// or returns c with its zero fields filled from d.
func (c Child) or(d Child) Child {
	c.Restart = cmp.Or(c.Restart, d.Restart)
	c.StartTimeout = cmp.Or(c.StartTimeout, d.StartTimeout)
	c.StopTimeout = cmp.Or(c.StopTimeout, d.StopTimeout)
	c.Backoff = cmp.Or(c.Backoff, d.Backoff)
	c.ReadyGrace = cmp.Or(c.ReadyGrace, d.ReadyGrace)
	return c.orProcess(d)
}

// orProcess is or for those fields that concern the actor itself, and not its
// supervision.
func (c Child) orProcess(d Child) Child {
	c.Drain = c.Drain || d.Drain
	c.Watchdog = cmp.Or(c.Watchdog, d.Watchdog)
	c.InProcess = c.InProcess || d.InProcess
	c.Mailbox.Messages = cmp.Or(c.Mailbox.Messages, d.Mailbox.Messages)
	c.Mailbox.Bytes = cmp.Or(c.Mailbox.Bytes, d.Mailbox.Bytes)
	c.Process.Env = slices.Concat(d.Process.Env, c.Process.Env)
	c.Process.Dir = cmp.Or(c.Process.Dir, d.Process.Dir)
	c.Process.Memory = cmp.Or(c.Process.Memory, d.Process.Memory)
	c.Process.Files = cmp.Or(c.Process.Files, d.Process.Files)
	c.Process.CPUs = cmp.Or(c.Process.CPUs, d.Process.CPUs)
	c.Process.Nice = cmp.Or(c.Process.Nice, d.Process.Nice)
	return c
}

// concernsProcess reports whether c has a field that only an actor can have.
func (c Child) concernsProcess() bool {
	p := c.Process
	return c.Drain || c.Watchdog != 0 || c.InProcess || c.Mailbox != (actor.Mailbox{}) ||
		len(p.Env) > 0 || p.Dir != "" || limited(p)
}

// check reports every value of c that cannot be meant, joined.
func (c Child) check() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if c.Restart < Permanent || c.Restart > Temporary {
		bad("unknown restart type %d", int(c.Restart))
	}
	if c.StopTimeout < 0 && c.StopTimeout != Forever && c.StopTimeout != KillAtOnce {
		bad("negative stop timeout %v", c.StopTimeout)
	}
	if c.StartTimeout < 0 {
		bad("negative start timeout %v", c.StartTimeout)
	}
	if c.Significant && c.Restart == Permanent {
		bad("a permanent child cannot be significant")
	}
	if c.Watchdog < 0 {
		bad("negative watchdog interval %v", c.Watchdog)
	}
	if c.ReadyGrace < 0 {
		bad("negative readiness grace %v", c.ReadyGrace)
	}
	if b := c.Backoff; b.Min < 0 || b.Max < 0 || b.Reset < 0 || b.Jitter < 0 || b.Jitter > 1 || (b.Max > 0 && b.Max < b.Min) {
		bad("bad back-off %+v", b)
	}
	if m := c.Mailbox; m.Messages < 0 || m.Bytes < 0 {
		bad("negative bounds of the mailbox (%d messages, %d bytes)", m.Messages, m.Bytes)
	}
	if p := c.Process; p.Memory < 0 || p.Files < 0 || p.CPUs < 0 {
		bad("negative limit of the process (memory %d, files %d, CPUs %d)", p.Memory, p.Files, p.CPUs)
	}
	if c.InProcess && limited(c.Process) {
		bad("an in-process actor cannot be limited (memory %d, files %d, CPUs %d, nice %d)",
			c.Process.Memory, c.Process.Files, c.Process.CPUs, c.Process.Nice)
	}
	return errors.Join(errs...)
}

func limited(p actor.Process) bool {
	return p.Memory != 0 || p.Files != 0 || p.CPUs != 0 || p.Nice != 0
}

// stopTimeout returns the time to stop as instances take it: none is 0, and a
// negative one has no end.
func (c Child) stopTimeout(ifZero time.Duration) time.Duration {
	switch c.StopTimeout {
	case 0:
		return ifZero
	case KillAtOnce:
		return 0
	}
	return c.StopTimeout
}

// settings returns what the launch of an actor is told.
func (c Child) settings(stopTimeout time.Duration) runtime.Settings {
	return runtime.Settings{
		StopTimeout:  &stopTimeout,
		StartTimeout: c.StartTimeout,
		InProcess:    c.InProcess,
		Drain:        c.Drain,
		Watchdog:     c.Watchdog,
		Mailbox:      c.Mailbox,
		Process:      c.Process,
		Series:       c.series,
		Supervisor:   c.supervisor,
	}
}
