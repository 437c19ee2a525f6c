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
	excused bool // somebody stopped, ignored or forbade a child: it need not run
	normal  map[string]bool
}

type proc struct {
	inc          int
	ready, asked bool
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
	c.s = next
	c.checkSpecs(old, ev, actions)
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
		if c.s.op.kind == opShutdown {
			c.t.Fatalf("%s launched while shutting down", a.id)
		}
		c.procs[a.id] = &proc{inc: a.inc}
	case stop:
		p := c.procs[a.id]
		if p == nil || p.inc != a.inc {
			if c.unseen[a.id] > 0 {
				return // it has just ended
			}
			c.t.Fatalf("stop of %s#%d, which does not exist", a.id, a.inc)
		}
		c.checkStop(a)
		p.asked = true
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

// checkStop: reverse order, one after another, unless all go at once.
func (c *chaos) checkStop(a stop) {
	if c.s.killing || c.s.op.kind == opShutdown && c.s.strategy == Dynamic {
		return
	}
	op, at := c.s.op, c.s.index(a.id)
	for i, k := range c.s.children {
		switch {
		case k.id != a.id && k.phase == stopping:
			c.t.Fatalf("%s asked to stop while %s is stopping", a.id, k.id)
		case i > at && (op.kind == opShutdown || op.kind == opRestart) && k.phase.alive():
			c.t.Fatalf("%s asked to stop before %s, which is %v", a.id, k.id, k.phase)
		}
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
	for _, k := range old.children {
		if c.s.index(k.id) < 0 && k.restart != Temporary && old.strategy != Dynamic && !allowed[k.id] {
			c.t.Fatalf("%#v: the spec of %s was lost (%v)", ev, k.id, k.phase)
		}
	}
	for _, k := range c.s.children {
		if old.index(k.id) >= 0 {
			continue
		}
		if !slices.ContainsFunc(c.calls, func(call called) bool { return call.verb == verbStart && call.id == k.id }) {
			c.t.Fatalf("%#v: spec of %s revived", ev, k.id)
		}
	}
}

// check: what holds between steps.
func (c *chaos) check() {
	awaited := 0
	waiting := slices.ContainsFunc(c.s.children, func(k *child) bool { return k.phase == restarting })
	asked := 0
	for _, k := range c.s.children {
		switch k.phase {
		case starting:
			awaited++
		case stopping:
			asked++
		case ended:
			if c.s.op.kind == opNone {
				c.t.Fatalf("the end of %s is not dealt with", k.id)
			}
		case idle:
			if c.s.op.kind == opNone && !waiting && k.told != runtime.PathStopped {
				c.t.Fatalf("senders to %s wait for ever: told %v", k.id, k.told)
			}
		}
		if k.phase.alive() && k.phase != ended && c.procs[k.id] == nil && c.unseen[k.id] == 0 {
			c.t.Fatalf("%s is %v, but nothing runs", k.id, k.phase)
		}
		if !k.phase.alive() && c.procs[k.id] != nil {
			c.t.Fatalf("%s is %v, but it runs", k.id, k.phase)
		}
	}
	if asked != c.s.asked {
		c.t.Fatalf("%d children are stopping, counted %d", asked, c.s.asked)
	}
	if awaited > 1 {
		c.t.Fatalf("%d children start at once", awaited)
	}
	if c.s.op.kind == opNone && (awaited > 0 || asked > 0 || len(c.s.pending) > 0) {
		c.t.Fatalf("idle, but %d start, %d stop, %d events wait", awaited, asked, len(c.s.pending))
	}
	if c.s.op.kind != opShutdown && len(c.s.restarts) > c.s.intensity {
		c.t.Fatalf("%d restarts within %v, allowed %d", len(c.s.restarts), c.s.period, c.s.intensity)
	}
	if c.s.op.kind == opNone && len(c.inbox) == 0 && !c.excused {
		for _, k := range c.s.children {
			if k.phase == idle && !(k.restart == Transient && c.normal[k.id]) && !waiting {
				c.t.Fatalf("%s was forgotten", k.id)
			}
		}
	}
}

// settle is what a child may do next by itself.
func (c *chaos) settle(id string, crash bool, outcome int) {
	p := c.procs[id]
	if !p.ready && !p.asked {
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
		}
		var specs []spec
		for i := range rapid.IntRange(0, 5).Draw(t, "children") {
			specs = append(specs, newKid(string(rune('a'+i)), r.auto != autoShutdownNever))
		}
		startsWell := rapid.IntRange(0, 4).Draw(t, "starts well") > 0
		calm := rapid.Bool().Draw(t, "no calls")
		c := &chaos{t: t, s: newState("/", r, specs), procs: map[string]*proc{}, unseen: map[string]int{},
			replies: map[callID]error{}, normal: map[string]bool{}, excused: !calm || r.strategy == Dynamic}
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
					verb: verb(rapid.IntRange(0, 3).Draw(t, "verb")),
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
				c.inbox = append(c.inbox, callCancelled{rapid.SampledFrom(c.calls).Draw(t, "call").call, errCanceled})
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
				if p := c.procs[id]; p.asked || !p.ready {
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
