package supervisor

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// chaos is a world in which anything may happen in any order: starts and stops
// take their time, children end whenever they like, events wait in the inbox.
type chaos struct {
	t       *rapid.T
	s       state
	at      time.Duration
	inbox   []event
	procs   map[string]*proc // that exist, by child id
	unseen  map[string]int   // ends that are in the inbox still
	timers  []armRetry
	calls   []called
	replies map[callID]error
	over    bool
	ending  bool // before the last event
	excused bool // somebody stopped, ignored or forbade a child: it need not run
	normal  map[string]bool
	owed    map[string]bool // their next attempt is to be counted
	counts  []time.Duration // restarts within the period
}

type proc struct {
	inc                  int
	ready, asked, killed bool
}

func (c *chaos) ids() []string {
	var ids []string
	for id := range c.procs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// deliver hands the oldest event to the core and checks all that must hold.
func (c *chaos) deliver() {
	ev := c.inbox[0]
	c.inbox = c.inbox[1:]
	switch ev := ev.(type) {
	case childFailed:
		c.unseen[ev.id]--
	case childExited:
		c.unseen[ev.id]--
	}
	if c.over {
		if call, ok := ev.(called); ok {
			c.answer(call.call, errStopped)
		}
		return
	}
	old, before := c.s, fmt.Sprint(c.s.snapshot())
	next, actions := step(c.s, c.at, ev)
	if fmt.Sprint(old.snapshot()) != before {
		c.t.Fatalf("%#v changed the old state", ev)
	}
	c.s, c.ending = next, old.op.kind == opShutdown
	c.checkSpecs(old, ev, actions)
	c.count(ev, old, next, actions)
	for _, a := range actions {
		c.act(a)
	}
	c.check()
}

func (c *chaos) act(a action) {
	if c.over {
		c.t.Fatalf("%#v after the end", a)
	}
	switch a := a.(type) {
	case launch:
		if c.procs[a.id] != nil || c.unseen[a.id] > 0 {
			c.t.Fatalf("two incarnations of %s at once", a.id)
		}
		if c.ending {
			c.t.Fatalf("%s launched while shutting down", a.id)
		}
		c.checkLaunch(a.id)
		c.procs[a.id] = &proc{inc: a.inc}
	case stop:
		p := c.procs[a.id]
		if p == nil || p.inc != a.inc {
			if c.unseen[a.id] > 0 {
				return // it has just ended
			}
			c.t.Fatalf("stop of %s#%d, which does not exist", a.id, a.inc)
		}
		if !p.asked { // or it is a kill of one that is stopping
			c.checkStop(a)
		}
		p.asked = true
	case kill:
		if p := c.procs[a.id]; p == nil && c.unseen[a.id] == 0 || p != nil && p.inc != a.inc {
			c.t.Fatalf("kill of %s#%d, which does not exist", a.id, a.inc)
		} else if p != nil {
			p.killed = true
		}
	case reply:
		c.answer(a.call, a.err)
	case armRetry:
		if a.delay == 0 {
			c.inbox = append(c.inbox, retryDue{a.id, a.retry})
		} else {
			c.timers = append(c.timers, a)
		}
	case end:
		if len(c.procs) > 0 {
			c.t.Fatalf("ended while %v are alive", c.ids())
		}
		c.over = true
	}
}

func (c *chaos) answer(call callID, err error) {
	if _, twice := c.replies[call]; twice {
		c.t.Fatalf("call %d answered twice", call)
	}
	c.replies[call] = err
}

// checkStop: what an operation stops, it stops in reverse order, one after
// another, unless all go at once. What a call stops is the call's concern.
func (c *chaos) checkStop(a stop) {
	op, k := c.s.op, c.s.find(a.id)
	if c.s.killing || op.kind == opNone || op.kind == opStart || op.kind == opShutdown && c.s.strategy == Dynamic {
		return
	}
	overtaken := false
	for ev := range c.s.pending.all() {
		if call, ok := ev.(called); ok && call.id == a.id && call.overtaken {
			overtaken = true
		}
	}
	if k.job.kind == jobStop && !overtaken {
		return
	}
	for o := range c.s.since(op.from) {
		switch {
		case o.pos > k.pos && o.phase == starting:
			c.t.Fatalf("%s asked to stop while %s starts", a.id, o.id)
		case o.pos != k.pos && o.phase == stopping:
			c.t.Fatalf("%s asked to stop while %s is stopping", a.id, o.id)
		case o.pos > k.pos && o.phase.alive():
			c.t.Fatalf("%s asked to stop before %s, which is %v", a.id, o.id, o.phase)
		}
	}
}

// checkLaunch: an operation starts in order, each child when those before it
// are up; never more start at once than may.
func (c *chaos) checkLaunch(id string) {
	k := c.s.find(id)
	if k.job.group && c.s.strategy != Dynamic {
		for o := range c.s.all() {
			if o.pos < k.pos && o.job.group {
				c.t.Fatalf("%s started before %s is up", id, o.id)
			}
		}
	} else if c.s.busy > c.s.parallel {
		c.t.Fatalf("%d start at once, allowed %d", c.s.busy, c.s.parallel)
	}
}

// count keeps the books of restarts by what is seen from outside: the ends that
// are answered with a restart, and the retries of failed starts.
func (c *chaos) count(ev event, old, next state, actions []action) {
	counted := 0
	for _, a := range actions {
		switch a := a.(type) {
		case emit:
			if a.what == actor.EventRestarting && a.exit != nil || a.what == actor.EventGaveUp {
				counted++
			}
		case launch:
			if c.owed[a.id] { // the attempt that follows a failed start
				counted++
			}
			delete(c.owed, a.id)
		}
	}
	for _, a := range actions {
		if a, ok := a.(emit); ok && a.what == actor.EventRestarting && a.exit == nil {
			c.owed[a.id] = true
		}
	}
	// A retry is counted when it is due, even if it must wait for its turn.
	for k := range next.all() {
		if c.owed[k.id] && k.job.kind == jobRestart && k.phase == restarting {
			delete(c.owed, k.id)
			counted++
		}
	}
	for k := range old.all() { // stopped by hand, started by a group's restart, or gone
		if n := next.find(k.id); n == nil || n.phase != restarting && n.phase != starting {
			delete(c.owed, k.id)
		}
	}
	for range counted {
		c.counts = append(c.counts, next.now)
	}
	c.counts = slices.DeleteFunc(c.counts, func(t time.Duration) bool { return t < next.now-next.period })
	for _, a := range actions {
		if a, ok := a.(emit); ok && a.what == actor.EventGaveUp && len(c.counts) <= c.s.intensity {
			c.t.Fatalf("gave up after %d restarts, allowed %d", len(c.counts), c.s.intensity)
		}
	}
	if next.op.kind != opShutdown && len(c.counts) > c.s.intensity {
		c.t.Fatalf("goes on after %d restarts, allowed %d", len(c.counts), c.s.intensity)
	}
}

// checkSpecs: none appears or goes but by the rules.
func (c *chaos) checkSpecs(old state, ev event, actions []action) {
	answered := map[callID]error{}
	for _, a := range actions {
		if r, ok := a.(reply); ok {
			answered[r.call] = r.err
		}
	}
	allowed := map[string]bool{}
	for _, call := range c.calls {
		if err, ok := answered[call.call]; ok {
			switch {
			case call.verb == verbDelete && err == nil, call.verb == verbStart && err != nil:
				allowed[call.id] = true
			}
		}
	}
	for k := range old.all() {
		if c.s.find(k.id) == nil && k.restart != Temporary && old.strategy != Dynamic && !allowed[k.id] && !k.job.drop && k.job.kind != jobAdd {
			c.t.Fatalf("%#v: the spec of %s was lost (%v)", ev, k.id, k.phase)
		}
	}
	for k := range c.s.all() {
		if old.find(k.id) != nil {
			continue
		}
		if !slices.ContainsFunc(c.calls, func(call called) bool { return call.verb == verbStart && call.id == k.id }) {
			c.t.Fatalf("%#v: spec of %s revived", ev, k.id)
		}
	}
}

// check: what holds between steps.
func (c *chaos) check() {
	waiting := c.s.retrying.len() > 0
	awaited, asked, significant, retrying, group, due := 0, 0, 0, 0, 0, 0
	for k := range c.s.all() {
		if k.significant && k.phase != idle {
			significant++
		}
		if k.job.group {
			group++
		}
		if k.job.ticket != 0 {
			due++
			if id, _ := c.s.due.get(k.job.ticket); id != k.id {
				c.t.Fatalf("%s waits for nothing", k.id)
			}
		}
		if k.job.kind == jobNone && k.calls.len() > 0 {
			c.t.Fatalf("calls wait for %s, which is not busy", k.id)
		}
		if k.job.kind != jobNone && k.job.ticket == 0 && k.phase != starting && k.phase != stopping {
			c.t.Fatalf("%s is %v with a job of kind %d", k.id, k.phase, k.job.kind)
		}
		if len(k.kills) > 0 && !k.phase.alive() {
			c.t.Fatalf("the end of %s was not told", k.id)
		}
		switch k.phase {
		case starting:
			awaited++
			if k.job.kind == jobNone && c.s.op.kind != opShutdown {
				c.t.Fatalf("%s starts for nobody", k.id)
			}
		case stopping:
			if k.pos >= c.s.op.from {
				asked++
			}
			if k.job.kind != jobStop && c.s.op.kind == opNone {
				c.t.Fatalf("%s stops for nobody", k.id)
			}
		case restarting:
			retrying++
		case ended:
			if c.s.op.kind == opNone {
				c.t.Fatalf("the end of %s is not dealt with", k.id)
			}
		case idle:
			if c.s.op.kind == opNone && k.job.kind == jobNone && !waiting && k.told != runtime.PathStopped {
				c.t.Fatalf("senders to %s wait for ever: told %v", k.id, k.told)
			}
		}
		if k.phase.alive() && k.phase != ended && c.procs[k.id] == nil && c.unseen[k.id] == 0 {
			c.t.Fatalf("%s is %v, but nothing runs", k.id, k.phase)
		}
		if !k.phase.alive() && c.procs[k.id] != nil {
			c.t.Fatalf("%s is %v, but it runs", k.id, k.phase)
		}
		if p, _ := c.s.places.get(k.id); p != k.pos {
			c.t.Fatalf("%s is at %d, found at %d", k.id, k.pos, p)
		}
	}
	if c.s.places.len() != c.s.children.len() {
		c.t.Fatalf("%d children, %d places", c.s.children.len(), c.s.places.len())
	}
	if c.s.op.kind != opNone && asked != c.s.op.asked || awaited != c.s.busy || significant != c.s.significant ||
		retrying != c.s.retrying.len() || group != c.s.op.starts || due != c.s.due.len() {
		c.t.Fatalf("counted: %d stopping, %d starting, %d significant, %d restarting, %d starts of the operation, %d due; %+v",
			asked, awaited, significant, retrying, group, due, c.s)
	}
	if c.s.op.kind == opNone && c.s.pending.len() > 0 {
		c.t.Fatalf("idle, but %d events wait", c.s.pending.len())
	}
	if c.s.op.kind == opNone && due > 0 && awaited < c.s.parallel {
		c.t.Fatalf("%d wait to be started, %d start, %d may", due, awaited, c.s.parallel)
	}
	if c.s.op.kind != opShutdown && c.s.window.len() > c.s.intensity {
		c.t.Fatalf("%d restarts within %v, allowed %d", c.s.window.len(), c.s.period, c.s.intensity)
	}
	if c.s.op.kind == opNone && len(c.inbox) == 0 && !c.excused {
		for k := range c.s.all() {
			if k.phase == idle && k.job.kind == jobNone && !(k.restart == Transient && c.normal[k.id]) && !waiting {
				c.t.Fatalf("%s was forgotten", k.id)
			}
		}
	}
}

// settle is what a child may do next by itself.
func (c *chaos) settle(id string, crash bool, outcome int) {
	p := c.procs[id]
	crash = crash || p.killed
	if !p.ready && !p.asked && !p.killed {
		switch {
		case outcome < 6 || outcome > 9:
			p.ready = true
			c.normal[id] = false
			c.inbox = append(c.inbox, childReady{id, p.inc})
			return
		case outcome == 6:
			c.excused = true
			c.fail(id, actor.ErrIgnore)
		case outcome == 7:
			c.excused = true
			c.fail(id, actor.ErrDoNotRestart)
		default:
			c.fail(id, errBoom)
		}
		return
	}
	x := actor.ExitStatus{Reason: actor.ReasonPanic}
	switch {
	case !crash && p.asked:
		x = actor.ExitStatus{Reason: actor.ReasonShutdown}
	case !crash:
		x = actor.ExitStatus{Reason: actor.ReasonNormal}
		c.normal[id] = true
	case outcome == 0:
		x.DoNotRestart = true
		c.excused = true
	}
	delete(c.procs, id)
	c.unseen[id]++
	if !p.ready {
		c.inbox = append(c.inbox, childFailed{id: id, inc: p.inc, err: errBoom, exit: x})
		return
	}
	c.inbox = append(c.inbox, childExited{id, p.inc, x})
}

func (c *chaos) fail(id string, err error) {
	inc := c.procs[id].inc
	delete(c.procs, id)
	c.unseen[id]++
	c.inbox = append(c.inbox, childFailed{id: id, inc: inc, err: err,
		exit: actor.ExitStatus{Reason: actor.ReasonStartFailed, Err: err, DoNotRestart: errors.Is(err, actor.ErrDoNotRestart)}})
}

func TestChaos(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kinds := []Restart{Permanent, Transient, Temporary}
		newKid := func(id string, significant bool) spec {
			k := kid(id)
			k.restart = rapid.SampledFrom(kinds).Draw(t, "restart "+id)
			k.significant = significant && k.restart != Permanent && rapid.Bool().Draw(t, "significant")
			if rapid.Bool().Draw(t, "backoff") {
				k.backoff = Backoff{Min: time.Second, Reset: time.Minute}
			}
			return k
		}
		r := rules{
			strategy:  Strategy(rapid.IntRange(0, 3).Draw(t, "strategy")),
			intensity: rapid.SampledFrom([]int{0, 1, 3, 100, 100, 100}).Draw(t, "intensity"),
			period:    5 * time.Second,
			auto:      AutoShutdown(rapid.IntRange(0, 2).Draw(t, "auto")),
			parallel:  rapid.SampledFrom([]int{0, 1, 2}).Draw(t, "parallel"),
		}
		var specs []spec
		for i := range rapid.IntRange(0, 5).Draw(t, "children") {
			specs = append(specs, newKid(string(rune('a'+i)), r.auto != autoShutdownNever))
		}
		startsWell := rapid.IntRange(0, 4).Draw(t, "starts well") > 0
		calm := rapid.Bool().Draw(t, "no calls")
		c := &chaos{t: t, s: newState("/", r, specs), procs: map[string]*proc{}, unseen: map[string]int{},
			replies: map[callID]error{}, normal: map[string]bool{}, owed: map[string]bool{}, excused: !calm || r.strategy == Dynamic}
		c.inbox = append(c.inbox, begin{})
		deliver := func(t *rapid.T) {
			if len(c.inbox) == 0 {
				t.Skip()
			}
			c.deliver()
		}
		actions := map[string]func(*rapid.T){
			"deliver":    deliver,
			"deliver, 2": deliver, // more often than the rest
			"child": func(t *rapid.T) {
				if len(c.procs) == 0 {
					t.Skip()
				}
				id := rapid.SampledFrom(c.ids()).Draw(t, "id")
				outcome := rapid.IntRange(0, 12).Draw(t, "outcome")
				if c.s.op.kind == opStart && startsWell {
					outcome = 5 // or there is little to see
				}
				c.settle(id, rapid.Bool().Draw(t, "crash"), outcome)
			},
			"time": func(t *rapid.T) {
				c.at += time.Duration(rapid.IntRange(0, 10000).Draw(t, "ms")) * time.Millisecond
			},
			"timer": func(t *rapid.T) {
				if len(c.timers) == 0 {
					t.Skip()
				}
				a := c.timers[0]
				c.timers = c.timers[1:]
				c.at += a.delay
				c.inbox = append(c.inbox, retryDue{a.id, a.retry})
			},
			"stop": func(t *rapid.T) {
				if rapid.IntRange(0, 50).Draw(t, "really") != 0 {
					t.Skip()
				}
				c.inbox = append(c.inbox, rapid.SampledFrom([]event{stopAsked{}, killAsked{}, startCut{errBoom}}).Draw(t, "how"))
			},
		}
		if !calm {
			actions["call"] = func(t *rapid.T) {
				call := called{
					call: callID(len(c.calls) + 1),
					verb: verb(rapid.IntRange(0, 4).Draw(t, "verb")),
					id:   string(rune('a' + rapid.IntRange(0, 6).Draw(t, "id"))),
				}
				if call.verb == verbStart {
					call.spec = newKid(call.id, r.auto != autoShutdownNever)
				}
				c.calls = append(c.calls, call)
				c.inbox = append(c.inbox, call)
			}
			actions["cancel"] = func(t *rapid.T) {
				if len(c.calls) == 0 {
					t.Skip()
				}
				call := rapid.SampledFrom(c.calls).Draw(t, "call")
				c.inbox = append(c.inbox, callCancelled{call.call, call.id, errCanceled})
			}
		}
		t.Repeat(actions)

		// Whatever happened: a stop ends it, and everybody has an answer.
		c.inbox = append(c.inbox, stopAsked{})
		for n := 0; !c.over || len(c.inbox) > 0; n++ {
			if n > 10000 {
				t.Fatalf("does not end: %+v", c.s)
			}
			if len(c.inbox) > 0 {
				c.deliver()
				continue
			}
			ids := c.ids()
			if len(ids) == 0 {
				t.Fatalf("stuck: %+v", c.s)
			}
			for _, id := range ids {
				if p := c.procs[id]; p.asked || p.killed || !p.ready {
					c.settle(id, false, 0)
				}
			}
		}
		for _, call := range c.calls {
			if _, ok := c.replies[call.call]; !ok {
				t.Fatalf("no answer to call %d, %v %s", call.call, call.verb, call.id)
			}
		}
	})
}
