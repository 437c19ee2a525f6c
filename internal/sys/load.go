package sys

import (
	"runtime"
	"sync/atomic"
)

// loadAge is for how long a look at the load of the machine counts, in
// nanoseconds: to look costs microseconds.
const loadAge = 10_000_000

var load struct {
	until   atomic.Int64 // MonotonicNow
	crowded atomic.Int32 // looks in a row that found too much to do
}

// Saturated reports whether more has to be done on this machine than it has
// CPUs, not counting the caller, who asks whether to wait busily or asleep. It is
// told by two looks of lately, because one finds a crowd wherever two timers
// happen to meet.
func Saturated() bool {
	now := MonotonicNow()
	until := load.until.Load()
	if now > until && load.until.CompareAndSwap(until, now+loadAge) {
		if n, ok := runnable(); ok && n-1 > runtime.NumCPU() {
			load.crowded.Add(1)
		} else {
			load.crowded.Store(0)
		}
	}
	return load.crowded.Load() > 1
}
