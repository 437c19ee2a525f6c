package supervisor

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/understudy-go/understudy/internal/seal"
)

// Pool is a child that is several worker processes of one kind behind one
// path. A reference to the child is a reference to the pool: calls, casts and
// streams work on it as on one actor. The zero value of every field but Run is
// a useful default.
//
//	supervisor.Child{Name: "decoders", Run: supervisor.Pool{Run: Decoders.With(cfg), Max: 4}}
//
// The pool holds the messages, and gives one to a worker only when that has a
// free slot: no message waits behind a busy worker while another is idle.
//
// # What it promises
//
// A pool's promises differ from those of one actor:
//
//   - Messages of one sender are given to workers in the order in which they
//     were sent. They are not begun in that order, as workers run side by side;
//     messages with the same order key are handled one after another, in order.
//   - A message is begun at most once, unless it is declared safe to repeat
//     (see [Retry]).
//   - A worker that dies costs the messages that it had begun, no other.
//
// # When workers die
//
// A worker that dies in its start, or with no message in hand, counts against
// Intensity. A worker that dies with a message in hand counts against that
// message only: the caller gets its exit status, another worker takes the
// place, and the pool goes on whatever the rate. A start that fails is tried
// again at once, then after 20 ms, 40 ms and so on up to Period / Intensity. A
// start that replaces a recycled worker or makes the pool larger than Min is
// never counted while another worker serves.
//
// The pool's own start is like that of a supervisor: it is up when Min workers
// are ready, and the first failure ends it.
type Pool struct {
	// Run is what each worker runs: an actor kind's With(args). Worker k is
	// named after the child, with "-k" added. Numbers are not used again.
	Run Runnable

	// Min is the number of workers that are kept, and that make the pool ready.
	// With 0 it is ready without any, and the first message starts one.
	Min int
	// Max is the number of workers that serve. 0: Min, and at least the number
	// of CPUs. While workers are being replaced, at most StartParallel more
	// processes exist, unless Recycle.NoOverlap.
	Max int
	// IdleTimeout is how long a worker has to have been superfluous before the
	// pool shrinks. 0: one minute. Forever: it never shrinks.
	IdleTimeout time.Duration
	// StartParallel bounds the workers that start at the same time. 0: the
	// number of CPUs.
	StartParallel int

	// Intensity is how many deaths within Period the pool accepts; the next one
	// ends it, as it ends a supervisor. 0: as many as there are workers (Max);
	// see NoRestarts and Unlimited.
	Intensity int
	Period    time.Duration // 0: defaultPeriod

	Queue Queue // what may wait

	// KillGrace is how long a handler may go on after the ctx of its message has
	// ended. Then its worker is killed and replaced. 0: one second. Forever: it
	// is never killed.
	KillGrace time.Duration
	// MaxHandle is how long a worker may have one message in hand, whatever its
	// ctx. Then it is killed and replaced. Time in which a stream waits for its
	// reader does not count. 0: no limit.
	MaxHandle time.Duration

	Recycle    Recycle
	Retry      Retry
	Quarantine Quarantine
}

// Runnable makes a Pool the Run of a [Child].
func (p Pool) Runnable(seal.Seal) any { return p }

// Queue bounds the messages that wait in a pool for a free worker. A sender
// whose message does not fit waits, until its ctx ends, for its turn; a
// TryCast fails instead.
type Queue struct {
	Messages int // 0: 1024
	Bytes    int // 0: 8 MiB. One message is let in whatever its size when none waits
}

// Recycle says when a worker that works well is replaced by a fresh one. Zero
// fields are no reason. The replacement is ready before the worker takes no
// more messages; what the worker has in hand it finishes.
type Recycle struct {
	// Uses is the number of messages after which a worker is replaced. It may
	// take a few more until its replacement is ready, except with 1, which is
	// exact: a fresh process for each message.
	Uses int
	// Age is how long after it became ready a worker is replaced.
	Age time.Duration
	// IdleAge is how long a worker may have had nothing in hand.
	IdleAge time.Duration
	// Memory is how many bytes of resident memory a worker may gain over what it
	// had when it became ready.
	Memory int64
	// Jitter in [0, 1] is the share of Uses and Age that is taken off at random,
	// so that workers of one age are not replaced together.
	Jitter float64
	// NoOverlap is for kinds that hold something exclusively, such as a lock or
	// a port: a worker has ended before its replacement starts. No more than Max
	// processes exist at any time.
	NoOverlap bool
}

// Retry has a message that was in the hands of a worker that died tried again
// on another worker, within its ctx. It concerns messages that are safe to
// repeat only. A message that was killed for its own deadline is not retried.
type Retry struct {
	Attempts int  // how often a message is begun at most, the first time included. 0: 3
	All      bool // every message of this pool is safe to repeat
}

// Quarantine refuses input that kills workers. Messages can carry a key, such
// as a hash of their input; a key that has cost Deaths workers is refused at
// once.
//
// Of a worker that dies with several messages in hand (a kind with Concurrent)
// each of them is suspected. A message that ends well clears its key, if it
// was under suspicion with others.
type Quarantine struct {
	Deaths int           // 0: no quarantine
	For    time.Duration // how long a key is refused after its last death. 0: ten minutes
	Keys   int           // how many keys are remembered; the oldest is forgotten first. 0: 1024
}

const (
	defaultIdleTimeout   = time.Minute
	defaultKillGrace     = time.Second
	defaultQueueMessages = 1024
	defaultQueueBytes    = 8 << 20
	defaultAttempts      = 3
	defaultQuarantine    = 10 * time.Minute
	defaultKeys          = 1024

	failedToRoll  = 3 // failed successors in a row that end a rolling restart
	firstBackoff  = 20 * time.Millisecond
	slowestStarts = time.Minute // the longest delay of failed starts without Intensity
)

// rules checks p and returns what its core goes by. name is the child's,
// slots the number of messages that one worker handles at the same time. All
// faults are joined.
func (p Pool) rules(name string, slots int) (poolRules, error) {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: pool %q: "+format, append([]any{ErrBadSpec, name}, args...)...))
	}
	counts := []struct {
		field string
		value int
	}{
		{"Min", p.Min}, {"Max", p.Max}, {"StartParallel", p.StartParallel},
		{"Queue.Messages", p.Queue.Messages}, {"Queue.Bytes", p.Queue.Bytes},
		{"Recycle.Uses", p.Recycle.Uses}, {"Retry.Attempts", p.Retry.Attempts},
		{"Quarantine.Deaths", p.Quarantine.Deaths}, {"Quarantine.Keys", p.Quarantine.Keys},
	}
	for _, c := range counts {
		if c.value < 0 {
			bad("negative %s %d", c.field, c.value)
		}
	}
	times := []struct {
		field   string
		value   time.Duration
		forever bool
	}{
		{"IdleTimeout", p.IdleTimeout, true}, {"KillGrace", p.KillGrace, true},
		{"Period", p.Period, false}, {"MaxHandle", p.MaxHandle, false},
		{"Recycle.Age", p.Recycle.Age, false}, {"Recycle.IdleAge", p.Recycle.IdleAge, false},
		{"Quarantine.For", p.Quarantine.For, false},
	}
	for _, d := range times {
		if d.value < 0 && !(d.forever && d.value == Forever) {
			bad("negative %s %v", d.field, d.value)
		}
	}
	if p.Run == nil {
		bad("a Run is needed: what the workers run")
	}
	if p.Max > 0 && p.Max < p.Min {
		bad("Max %d is below Min %d", p.Max, p.Min)
	}
	if p.Recycle.Memory < 0 {
		bad("negative Recycle.Memory %d", p.Recycle.Memory)
	}
	if j := p.Recycle.Jitter; !(j >= 0 && j <= 1) {
		bad("Recycle.Jitter %v is not between 0 and 1", j)
	}
	r := poolRules{
		slots:     max(slots, 1),
		min:       p.Min,
		max:       p.Max,
		idle:      or(p.IdleTimeout, defaultIdleTimeout),
		parallel:  or(p.StartParallel, runtime.NumCPU()),
		period:    or(p.Period, defaultPeriod),
		messages:  or(p.Queue.Messages, defaultQueueMessages),
		bytes:     or(p.Queue.Bytes, defaultQueueBytes),
		grace:     or(p.KillGrace, defaultKillGrace),
		maxHandle: p.MaxHandle,
		recycle:   p.Recycle,
		attempts:  or(p.Retry.Attempts, defaultAttempts),
		safe:      p.Retry.All,
		deaths:    p.Quarantine.Deaths,
		refuseFor: or(p.Quarantine.For, defaultQuarantine),
		keys:      or(p.Quarantine.Keys, defaultKeys),
	}
	if r.max == 0 {
		r.max = max(p.Min, runtime.NumCPU())
	}
	switch {
	case p.Intensity == 0:
		r.intensity = r.max
	case p.Intensity == NoRestarts:
		r.intensity = 0
	case p.Intensity == Unlimited:
		r.intensity = unlimited
	case p.Intensity < 0:
		bad("negative Intensity %d", p.Intensity)
	default:
		r.intensity = p.Intensity
	}
	return r, errors.Join(errs...)
}

// or returns v, or the default if v is zero.
func or[T comparable](v, byDefault T) T {
	var zero T
	if v == zero {
		return byDefault
	}
	return v
}
