package actor

import (
	"errors"
	"fmt"
	"time"
)

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

// Forever is the stop timeout of a child that is asked to stop and then
// awaited for as long as it takes.
const Forever time.Duration = -1

// Defaults of [Settings].
const (
	DefaultStopTimeout   = 5 * time.Second  // OTP's worker default
	DefaultStartTimeout  = 30 * time.Second // must exist: a hung constructor would hang the tree
	DefaultCapacity      = 1024             // messages per link
	DefaultCapacityBytes = 8 << 20          // bytes per link
)

// Backoff delays restarts: the first restart in a row is immediate, the next
// waits Min, and each further one twice as long up to Max. Jitter in [0, 1] is
// the share of the delay that is random. A child that has been ready for Reset
// starts over. The zero value means no delay, as in OTP.
type Backoff struct {
	Min, Max time.Duration
	Jitter   float64
	Reset    time.Duration
}

// Limits bounds what one actor's process may use. Zero fields are unlimited.
// A limit that is asked for and cannot be had fails the start. Goroutine
// actors (InProcess) cannot be limited.
type Limits struct {
	// Memory is in bytes: of what is the process's own, that is anonymous memory, resident or swapped out. Arrays that
	// are mapped do not count: they belong to the budget of shared memory ([shm.SetBudget]), which is as large. The collector
	// works against the limit (GOMEMLIMIT); who stays above it for 100 ms or
	// keeps more than it alive is ended for that reason. An actor needs at
	// least 16 MiB; 64 MiB serve one that keeps 30 MiB. Where the memory of
	// control groups can be limited (see [Cgroups]), it is also, at once and by
	// the kernel, that of the actor with all its descendants, together with the
	// arrays that it made, whoever holds them, and with all that the kernel
	// holds for it.
	Memory int64
	Files  int // open descriptors (RLIMIT_NOFILE)
	CPUs   int // number of CPUs it may run on (affinity) and its GOMAXPROCS
	Nice   int // scheduling priority, -20 (first) to 19 (last); 0 leaves the parent's
}

// Settings is everything one child can be told. The zero value is the default.
type Settings struct {
	// Supervision.
	Restart      Restart
	StopTimeout  *time.Duration // nil: 5 s for an actor, Forever for a nested supervisor
	StartTimeout time.Duration  // 0: 30 s
	Significant  bool
	Backoff      Backoff

	// Where it runs.
	InProcess bool
	Limits    Limits
	Env       []string // added to the parent's environment
	Dir       string   // working directory; "" is the parent's

	// Drain has an orderly stop serve what is in the mailbox first.
	Drain bool
	// Watchdog, if not 0, has the process asked for a sign of life in this
	// interval, and killed as unresponsive if none comes within another one.
	// It notices a stopped or starved process, not a busy handler.
	Watchdog time.Duration

	// Mailbox. One sender's messages that the actor has not begun are bounded by both.
	Capacity      int // messages; 0: 1024
	CapacityBytes int // bytes; 0: 8 MiB
}

// Option changes Settings. Plain functions of this type are options, such as
// supervisor.Transient.
type Option func(*Settings)

// InProcess runs the actor in a goroutine of the process that supervises it,
// with the same codec, limits of messages, deadlines, ordering and errors.
// It cannot be killed: a handler that hangs is abandoned and reported.
func InProcess() Option { return func(s *Settings) { s.InProcess = true } }

// MailboxCapacity bounds the messages (and bytes; 0: the default) that one
// sender may have waiting in the actor's mailbox.
func MailboxCapacity(messages, bytes int) Option {
	return func(s *Settings) { s.Capacity, s.CapacityBytes = messages, bytes }
}

// Limit bounds what the actor's process may use.
func Limit(l Limits) Option { return func(s *Settings) { s.Limits = l } }

// Env adds entries ("KEY=value") to the environment of the actor's process.
func Env(entries ...string) Option {
	return func(s *Settings) { s.Env = append(s.Env[:len(s.Env):len(s.Env)], entries...) }
}

// Drain has an orderly stop serve what has reached the mailbox first, within the
// stop timeout. What is still on its way when the mailbox runs empty stays with
// its sender, as in any stop.
func Drain(s *Settings) { s.Drain = true }

// Watchdog has the actor's process asked for a sign of life in this interval,
// and killed as unresponsive if none comes within another one.
func Watchdog(interval time.Duration) Option {
	return func(s *Settings) { s.Watchdog = interval }
}

// Dir sets the working directory of the actor's process.
func Dir(path string) Option { return func(s *Settings) { s.Dir = path } }

func (s *Settings) apply(opts []Option) {
	for _, o := range opts {
		o(s)
	}
}

// Check reports every value that cannot be meant, joined.
func (s *Settings) Check() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if s.Restart < Permanent || s.Restart > Temporary {
		bad("unknown restart type %d", int(s.Restart))
	}
	if s.StopTimeout != nil && *s.StopTimeout < 0 && *s.StopTimeout != Forever {
		bad("negative stop timeout %v", *s.StopTimeout)
	}
	if s.StartTimeout < 0 {
		bad("negative start timeout %v", s.StartTimeout)
	}
	if s.Significant && s.Restart == Permanent {
		bad("a permanent child cannot be significant")
	}
	if s.Watchdog < 0 {
		bad("negative watchdog interval %v", s.Watchdog)
	}
	if b := s.Backoff; b.Min < 0 || b.Max < 0 || b.Reset < 0 || b.Jitter < 0 || b.Jitter > 1 || (b.Max > 0 && b.Max < b.Min) {
		bad("bad back-off %+v", b)
	}
	if s.Capacity < 0 || s.CapacityBytes < 0 {
		bad("negative mailbox capacity (%d messages, %d bytes)", s.Capacity, s.CapacityBytes)
	}
	if l := s.Limits; l.Memory < 0 || l.Files < 0 || l.CPUs < 0 {
		bad("negative limit %+v", l)
	}
	if s.InProcess && s.Limits != (Limits{}) {
		bad("an in-process actor cannot be limited (%+v)", s.Limits)
	}
	return errors.Join(errs...)
}
