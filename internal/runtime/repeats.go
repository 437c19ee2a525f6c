package runtime

import (
	"sync"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// repeats bounds how often events of a type are logged that may come by the
// thousand, such as the dead letters of a mailbox: the first ones of a second are
// logged, the others counted. The events themselves and their counters know all.
// The zero value is ready.
type repeats struct {
	mu  sync.Mutex
	now map[actor.EventType]*repeated
}

// repeated is what was logged of one type in the second that runs.
type repeated struct {
	logged, left int
	timer        *time.Timer // ends the second
}

const (
	repeatsLogged = 10
	repeatsPeriod = time.Second
)

// allow reports whether one more may be logged. report is told later how many may not.
func (r *repeats) allow(t actor.EventType, report func(actor.EventType, int)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now[t]
	if now == nil {
		now = &repeated{}
		now.timer = time.AfterFunc(repeatsPeriod, func() { r.over(t, now, report) })
		if r.now == nil {
			r.now = make(map[actor.EventType]*repeated)
		}
		r.now[t] = now
	}
	if now.logged < repeatsLogged {
		now.logged++
		return true
	}
	now.left++
	return false
}

// over ends a second.
func (r *repeats) over(t actor.EventType, of *repeated, report func(actor.EventType, int)) {
	r.mu.Lock()
	if r.now[t] != of {
		r.mu.Unlock()
		return
	}
	delete(r.now, t)
	left := of.left
	r.mu.Unlock()
	if left > 0 {
		report(t, left)
	}
}

// flush ends the seconds that run.
func (r *repeats) flush(report func(actor.EventType, int)) {
	r.mu.Lock()
	now := r.now
	r.now = nil
	r.mu.Unlock()
	for t, of := range now {
		of.timer.Stop()
		if of.left > 0 {
			report(t, of.left)
		}
	}
}
