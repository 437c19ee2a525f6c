package supervisor

import (
	"math/rand/v2"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// run is the supervisor's goroutine: it feeds the core and carries out what
// the core wants, until the end.
func (t *Tree) run(s state) {
	for {
		for _, ev := range t.inbox.take() {
			switch ev := ev.(type) {
			case childExited:
				t.cause(ev)
			case pinged:
				close(ev.turned)
				continue
			}
			next, actions := step(s, time.Since(t.begun), ev)
			s = next
			t.state.Store(&next)
			for _, a := range actions {
				if e, over := a.(end); over {
					t.end(e)
					return
				}
				t.carryOut(a)
			}
			switch ev := ev.(type) {
			case childExited:
				t.setLive(ev.inc, nil)
			case childFailed:
				t.setLive(ev.inc, nil)
			}
		}
	}
}

func (t *Tree) carryOut(a action) {
	switch a := a.(type) {
	case launch:
		inst := a.spec.(launcher).launch(t, join(t.path, a.id))
		t.setLive(a.inc, inst)
		t.report(emit{what: actor.EventStarting, id: a.id, inc: a.inc})
		go t.watch(a.id, a.inc, inst)
	case stop:
		if inst := t.getLive(a.inc); inst != nil {
			inst.Stop(a.timeout)
		}
	case kill:
		if inst := t.getLive(a.inc); inst != nil {
			inst.Kill()
		}
	case reply:
		t.answer(a)
	case armRetry:
		t.arm(a)
	case setPath:
		a.spec.(launcher).tell(t.host, join(t.path, a.id), a.state)
		if a.state == runtime.PathGone {
			t.forget(a.spec.(launcher))
		}
	case emit:
		t.report(a)
	case started:
		close(t.ready)
	}
}

// forget lets go of the arguments of a child that will not be launched again.
// Those of a nested supervisor's own spec belong to its parent, which may
// restart it. Those of a StartChild that is not answered yet serve it again if
// the restart of a group has come first.
func (t *Tree) forget(l launcher) {
	if a, ok := l.(*added); ok && !a.offered || !ok && t.parent == nil {
		l.release()
	}
}

// keeps reports whether the supervisor still knows a child that was added.
func (t *Tree) keeps(a *added) bool {
	c := t.state.Load().find(a.name)
	return c != nil && c.spec == a
}

// watch turns what becomes of an instance into events. That it failed to
// start, or ended, is news only when it is reaped: never do two incarnations of
// one child exist side by side.
func (t *Tree) watch(id string, inc int, inst instance) {
	<-inst.Ready()
	if err := inst.StartErr(); err != nil {
		<-inst.Done()
		t.inbox.post(childFailed{id: id, inc: inc, err: err, exit: inst.Exit()})
		return
	}
	t.inbox.post(childReady{id: id, inc: inc})
	<-inst.Done()
	t.inbox.post(childExited{id: id, inc: inc, exit: inst.Exit()})
}

// cause tells senders to what was below a supervisor why it has ended.
func (t *Tree) cause(ev childExited) {
	switch t.getLive(ev.inc).(type) {
	case nested, ownProcess:
		t.host.SetCause(join(t.path, ev.id), ev.exit.Err)
	}
}

// arm sets the timer of a retry. A retry without delay goes to the end of the
// queue, so that other requests are served between attempts.
func (t *Tree) arm(a armRetry) {
	ev := retryDue{id: a.id, retry: a.retry}
	if a.delay <= 0 {
		t.inbox.post(ev)
		return
	}
	d := a.delay - time.Duration(a.jitter*rand.Float64()*float64(a.delay))
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.timers[a.id]; old != nil {
		old.Stop()
	}
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		t.mu.Lock()
		if t.timers[a.id] == timer {
			delete(t.timers, a.id)
		}
		t.mu.Unlock()
		t.inbox.post(ev)
	})
	t.timers[a.id] = timer
}

// report publishes an event of a child or of the supervisor itself. What an
// actor's life consists of, the system reports itself.
func (t *Tree) report(a emit) {
	ev := actor.Event{Time: time.Now(), Type: a.what, Path: t.path, Series: t.plan.series, Kind: kindSupervisor, Exit: a.exit, Err: a.err}
	if a.id == "" {
		t.host.Emit(ev)
		return
	}
	inst := t.getLive(a.inc)
	switch inst.(type) {
	case *runtime.Instance, ownProcess:
		if a.what != actor.EventRestarting && a.what != actor.EventNotRestarted {
			return
		}
	}
	if inst != nil {
		ev.PID, ev.Incarnation = inst.PID(), inst.Incarnation()
	}
	ev.Path = join(t.path, a.id)
	ev.Kind, ev.Series = "", ""
	if c := t.state.Load().find(a.id); c != nil {
		ev.Kind, ev.Series = c.kind, c.series
	}
	t.host.Emit(ev)
}

// end is the last act.
func (t *Tree) end(e end) {
	t.inbox.close()
	inside.remove(t)
	t.mu.Lock()
	for _, timer := range t.timers {
		timer.Stop()
	}
	for _, timer := range t.limits {
		timer.Stop()
	}
	t.ended = e
	for _, offer := range t.offers { // their calls came too late to be answered
		offer.release()
	}
	clear(t.offers)
	t.mu.Unlock()
	if e.cause == endGaveUp {
		t.host.SetCause(t.path, e.err)
	}
	switch {
	case t.own: // senders wait for what the parent decides
		t.plan.tell(t.host, t.path, runtime.PathUnknown)
	case t.parent == nil:
		t.plan.tell(t.host, t.path, runtime.PathGone)
	}
	if t.parent == nil {
		t.plan.release()
	}
	t.detach()
	var err error
	if t.close != nil {
		err = t.close()
	}
	switch {
	case e.cause == endStartFailed, e.cause == endGaveUp:
		t.err = e.err
	default:
		t.err = err
	}
	select {
	case <-t.ready:
	default:
		if t.startErr = t.err; t.startErr == nil {
			t.startErr = errStopped
		}
		close(t.ready)
	}
	close(t.done)
}

func (t *Tree) setLive(inc int, inst instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if inst == nil {
		delete(t.live, inc)
	} else {
		t.live[inc] = inst
	}
}

// getLive returns the instance of an incarnation that is not reaped, or nil.
func (t *Tree) getLive(inc int) instance {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live[inc]
}
