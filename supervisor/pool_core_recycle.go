package supervisor

import "time"

// Workers that work well are replaced by fresh ones: because they are used up,
// or all of them, one after another, in a rolling restart. The successor is
// ready before the old worker takes no more, unless Recycle.NoOverlap.

// setLimits draws what the worker may do before it is recycled. The draw is a
// function of its number and of the seed.
func (p *poolCore) setLimits(w *poolWorker) {
	less := p.recycle.Jitter * fraction(p.seed, w.id)
	w.usesLimit = max(1, p.recycle.Uses-int(less*float64(p.recycle.Uses)))
	w.ageLimit = p.recycle.Age - time.Duration(less*float64(p.recycle.Age))
	p.wakeBy(p.ageDue(w))
}

// fraction returns a number in [0, 1) that looks random (SplitMix64).
func fraction(seed uint64, id workerID) float64 {
	z := seed + uint64(id)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64((z^z>>31)>>11) / (1 << 53)
}

// markDue has the worker recycled when its turn comes.
func (p *poolCore) markDue(w *poolWorker, why stopReason) {
	if !w.due {
		w.due, w.dueWhy = true, why
	}
}

// checkUses: the worker has been given one more message. A fresh process for
// each message is exact: the worker takes no second one.
func (p *poolCore) checkUses(w *poolWorker) {
	if p.recycle.Uses == 0 || w.uses < w.usesLimit {
		return
	}
	p.markDue(w, stopRecycle)
	if p.recycle.Uses == 1 {
		p.drain(w, stopRecycle)
		p.owe()
	}
}

// measured: the worker holds so much memory now.
func (p *poolCore) measured(ev workerMemory) {
	w := p.worker(ev.worker)
	if w != nil && w.phase == workerServing && p.recycle.Memory > 0 && ev.bytes > w.memory+p.recycle.Memory {
		p.markDue(w, stopRecycle)
	}
}

// ageDue returns when the worker becomes due by time alone, or never.
func (p *poolCore) ageDue(w *poolWorker) time.Duration {
	due := never
	if w.phase != workerServing || w.due {
		return due
	}
	if p.recycle.Age > 0 {
		due = w.readyAt + w.ageLimit
	}
	if p.recycle.IdleAge > 0 && len(w.grants) == 0 {
		due = min(due, w.freeAt+p.recycle.IdleAge)
	}
	return due
}

func (p *poolCore) checkAge(w *poolWorker) {
	if p.now >= p.ageDue(w) {
		p.markDue(w, stopRecycle)
	}
}

// recycleDue begins to replace the workers that are due: a few side by side,
// or one at a time if the old one has to be gone first.
func (p *poolCore) recycleDue() {
	for _, w := range p.workers {
		if !w.due || w.phase != workerServing || w.successor != 0 {
			continue
		}
		if !p.recycle.NoOverlap {
			if !p.canStart() {
				return
			}
			p.start(startSuccessor, w)
			continue
		}
		if p.replacing() {
			return
		}
		p.drain(w, w.dueWhy)
	}
}

// replacing reports whether a worker is being replaced without overlap.
func (p *poolCore) replacing() bool {
	for _, w := range p.workers {
		if w.phase == workerDraining || w.phase == workerLeaving || w.phase == workerStarting && w.why == startSuccessor {
			return true
		}
	}
	return p.owed > 0
}

// poolRoll is a rolling restart under way.
type poolRoll struct {
	calls    []callID
	upTo     workerID // the last worker that has to go
	current  workerID
	failures int // successors in a row
}

func (p *poolCore) rollAsked(c callID) {
	if p.stopping {
		p.do(poolRolled{call: c, why: rollStopped, failed: p.endExit})
		return
	}
	if p.roll == nil {
		p.roll = &poolRoll{}
	}
	p.roll.calls = append(p.roll.calls, c)
	p.roll.upTo = p.lastWorker
}

func (p *poolCore) rollCancelled(c callID) {
	if p.roll == nil {
		return
	}
	for i, other := range p.roll.calls {
		if other == c {
			p.roll.calls = append(p.roll.calls[:i:i], p.roll.calls[i+1:]...)
			break
		}
	}
	if len(p.roll.calls) == 0 {
		p.roll = nil
	}
}

// rollOn goes on with the rolling restart when the worker under way is gone
// and its successor is ready.
func (p *poolCore) rollOn() {
	r := p.roll
	if r == nil || p.worker(r.current) != nil || p.owed > 0 {
		return
	}
	for _, w := range p.workers {
		if w.phase == workerStarting && w.why == startSuccessor {
			return
		}
	}
	left := false
	for _, w := range p.workers {
		if w.id > r.upTo {
			continue
		}
		left = true
		if w.phase == workerServing {
			w.due, w.dueWhy = true, stopRoll
			r.current = w.id
			return
		}
	}
	if !left {
		p.rollOver(rollDone, nil)
	}
}

// rollStumbled: a successor failed to start. After a few in a row the rolling
// restart is given up, and the old workers go on.
func (p *poolCore) rollStumbled(exit any) {
	r := p.roll
	if r == nil {
		return
	}
	r.failures++
	if r.failures < failedToRoll {
		return
	}
	for _, w := range p.workers {
		if w.due && w.dueWhy == stopRoll && w.phase == workerServing {
			w.due = false
			p.checkAge(w)
		}
	}
	p.rollOver(rollFailed, exit)
}

// rollOver answers the calls that wait for the rolling restart.
func (p *poolCore) rollOver(why rollResult, failed any) {
	if p.roll == nil {
		return
	}
	for _, c := range p.roll.calls {
		p.do(poolRolled{call: c, why: why, failed: failed})
	}
	p.roll = nil
}
