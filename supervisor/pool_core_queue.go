package supervisor

import (
	"cmp"
	"container/list"
	"slices"
)

// poolItem is a message that waits or is in hand.
type poolItem struct {
	poolMessage
	seq      uint64 // its place among all messages
	grant    *poolGrant
	attempts int // how often it was begun by workers that died,
	// the last of which was this one.
	lastWorker workerID
	lastExit   any

	prev, next *poolItem // in the queue
	queued     bool
	parked     bool          // behind another of its order
	inside     bool          // admitted, and counted in the bounds
	outside    *list.Element // waiting for room
	cancelled  bool
	orphan     bool        // its sender has ended
	reserved   *poolWorker // exclusive: the worker that is kept free for it
}

// waits reports whether it is not in hand.
func (it *poolItem) waits() bool { return it.grant == nil }

// itemList is a list in the order of seq.
type itemList struct{ first, last *poolItem }

// insert puts the item in its place. New items belong at the end; those that
// come back, near the front.
func (l *itemList) insert(it *poolItem) {
	if l.last == nil || l.last.seq < it.seq {
		l.link(it, l.last, nil)
		return
	}
	next := l.first
	for next.seq < it.seq {
		next = next.next
	}
	l.link(it, next.prev, next)
}

func (l *itemList) link(it, prev, next *poolItem) {
	it.prev, it.next, it.queued = prev, next, true
	if prev == nil {
		l.first = it
	} else {
		prev.next = it
	}
	if next == nil {
		l.last = it
	} else {
		next.prev = it
	}
}

func (l *itemList) remove(it *poolItem) {
	if !it.queued {
		return
	}
	if it.prev == nil {
		l.first = it.next
	} else {
		it.prev.next = it.next
	}
	if it.next == nil {
		l.last = it.prev
	} else {
		it.next.prev = it.prev
	}
	it.prev, it.next, it.queued = nil, nil, false
}

// poolOrder is the messages of one order key: one may be granted, the others
// wait behind it.
type poolOrder struct {
	active *poolItem
	parked []*poolItem
}

// sent takes a message in, or refuses it.
func (p *poolCore) sent(m poolMessage) {
	switch entry := p.refused.find(m.key, p.now); {
	case p.ended || p.closing:
		p.do(failMessage{message: m.id, why: p.closedWhy(), exit: p.endExit})
		return
	case entry != nil:
		p.do(failMessage{message: m.id, why: failQuarantined, exit: entry.exit})
		return
	}
	p.lastSeq++
	it := &poolItem{poolMessage: m, seq: p.lastSeq}
	p.items[m.id] = it
	p.enqueue(it)
	// One that gets a slot at once needs no room.
	p.dispatch()
	switch {
	case !it.waits():
	case p.outside.Len() == 0 && p.fits(it):
		p.takeIn(it)
	case it.try:
		p.fail(it, failMessage{why: failFull})
	default:
		it.outside = p.outside.PushBack(it)
	}
}

// closedWhy is what a message is told that comes too late.
func (p *poolCore) closedWhy() failReason {
	if p.stopping && p.cause != endStopped {
		return failNoWorker
	}
	return failStopped
}

// enqueue makes the item wait: in the queue, or behind another of its order.
func (p *poolCore) enqueue(it *poolItem) {
	p.waiting++
	if len(it.chain) > 0 {
		p.chained++
	}
	if it.order != "" {
		o := p.orders[it.order]
		if o == nil {
			o = &poolOrder{active: it}
			p.orders[it.order] = o
		}
		if o.active != it {
			it.parked = true
			o.parked = append(o.parked, it)
			return
		}
	}
	p.queue.insert(it)
}

// unwait ends the wait of the item.
func (p *poolCore) unwait(it *poolItem) {
	p.waiting--
	if len(it.chain) > 0 {
		p.chained--
	}
	p.queue.remove(it)
	p.leaveOutside(it)
	if it.inside {
		it.inside = false
		p.inside--
		p.bytes -= it.bytes
	}
	if w := it.reserved; w != nil {
		it.reserved, w.reserved = nil, nil
	}
}

// passOrder lets the next message of the item's order go: the item is over.
func (p *poolCore) passOrder(it *poolItem) {
	o := p.orders[it.order]
	if it.order == "" || o == nil {
		return
	}
	if it.parked {
		it.parked = false
		o.parked = slices.DeleteFunc(o.parked, func(other *poolItem) bool { return other == it })
		return
	}
	if len(o.parked) == 0 {
		delete(p.orders, it.order)
		return
	}
	next := o.parked[0]
	o.parked[0] = nil
	o.active, o.parked = next, o.parked[1:]
	next.parked = false
	p.queue.insert(next)
}

// over forgets a message about which the last word is said.
func (p *poolCore) over(it *poolItem) {
	if it.waits() {
		p.unwait(it)
	}
	p.passOrder(it)
	delete(p.items, it.id)
}

// fail says the last word about a message.
func (p *poolCore) fail(it *poolItem, f failMessage) {
	p.over(it)
	f.message = it.id
	if f.begun = it.attempts > 0; f.begun {
		f.worker = it.lastWorker
		if f.exit == nil {
			f.exit = it.lastExit
		}
	}
	if !it.orphan {
		p.do(f)
	}
}

// fits reports whether the queue has room for the item.
func (p *poolCore) fits(it *poolItem) bool {
	if p.inside == 0 {
		return true
	}
	return p.inside < p.messages && p.poolRules.bytes-p.bytes >= it.bytes
}

func (p *poolCore) takeIn(it *poolItem) {
	it.inside = true
	p.inside++
	p.bytes += it.bytes
}

// admit lets those that wait for room in, in their order.
func (p *poolCore) admit() {
	for e := p.outside.Front(); e != nil; e = p.outside.Front() {
		it := e.Value.(*poolItem)
		if !p.fits(it) {
			return
		}
		p.leaveOutside(it)
		p.takeIn(it)
		p.do(admitMessage{it.id})
	}
}

func (p *poolCore) leaveOutside(it *poolItem) {
	if it.outside != nil {
		p.outside.Remove(it.outside)
		it.outside = nil
	}
}

// dispatch grants slots until there is none, or nothing that could use it.
// The oldest message is first; it goes to the least recently used worker. A
// lease that finds no empty worker has the emptiest kept free for it.
func (p *poolCore) dispatch() {
	for _, w := range p.workers {
		if it := w.reserved; it != nil && len(w.grants) == 0 {
			p.grant(it, w)
		}
	}
	for it := p.queue.first; it != nil; {
		next := it.next
		switch w := p.workerFor(it); {
		case w != nil:
			p.grant(it, w)
		case it.reserved != nil || it.exclusive && p.reserve(it):
		default:
			return // nor is there one for those behind it
		}
		it = next
	}
}

// workerFor returns the worker that takes the item now, or nil.
func (p *poolCore) workerFor(it *poolItem) *poolWorker {
	var best *poolWorker
	for _, w := range p.workers {
		if w.free(p.slots) == 0 || it.exclusive && len(w.grants) > 0 {
			continue
		}
		if best == nil || w.used < best.used {
			best = w
		}
	}
	return best
}

// takes reports whether the worker takes messages at all.
func (w *poolWorker) takes() bool { return w.phase == workerServing && !w.condemned }

// free is how many messages of any kind it would take now.
func (w *poolWorker) free(slots int) int {
	if !w.takes() || w.leased || w.reserved != nil {
		return 0
	}
	return slots - len(w.grants)
}

// reserve keeps the emptiest worker free for the item, and reports whether
// there is one.
func (p *poolCore) reserve(it *poolItem) bool {
	var best *poolWorker
	for _, w := range p.workers {
		if !w.takes() || w.leased || w.reserved != nil {
			continue
		}
		if best == nil || len(w.grants) < len(best.grants) {
			best = w
		}
	}
	if best == nil {
		return false
	}
	best.reserved, it.reserved = it, best
	return true
}

// grant gives the item a slot of the worker, or all of it.
func (p *poolCore) grant(it *poolItem, w *poolWorker) {
	p.unwait(it)
	p.lastGrant++
	g := &poolGrant{id: p.lastGrant, worker: w, item: it, sender: it.sender, message: it.id, seq: it.seq, ctxAt: never, handleAt: never}
	g.keep = it.keep && it.order == "" && !it.exclusive && p.queue.first == nil &&
		p.recycle.Uses == 0 && p.maxHandle == 0 && !p.closing
	if g.keep {
		p.keeping++
	}
	p.grants[g.id] = g
	it.grant = g
	w.grants = append(w.grants, g)
	w.used = uint64(g.id)
	w.leased = it.exclusive
	w.uses++
	p.checkUses(w)
	p.do(grantSlot{message: it.id, grant: g.id, worker: w.id, keep: g.keep})
}

// free takes the slot back.
func (p *poolCore) free(g *poolGrant) {
	w := g.worker
	p.forget(g)
	w.grants = slices.DeleteFunc(w.grants, func(other *poolGrant) bool { return other == g })
	if len(w.grants) == 0 {
		w.leased = false
		w.freeAt = p.now
		p.wakeBy(p.ageDue(w))
	}
	p.reprieve(w)
}

// forget takes the grant out of the books.
func (p *poolCore) forget(g *poolGrant) {
	delete(p.grants, g.id)
	if g.item == nil {
		p.kept--
	}
	if g.keep && !g.recall {
		p.keeping--
	}
}

// returned: the message under the grant is over, and its slot is free.
func (p *poolCore) returned(id grantID, replace bool) {
	g := p.grants[id]
	if g == nil {
		return // its worker died meanwhile
	}
	p.finish(g)
	p.free(g)
	if w := g.worker; replace && w.phase != workerLeaving {
		if w.phase == workerServing && w.successor == 0 {
			p.owe()
		}
		p.leave(w, workerLeaving)
		p.stop(w, true, stopLease)
	}
}

// finish closes the books of the grant's own message, if it is still open.
func (p *poolCore) finish(g *poolGrant) {
	it := g.item
	if it == nil {
		return
	}
	if !it.orphan { // else it may not have been sent
		p.refused.clear(it.key)
	}
	p.over(it)
	g.item, g.ctxAt, g.handleAt, g.overdue, g.running = nil, never, never, false, false
	p.kept++ // until free
}

// keptSlot: the message under the grant is over, and its sender keeps the slot.
func (p *poolCore) keptSlot(id grantID) {
	g := p.grants[id]
	if g == nil || g.item == nil {
		return
	}
	p.finish(g)
	g.message = 0
	p.reprieve(g.worker)
	if !g.keep {
		p.recall(g)
	}
}

// recallWanted asks for kept slots back when messages wait, one for each, and
// those of workers that take no more.
func (p *poolCore) recallWanted() {
	if p.keeping == 0 {
		return
	}
	want := p.demand()
	for _, w := range p.byUse() {
		for _, g := range w.grants {
			if g.keep && (p.closing || !w.takes() || w.reserved != nil) {
				p.recall(g)
				continue
			}
			if g.keep && want > 0 {
				want--
				p.recall(g)
			}
		}
	}
}

func (p *poolCore) recall(g *poolGrant) {
	if !g.recall {
		g.recall = true
		if g.keep {
			p.keeping--
		}
		p.do(recallSlot{g.id})
	}
}

// demand is how many slots the messages in the queue could use.
func (p *poolCore) demand() int {
	n := 0
	most := p.slots * (p.max + 1)
	for it := p.queue.first; it != nil && n < most; it = it.next {
		if it.exclusive {
			n += p.slots
		} else {
			n++
		}
	}
	return n
}

// byUse returns the workers, the least recently used first.
func (p *poolCore) byUse() []*poolWorker {
	ws := slices.Clone(p.workers)
	slices.SortStableFunc(ws, func(a, b *poolWorker) int { return cmp.Compare(a.used, b.used) })
	return ws
}

// waitingItems returns all messages that wait, oldest first.
func (p *poolCore) waitingItems() []*poolItem {
	var list []*poolItem
	for _, it := range p.items {
		if it.waits() {
			list = append(list, it)
		}
	}
	slices.SortFunc(list, func(a, b *poolItem) int { return cmp.Compare(a.seq, b.seq) })
	return list
}

// senderGone drops what waits for the sender; what it has in hand goes on.
func (p *poolCore) senderGone(s senderID) {
	for _, it := range p.waitingItems() {
		if it.sender == s {
			p.over(it)
		}
	}
	for _, it := range p.items {
		if it.sender == s {
			it.orphan = true
		}
	}
	for _, g := range p.grants {
		if g.sender == s {
			g.orphan = true
		}
	}
}
