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

// inQueue reports whether the message is in the queue, or was and is in hand or
// over.
func (p *poolCore) inQueue(id messageID) bool {
	it := p.items[id]
	return it == nil || it.outside == nil
}

func (p *poolCore) leaveOutside(it *poolItem) {
	if it.outside != nil {
		p.outside.Remove(it.outside)
		it.outside = nil
	}
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
