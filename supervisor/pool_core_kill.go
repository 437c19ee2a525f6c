package supervisor

import "time"

// A message that goes on after its time costs its worker. Its ctx has ended
// and the grace is over, or it is in hand for longer than MaxHandle. The worker
// takes no more messages from then on. It is killed when nothing but such
// messages is in its hands, or after another grace. If they return before the
// kill, the worker serves again. So the kill never hits a message that was
// granted after the late one was over.

// cancelled: the sender does not wait for the message any more.
func (p *poolCore) cancelled(ev messageCancelled) {
	it := p.items[ev.message]
	if it != nil && it.waits() {
		f := failMessage{why: failCancelled}
		if p.serving() == 0 {
			f.exit = p.lastExit
		}
		p.fail(it, f)
		return
	}
	g := p.grants[ev.grant]
	if it != nil {
		g = it.grant
		it.cancelled = true
	}
	if g == nil {
		return // over meanwhile
	}
	if it == nil {
		if g.item != nil {
			return // another message has the slot
		}
		g.message = ev.message
	}
	if p.grace != Forever {
		g.ctxAt = min(g.ctxAt, p.now+p.grace)
		p.wakeBy(g.ctxAt)
	}
}

// dueAt is when the grant's message has to be over.
func (g *poolGrant) dueAt() time.Duration { return min(g.ctxAt, g.handleAt) }

// why is which of the two limits comes first.
func (g *poolGrant) why() stopReason {
	if g.ctxAt <= g.handleAt {
		return stopDeadline
	}
	return stopMaxHandle
}

// begun: the clock of MaxHandle starts.
func (p *poolCore) begun(id grantID) {
	g := p.grants[id]
	if g == nil || g.item == nil || p.maxHandle == 0 || g.running || g.budget != 0 {
		return
	}
	g.budget = p.maxHandle
	p.run(g)
}

func (p *poolCore) run(g *poolGrant) {
	g.running, g.since = true, p.now
	g.handleAt = p.now + g.budget
	p.wakeBy(g.handleAt)
}

// blocked: the clock of MaxHandle stands while the handler waits for a reader.
func (p *poolCore) blocked(id grantID) {
	g := p.grants[id]
	if g == nil || !g.running {
		return
	}
	g.running = false
	g.budget = max(g.budget-(p.now-g.since), 1)
	if !g.overdue {
		g.handleAt = never
	}
}

func (p *poolCore) resumed(id grantID) {
	if g := p.grants[id]; g != nil && g.item != nil && g.budget > 0 && !g.running {
		p.run(g)
	}
}

// checkDeadlines condemns the worker if a message on it is over its time, and
// kills it if it is condemned and its time is over.
func (p *poolCore) checkDeadlines(w *poolWorker) {
	if w.phase == workerLeaving {
		return
	}
	for _, g := range w.grants {
		if !g.overdue && p.now >= g.dueAt() {
			g.overdue = true
			p.condemn(w)
		}
	}
	if w.condemned && p.now >= w.killAt {
		p.execute(w)
		return
	}
	p.reprieve(w)
}

// condemn has the worker take no more messages. Others that are in its hands
// get a grace.
func (p *poolCore) condemn(w *poolWorker) {
	if w.condemned {
		return
	}
	w.condemned = true
	grace := p.grace
	if grace == Forever {
		grace = defaultKillGrace
	}
	w.killAt = p.now + grace
	p.wakeBy(w.killAt)
	if it := w.reserved; it != nil {
		it.reserved, w.reserved = nil, nil
	}
}

// reprieve calls the kill off if no message is over its time any more, or
// carries it out if nothing else is in the worker's hands.
func (p *poolCore) reprieve(w *poolWorker) {
	if !w.condemned || w.phase == workerLeaving {
		return
	}
	overdue, others := 0, 0
	for _, g := range w.grants {
		switch {
		case g.overdue:
			overdue++
		case g.item != nil || g.keep: // a kept slot may have a message
			others++
		}
	}
	switch {
	case overdue == 0:
		w.condemned = false
	case others == 0:
		p.execute(w)
	}
}

// execute kills the worker and says for which message.
func (p *poolCore) execute(w *poolWorker) {
	for _, g := range w.grants {
		if g.overdue {
			w.stopped, w.stopWhy = true, g.why()
			p.leave(w, workerLeaving)
			p.do(stopWorker{worker: w.id, kill: true, why: g.why(), grant: g.id, message: g.message})
			return
		}
	}
}
