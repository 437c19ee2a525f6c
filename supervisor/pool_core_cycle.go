package supervisor

import "slices"

// A worker whose handler calls its own pool holds a slot while it waits for
// one. Where every slot is held so, or the call has the order key of the
// message that waits for it, the wait would have no end.

// breakCycle refuses, newest first, messages of a pool's own workers that
// could never be granted.
func (p *poolCore) breakCycle() {
	for p.chained > 0 {
		it := p.hopeless()
		if it == nil {
			return
		}
		p.fail(it, failMessage{why: failCycle})
	}
}

// hopeless returns the newest message with a chain that will never be granted,
// or nil. It finds out which messages will be: in rounds, a slot comes back
// when all that its handler waits for will be granted, and then so will be
// what waits for the slot.
func (p *poolCore) hopeless() *poolItem {
	items := p.waitingItems()
	waitsFor := make(map[grantID][]*poolItem) // what the handler of a slot waits for
	for _, it := range items {
		for _, id := range it.chain {
			waitsFor[id] = append(waitsFor[id], it)
		}
	}
	ahead := make(map[*poolItem]*poolItem) // of a parked one
	for _, o := range p.orders {
		before := o.active
		for _, it := range o.parked {
			ahead[it], before = before, it
		}
	}

	granted := make(map[*poolItem]bool)
	ends := make(map[grantID]bool)
	for changed := true; changed; {
		changed = false
		for id := range p.grants {
			wait := slices.ContainsFunc(waitsFor[id], func(it *poolItem) bool { return !granted[it] })
			if !wait && !ends[id] {
				ends[id], changed = true, true
			}
		}
		slot, whole := p.willHaveRoom(ends)
		for _, it := range items {
			ok := slot
			switch before := ahead[it]; {
			case before != nil && before.waits():
				ok = granted[before]
			case before != nil:
				ok = ends[before.grant.id]
			case it.exclusive:
				ok = whole
			}
			if ok && !granted[it] {
				granted[it], changed = true, true
			}
		}
	}
	for _, it := range slices.Backward(items) {
		if len(it.chain) > 0 && !granted[it] {
			return it
		}
	}
	return nil
}

// willHaveRoom reports whether a slot, and whether a whole worker, will become
// free if those grants end.
func (p *poolCore) willHaveRoom(ends map[grantID]bool) (slot, whole bool) {
	if p.size() < p.max && len(p.workers) < p.mostProcesses() {
		return true, true
	}
	for _, w := range p.workers {
		if w.phase == workerStarting || w.phase == workerLeaving || w.condemned {
			return true, true
		}
		left := 0
		for _, g := range w.grants {
			if !ends[g.id] {
				left++
			}
		}
		switch {
		case left == 0:
			return true, true
		case left < p.slots && !w.leased && w.reserved == nil && w.phase == workerServing:
			slot = true
		}
	}
	return slot, whole
}
