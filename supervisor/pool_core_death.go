package supervisor

import (
	"container/list"
	"time"
)

// failed: a worker did not become ready. In the pool's own start that is the
// end of it, as in a supervisor's. Later it counts, unless the worker was to
// replace one or to add to Min, while others serve.
func (p *poolCore) failed(ev workerFailed) {
	w := p.worker(ev.worker)
	if w == nil {
		return
	}
	asked := w.stopped
	successor := w.why == startSuccessor
	p.remove(w)
	if p.stopping || asked {
		return
	}
	p.lastExit = ev.exit
	p.backOff(w.level)
	if p.booting {
		p.shutdown(endStartFailed, ev.exit)
		return
	}
	if successor {
		p.rollStumbled(ev.exit)
	}
	if w.why != startNeeded && p.working() {
		if successor {
			p.owed++
		}
		return
	}
	p.charge(ev.exit, ev.final)
}

// charge counts a death against the intensity, and ends the pool if it was one
// too many, or if the worker said that it should not be started again.
func (p *poolCore) charge(exit any, final bool) {
	if p.intensity == unlimited && !final {
		return
	}
	var window []time.Duration
	for _, t := range p.deathTimes {
		if t >= p.now-p.period {
			window = append(window, t)
		}
	}
	p.deathTimes = append(window, p.now)
	if final || len(p.deathTimes) > p.intensity {
		p.shutdown(endGaveUp, exit)
	}
}

// exited: a worker that was ready has ended. Every message that it had begun
// fails or is tried again, the others wait for another worker. If it had begun
// none, its death counts against the pool.
func (p *poolCore) exited(ev workerExited) {
	w := p.worker(ev.worker)
	if w == nil {
		return
	}
	hands := make(map[grantID]poolHand, len(ev.hands))
	suspects := 0
	for _, h := range ev.hands {
		hands[h.grant] = h
		if h.begun {
			suspects++
		}
	}
	culprit := w.culprit()
	if !w.stopped || culprit != nil {
		p.lastExit = ev.exit
	}
	p.remove(w)
	for _, g := range w.grants {
		p.adopt(g, hands[g.id])
	}
	for _, g := range w.grants { // before any is tried again
		if h := hands[g.id]; h.begun && (!w.stopped || culprit != nil && g.overdue) {
			p.blame(g.item.key, suspects > 1 && !g.overdue, ev.exit)
		}
	}
	for _, g := range w.grants {
		p.lost(w, g, hands[g.id], culprit, ev.exit)
	}
	if p.recycle.NoOverlap && w.hasHeir() {
		p.owed++
	}
	if suspects == 0 && !w.stopped && !p.stopping {
		p.charge(ev.exit, ev.final)
	}
}

// hasHeir reports whether the worker that takes its place is a successor.
func (w *poolWorker) hasHeir() bool {
	return w.due || w.stopped && w.stopWhy == stopLease
}

// culprit returns the grant whose message had the worker killed, or nil.
func (w *poolWorker) culprit() *poolGrant {
	if !w.stopped || w.stopWhy != stopDeadline && w.stopWhy != stopMaxHandle {
		return nil
	}
	for _, g := range w.grants {
		if g.overdue {
			return g
		}
	}
	return nil
}

// adopt takes the message that was in hand under a kept slot into the books. It
// was ahead of all that its sender has waiting.
func (p *poolCore) adopt(g *poolGrant, h poolHand) {
	if g.item != nil || h.next == nil {
		return
	}
	g.item = &poolItem{poolMessage: *h.next, seq: g.seq, grant: g, cancelled: g.ctxAt != never, orphan: g.orphan}
	g.item.order = ""
	p.items[g.item.id] = g.item
	p.kept--
}

// lost decides about one slot of a worker that has ended.
func (p *poolCore) lost(w *poolWorker, g *poolGrant, h poolHand, culprit *poolGrant, exit any) {
	p.forget(g)
	it := g.item
	switch {
	case it == nil:
		return
	case !h.begun:
		p.backInQueue(it)
		return
	}
	it.attempts++
	it.lastWorker, it.lastExit = w.id, exit
	f := failMessage{why: failDied}
	switch {
	case culprit == nil:
	case !g.overdue:
		f.why, f.culprit = failNeighbour, culprit.message
	case g.why() == stopDeadline:
		f.why = failDeadline
	default:
		f.why = failMaxHandle
	}
	again := (it.safe || p.safe) && !it.once && it.attempts < p.attempts && !it.exclusive && !it.orphan && !it.cancelled &&
		!p.stopping && p.refused.find(it.key, p.now) == nil
	if !again {
		p.fail(it, f)
		return
	}
	it.grant = nil
	p.enqueue(it)
}

// backInQueue has a message that was granted but not begun wait again, in its
// old place.
func (p *poolCore) backInQueue(it *poolItem) {
	switch {
	case p.stopping:
		p.fail(it, failMessage{why: p.closedWhy(), exit: p.endExit})
	case it.cancelled || it.orphan:
		p.fail(it, failMessage{why: failCancelled})
	case p.refused.find(it.key, p.now) != nil:
		p.fail(it, failMessage{why: failQuarantined, exit: p.refused.find(it.key, p.now).exit})
	default:
		it.grant = nil
		p.enqueue(it)
	}
}

// blame enters a death into the quarantine. What waits with a key that is
// refused from now on fails.
func (p *poolCore) blame(key string, shared bool, exit any) {
	if !p.refused.blame(key, p.now, shared, exit) {
		return
	}
	p.do(poolQuarantined{key: key, exit: exit})
	for _, it := range p.waitingItems() {
		if it.key == key {
			p.fail(it, failMessage{why: failQuarantined, exit: exit})
		}
	}
}

// quarantine remembers which keys have killed workers. It keeps at most so
// many; the one whose last death is the longest ago goes first.
type quarantine struct {
	deaths, most int
	duration     time.Duration
	entries      map[string]*list.Element
	byDeath      *list.List // of *quarantined, the last death of the first is the oldest
}

type quarantined struct {
	key    string
	deaths int
	shared bool // of every death others were suspected, too
	until  time.Duration
	exit   any
}

func newQuarantine(deaths int, d time.Duration, most int) quarantine {
	return quarantine{deaths: deaths, most: most, duration: d, entries: make(map[string]*list.Element), byDeath: list.New()}
}

// find returns the entry of a key that is refused, or nil.
func (q *quarantine) find(key string, now time.Duration) *quarantined {
	e := q.entries[key]
	if e == nil {
		return nil
	}
	if entry := e.Value.(*quarantined); entry.deaths >= q.deaths && now < entry.until {
		return entry
	}
	return nil
}

// blame enters a death, and reports whether the key is refused from now on.
func (q *quarantine) blame(key string, now time.Duration, shared bool, exit any) bool {
	if q.deaths == 0 || key == "" {
		return false
	}
	e := q.entries[key]
	if e != nil && now >= e.Value.(*quarantined).until {
		q.forget(e)
		e = nil
	}
	if e == nil {
		e = q.byDeath.PushBack(&quarantined{key: key, shared: true})
		q.entries[key] = e
	}
	entry := e.Value.(*quarantined)
	before := entry.deaths >= q.deaths
	entry.deaths++
	entry.shared = entry.shared && shared
	entry.until, entry.exit = now+q.duration, exit
	q.byDeath.MoveToBack(e)
	for q.byDeath.Len() > q.most {
		q.forget(q.byDeath.Front())
	}
	return !before && entry.deaths >= q.deaths
}

// clear forgets a key that has turned out well, unless it is known to kill.
func (q *quarantine) clear(key string) {
	if e := q.entries[key]; e != nil && e.Value.(*quarantined).shared {
		q.forget(e)
	}
}

func (q *quarantine) forget(e *list.Element) {
	delete(q.entries, e.Value.(*quarantined).key)
	q.byDeath.Remove(e)
}
