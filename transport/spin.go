package transport

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/internal/sys"
)

// A reader that has nothing to read can sleep, which costs it and the writer a
// few microseconds of system calls and the wake-up of a core, or look again and
// again, which costs a core. So it looks for as long as that has paid lately,
// and then sleeps.

const (
	// defaultSpin is the longest that a reader looks before it sleeps. It must be
	// longer than to wake a core that sleeps takes, some 60 us in a virtual
	// machine: else two that have once slept never meet awake again.
	defaultSpin = 100 * time.Microsecond

	minSpin  = 2 * time.Microsecond // less is nothing
	spinStep = time.Microsecond     // what each wait that looking spares, or would have spared, adds
	tryEvery = 64                   // one that does not look any more tries it again after so many waits
)

// A Spinner decides how long one reader looks. It is adaptive: each wait that was
// short enough that looking spared the sleep, or would have, adds a little, and
// each that was not halves it, down to nothing. So it takes nearly all waits to be
// short to look for long: where many want the CPUs, waits are of all lengths, and
// looking would only take them away from those who are waited for. The zero value
// is ready. It has no clock, and one goroutine at a time uses it.
type Spinner struct {
	Max time.Duration // 0: defaultSpin; negative: never look, always sleep

	budget time.Duration
	begun  bool
	asleep int  // waits since it last looked
	trying bool // it looks this time to see whether it would pay again
}

func (s *Spinner) max() time.Duration {
	if s.Max == 0 {
		return defaultSpin
	}
	return s.Max
}

// nextBudget is how long to look this time.
func (s *Spinner) nextBudget() time.Duration {
	if s.max() < 0 {
		return 0
	}
	if !s.begun {
		s.begun, s.budget = true, s.max()
	}
	if s.budget >= minSpin {
		return s.budget
	}
	if s.asleep++; s.asleep == tryEvery { // the other may be at it, too
		s.asleep, s.trying = 0, true
		return s.max()
	}
	return 0
}

// waited says how long the reader had to wait altogether, awake and asleep.
func (s *Spinner) waited(d time.Duration) {
	tried := s.trying
	s.trying = false
	switch limit := s.max(); {
	case limit < 0:
	case tried && d <= limit:
		s.budget = limit / 2
	case d > limit:
		s.budget /= 2
	default:
		s.budget = min(s.budget+spinStep, limit)
	}
}

// spinners counts the goroutines of this process that look for long.
var spinners atomic.Int32

// glance is how many times a reader looks before it asks for the time: about a
// microsecond, in which the answer of an actor that has little to do is there.
const glance = 32

// Spin looks until w is ready, which it reports, or for as long as the budget
// is. Then since is when it began, for [Spinner.Slept].
func (s *Spinner) Spin(w interface{ Ready() bool }) (ok bool, since int64) {
	if w.Ready() {
		return true, 0
	}
	cpus := min(runtime.NumCPU(), runtime.GOMAXPROCS(0))
	budget := s.nextBudget()
	if budget == 0 || cpus == 1 {
		return false, sys.MonotonicNow()
	}
	for range glance {
		pause(1)
		if w.Ready() {
			s.waited(0)
			return true, 0
		}
	}
	since = sys.MonotonicNow()
	// Where there is more work than CPUs, other threads need them.
	if int(spinners.Load()) >= max(1, cpus/2) || sys.Saturated() {
		return false, since
	}
	spinners.Add(1)
	defer spinners.Add(-1)
	for i, end := 1, since+int64(budget); ; i++ {
		pause(1)
		if w.Ready() {
			s.waited(time.Duration(sys.MonotonicNow() - since))
			return true, since
		}
		if i%glance != 0 {
			continue
		}
		if sys.MonotonicNow() > end {
			return false, since
		}
		if i%(4*glance) == 0 {
			runtime.Gosched() // for other goroutines of this process
		}
	}
}

// Slept says that the reader which gave up looking has slept and is awake.
func (s *Spinner) Slept(since int64) { s.waited(time.Duration(sys.MonotonicNow() - since)) }
