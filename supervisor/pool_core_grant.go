package supervisor

import (
	"cmp"
	"slices"
)

// Who gets a slot, and how it comes back.

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
