package supervisor

import (
	"slices"
	"time"
)

// How many workers there are: the pool is kept at Min, grows while messages
// wait, and shrinks when some were not needed for a while.

func (p *poolCore) worker(id workerID) *poolWorker {
	for _, w := range p.workers {
		if w.id == id {
			return w
		}
	}
	return nil
}

// serving is how many workers take messages.
func (p *poolCore) serving() int {
	n := 0
	for _, w := range p.workers {
		if w.takes() {
			n++
		}
	}
	return n
}

// starts is how many workers start, in all and apart from successors.
func (p *poolCore) starts() (all, more int) {
	for _, w := range p.workers {
		if w.phase == workerStarting {
			all++
			if w.replaces == 0 {
				more++
			}
		}
	}
	return all, more
}

// working reports whether some worker works, be it on its last messages.
func (p *poolCore) working() bool {
	return slices.ContainsFunc(p.workers, func(w *poolWorker) bool {
		return !w.condemned && (w.phase == workerServing || w.phase == workerDraining)
	})
}

// size is how many workers the pool has, or will have. A worker and its
// successor are one. Those that leave are none, as their place may be taken at
// once, except where processes must not overlap.
func (p *poolCore) size() int {
	if p.recycle.NoOverlap {
		return len(p.workers)
	}
	n := 0
	for _, w := range p.workers {
		if w.phase == workerServing || w.phase == workerStarting && w.replaces == 0 {
			n++
		}
	}
	return n
}

// mostProcesses is how many processes exist at most, those that end included.
func (p *poolCore) mostProcesses() int {
	if p.recycle.NoOverlap {
		return p.max
	}
	return p.max + p.parallel
}

// canStart reports whether one more process may be started now.
func (p *poolCore) canStart() bool {
	parallel := p.parallel
	if p.level > 0 {
		parallel = 1 // a trial
	}
	all, _ := p.starts()
	return !p.stopping && len(p.workers) < p.mostProcesses() && all < parallel && p.now >= p.startAfter
}

// startWanted starts the workers that are missing: below Min, and for messages
// that wait, as far as those that start already will not take them.
func (p *poolCore) startWanted() {
	for p.canStart() {
		size := p.size()
		_, more := p.starts()
		switch {
		case size < p.min && p.owed > 0:
			p.owed--
			p.start(startSuccessor, nil)
		case size < p.min:
			p.start(startNeeded, nil)
		case size < p.max && p.demand() > more*p.slots:
			p.start(startGrowth, nil)
		default:
			return
		}
	}
}

// owe notes that the next start below Min is that of a successor.
func (p *poolCore) owe() {
	if !p.recycle.NoOverlap { // else when the old one is gone
		p.owed++
	}
}

// trimOwed forgets successors that the pool does without.
func (p *poolCore) trimOwed() {
	if p.owed > 0 {
		p.owed = min(p.owed, max(p.min-p.size(), 0))
	}
}

// start starts a worker, in place of old if that is not nil.
func (p *poolCore) start(why startReason, old *poolWorker) {
	p.lastWorker++
	w := &poolWorker{id: p.lastWorker, phase: workerStarting, why: why, level: p.level}
	if old != nil {
		w.replaces, old.successor = old.id, w.id
	}
	p.workers = append(p.workers, w)
	p.do(startWorker{worker: w.id, why: why, after: w.replaces})
}

// ready: a worker has come up.
func (p *poolCore) ready(ev workerReady) {
	w := p.worker(ev.worker)
	if w == nil || w.phase != workerStarting {
		return // asked to end meanwhile
	}
	p.level, p.startAfter = 0, 0
	w.phase, w.readyAt, w.freeAt, w.memory = workerServing, p.now, p.now, ev.memory
	p.setLimits(w)
	if w.why == startSuccessor && p.roll != nil {
		p.roll.failures = 0
	}
	if old := p.worker(w.replaces); old != nil {
		old.successor = 0
		p.drain(old, old.dueWhy)
	}
	w.replaces = 0
}

// leave moves a worker that served out of service. The lease that it was kept
// free for looks for another; its successor, if one starts, is a worker like
// any other from now on.
func (p *poolCore) leave(w *poolWorker, phase workerPhase) {
	w.phase = max(w.phase, phase)
	if it := w.reserved; it != nil {
		it.reserved, w.reserved = nil, nil
	}
	if next := p.worker(w.successor); next != nil {
		next.replaces = 0
	}
	if old := p.worker(w.replaces); old != nil {
		old.successor = 0 // w started in its place
	}
	w.successor, w.replaces = 0, 0
}

// drain has the worker take no more, and end when it has nothing in hand.
func (p *poolCore) drain(w *poolWorker, why stopReason) {
	if w.phase == workerServing {
		p.leave(w, workerDraining)
		w.dropping = why
	}
}

// dismissDrained stops the workers that drain and have nothing in hand.
func (p *poolCore) dismissDrained() {
	for _, w := range p.workers {
		if w.phase == workerDraining && len(w.grants) == 0 {
			p.leave(w, workerLeaving)
			p.stop(w, false, w.dropping)
		}
	}
}

// remove forgets a worker that is reaped.
func (p *poolCore) remove(w *poolWorker) {
	p.leave(w, workerLeaving)
	p.workers = slices.DeleteFunc(p.workers, func(other *poolWorker) bool { return other == w })
}

// shrinkWindow keeps the score of the workers that are not needed. A pool
// shrinks by as many as were superfluous throughout a window of IdleTimeout;
// that one worker or another was idle says nothing, as all take their turns.
func (p *poolCore) shrinkWindow() {
	if p.idle == Forever || p.booting || p.size() <= p.min {
		p.windowEnd = 0
		return
	}
	free := 0
	if p.waiting == 0 {
		for _, w := range p.workers {
			free += w.free(p.slots)
		}
	}
	if p.windowEnd == 0 {
		p.windowEnd = p.now + p.idle
		p.surplus = free
		p.wakeBy(p.windowEnd)
	}
	p.surplus = min(p.surplus, free)
}

// closeWindow shrinks the pool at the end of a window. Kept slots are asked
// for, so that the next window shows which are in use.
func (p *poolCore) closeWindow() {
	if p.windowEnd == 0 || p.now < p.windowEnd {
		return
	}
	p.windowEnd = 0
	n := min(p.surplus/p.slots, p.size()-p.min)
	emptiest := p.byUse()
	slices.SortStableFunc(emptiest, func(a, b *poolWorker) int { return len(a.grants) - len(b.grants) })
	for _, w := range emptiest {
		if n > 0 && w.takes() && !w.leased && w.reserved == nil && w.successor == 0 {
			p.drain(w, stopShrink)
			n--
		}
	}
	for _, w := range p.workers {
		for _, g := range w.grants {
			if g.keep {
				p.recall(g)
			}
		}
	}
}

// backOff delays the next start after one of that level has failed: the first
// is tried again at once, the next ones after a time that doubles. Starts that
// failed side by side count as one.
func (p *poolCore) backOff(level int) {
	p.level = max(p.level, level+1)
	delay := time.Duration(0)
	if p.level > 1 {
		delay = p.slowest()
		if shift := p.level - 2; shift < 30 {
			delay = min(delay, firstBackoff<<shift)
		}
	}
	p.startAfter = p.now + delay
	if delay > 0 {
		p.wakeBy(p.startAfter)
	}
}

// slowest is the longest delay between starts, so that starts that always
// fail exceed the intensity.
func (p *poolCore) slowest() time.Duration {
	if p.intensity == unlimited {
		return slowestStarts
	}
	return p.period / time.Duration(max(p.intensity, 1))
}
