package sys

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Threads bounds how many goroutines of this process block their threads in the
// kernel: a thread is dear, and the Go runtime needs others.
var Threads threads

// threads is the type of Threads. Only tests set its fields.
type threads struct {
	Off      atomic.Bool  // no goroutine may block its thread, as where the kernel has no way to
	Patience atomic.Int64 // in nanoseconds, instead of the caller's: a long one lets no lost wake-up be made good by its end

	blocked atomic.Int32
}

// Reserve is the right to block one thread until Release. At most GOMAXPROCS-1
// goroutines have it, so that a P is left for the netpoller.
func (t *threads) Reserve() bool {
	if t.Off.Load() {
		return false
	}
	if int(t.blocked.Add(1)) < runtime.GOMAXPROCS(0) {
		return true
	}
	t.blocked.Add(-1)
	return false
}

// Release ends what Reserve has granted.
func (t *threads) Release() { t.blocked.Add(-1) }

// Blocked is how many goroutines block their threads.
func (t *threads) Blocked() int { return int(t.blocked.Load()) }

// MostTime is for how long a thread may stay blocked: d, unless a test says
// otherwise.
func (t *threads) MostTime(d time.Duration) time.Duration {
	if p := t.Patience.Load(); p != 0 {
		return time.Duration(p)
	}
	return d
}
