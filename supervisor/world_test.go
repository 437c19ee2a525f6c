package supervisor

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// world plays everything around the core: instances that start, end and obey,
// callers, timers. Unless told otherwise an instance is ready at once and obeys
// at once. It checks, with every action, what must hold always.
type world struct {
	t     failer
	s     state
	at    time.Duration
	queue []event

	starts   map[string][]error // outcomes of the next starts of a child; nil: ready
	slow     map[string]bool    // does not become ready until told
	stubborn map[string]bool    // does not obey until told
	live     map[string]int     // incarnations that exist
	asked    map[string]bool    // of them, those asked to stop

	log     []string // "+a" launched, "-a" asked to stop, "!a" killed at once
	told    map[string]runtime.PathState
	events  []string
	replies map[callID]error
	calls   callID
	timers  []armRetry
	up      bool
	nested  bool // the children are supervisors
	over    *end
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// strategies are names of subtests.
var strategies = map[Strategy]string{OneForOne: "one for one", RestForOne: "rest for one", OneForAll: "one for all", Dynamic: "dynamic"}

var errBoom = errors.New("boom")

// kid makes a child's spec.
func kid(id string, fields ...Child) spec {
	var c Child
	if len(fields) > 0 {
		c = fields[0]
	}
	return spec{policy: policy{id: id, restart: c.Restart, significant: c.Significant, backoff: c.Backoff,
		stopTimeout: c.stopTimeout(defaultStopTimeout)}}
}

// anything allows so many restarts that the limit does not matter.
func anything(st Strategy) rules { return rules{strategy: st, intensity: 1000, period: time.Second} }

func newWorld(t failer, r rules, specs ...spec) *world {
	return &world{
		t: t, s: newState("/", r, specs),
		starts: map[string][]error{}, slow: map[string]bool{}, stubborn: map[string]bool{},
		live: map[string]int{}, asked: map[string]bool{},
		told: map[string]runtime.PathState{}, replies: map[callID]error{},
	}
}

// started returns a world whose children are up, with an empty log.
func startedWorld(t *testing.T, r rules, specs ...spec) *world {
	t.Helper()
	w := newWorld(t, r, specs...)
	w.send(begin{})
	if !w.up {
		t.Fatalf("not started: %v", w.show())
	}
	w.log, w.events = nil, nil
	return w
}

// send has the event happen, and all that follows from it at once.
func (w *world) send(ev event) {
	w.t.Helper()
	w.queue = append(w.queue, ev)
	for len(w.queue) > 0 {
		next := w.queue[0]
		w.queue = w.queue[1:]
		w.gone(next)
		w.one(next)
	}
}

// one has one event happen; what follows stays in w.queue.
func (w *world) one(ev event) {
	w.t.Helper()
	if w.over != nil {
		if c, ok := ev.(called); ok {
			w.replies[c.call] = errStopped // as the runner does
		}
		return
	}
	before := fmt.Sprint(w.s.snapshot())
	old := w.s
	next, actions := step(w.s, w.at, ev)
	if after := fmt.Sprint(old.snapshot()); after != before {
		w.t.Fatalf("step changed the state it was given:\n%s\n%s", before, after)
	}
	w.s = next
	for _, a := range actions {
		w.act(a)
	}
}

func (w *world) act(a action) {
	w.t.Helper()
	if w.over != nil {
		w.t.Fatalf("action %#v after the end", a)
	}
	switch a := a.(type) {
	case launch:
		if w.live[a.id] != 0 {
			w.t.Fatalf("two incarnations of %s at once", a.id)
		}
		w.live[a.id] = a.inc
		w.log = append(w.log, "+"+a.id)
		outcome := w.starts[a.id]
		var err error
		if len(outcome) > 0 {
			err, w.starts[a.id] = outcome[0], outcome[1:]
		}
		if !w.slow[a.id] {
			w.queue = append(w.queue, w.started(a.id, err))
		}
	case stop:
		if w.live[a.id] != a.inc {
			w.t.Fatalf("stop of %s#%d, which does not exist", a.id, a.inc)
		}
		if a.timeout == 0 {
			w.log = append(w.log, "!"+a.id)
		} else {
			w.log = append(w.log, "-"+a.id)
		}
		if w.asked[a.id] && a.timeout != 0 {
			w.t.Fatalf("%s asked twice", a.id)
		}
		again := w.asked[a.id]
		w.asked[a.id] = true
		if a.timeout == 0 && !again {
			w.queue = append(w.queue, w.exit(a.id, actor.ExitStatus{Reason: actor.ReasonKilled}))
		} else if a.timeout == 0 && w.stubborn[a.id] {
			w.queue = append(w.queue, w.exit(a.id, actor.ExitStatus{Reason: actor.ReasonKilled}))
		} else if !again && !w.stubborn[a.id] {
			w.queue = append(w.queue, w.exit(a.id, actor.ExitStatus{Reason: actor.ReasonShutdown}))
		}
	case kill:
		if w.live[a.id] != a.inc {
			w.t.Fatalf("kill of %s#%d, which does not exist", a.id, a.inc)
		}
		w.log = append(w.log, "!!"+a.id)
		x := actor.ExitStatus{Reason: actor.ReasonSignal, Signal: syscall.SIGKILL}
		if w.s.find(a.id).phase == starting {
			w.queue = append(w.queue, childFailed{id: a.id, inc: a.inc, err: errBoom, exit: x})
		} else {
			w.queue = append(w.queue, w.exit(a.id, x))
		}
	case reply:
		if _, twice := w.replies[a.call]; twice {
			w.t.Fatalf("call %d answered twice", a.call)
		}
		w.replies[a.call] = a.err
	case armRetry:
		if a.delay == 0 {
			w.queue = append(w.queue, retryDue{a.id, a.retry})
		} else {
			w.timers = append(w.timers, a)
		}
	case setPath:
		w.told[a.id] = a.state
	case emit:
		line := string(a.what)
		if a.id != "" {
			line += " " + a.id
		}
		if a.exit != nil {
			line += " " + a.exit.Reason.String()
		}
		w.events = append(w.events, line)
	case started:
		w.up = true
	case end:
		if len(w.live) > 0 {
			w.t.Fatalf("ended while %v are alive", w.live)
		}
		w.over = &a
	}
}

// started is the outcome of a start.
func (w *world) started(id string, err error) event {
	inc := w.live[id]
	if err == nil {
		return childReady{id, inc}
	}
	return childFailed{id: id, inc: inc, err: err, exit: actor.ExitStatus{Reason: actor.ReasonStartFailed, Err: err,
		DoNotRestart: !w.nested && errors.Is(err, actor.ErrDoNotRestart)}}
}

// exit is the end of a running instance.
func (w *world) exit(id string, x actor.ExitStatus) event { return childExited{id, w.live[id], x} }

// gone keeps the books before an event that says so is delivered.
func (w *world) gone(ev event) {
	switch ev := ev.(type) {
	case childFailed:
		delete(w.live, ev.id)
		delete(w.asked, ev.id)
	case childExited:
		delete(w.live, ev.id)
		delete(w.asked, ev.id)
	}
}

// crash, finish, end: the child ends by itself.
func (w *world) crash(id string) {
	w.ends(id, actor.ExitStatus{Reason: actor.ReasonPanic, Err: errBoom})
}
func (w *world) finish(id string) { w.ends(id, actor.ExitStatus{Reason: actor.ReasonNormal}) }
func (w *world) ends(id string, x actor.ExitStatus) {
	w.t.Helper()
	if w.live[id] == 0 {
		w.t.Fatalf("%s does not run", id)
	}
	w.send(w.exit(id, x))
}

// call makes an admin call and returns its id.
func (w *world) call(v verb, id string, specs ...spec) callID {
	w.t.Helper()
	w.calls++
	c := called{call: w.calls, verb: v, id: id}
	if len(specs) > 0 {
		c.spec = specs[0]
	}
	w.send(c)
	return c.call
}

// mustReply returns the answer to a call.
func (w *world) mustReply(c callID) error {
	w.t.Helper()
	err, ok := w.replies[c]
	if !ok {
		w.t.Fatalf("call %d has no answer; %v", c, w.show())
	}
	return err
}

func (w *world) expectReply(c callID, want error) {
	w.t.Helper()
	if err := w.mustReply(c); !errors.Is(err, want) {
		w.t.Fatalf("call answered %v, want %v", err, want)
	}
}

func (w *world) waits(c callID) {
	w.t.Helper()
	if err, ok := w.replies[c]; ok {
		w.t.Fatalf("call answered %v, want it to wait", err)
	}
}

// fire lets the time pass until the oldest timer is due.
func (w *world) fire() {
	w.t.Helper()
	if len(w.timers) == 0 {
		w.t.Fatalf("no timer")
	}
	a := w.timers[0]
	w.timers = w.timers[1:]
	w.at += a.delay
	w.send(retryDue{a.id, a.retry})
}

// expectLog compares the log since the last look.
func (w *world) expectLog(want string) {
	w.t.Helper()
	if got := strings.Join(w.log, " "); got != want {
		w.t.Fatalf("did  %q\nwant %q\n%v", got, want, w.show())
	}
	w.log = nil
}

// expect compares all children with "a:running b:stopped".
func (w *world) expect(want string) {
	w.t.Helper()
	if got := w.show(); got != want {
		w.t.Fatalf("children %q\nwant     %q", got, want)
	}
}

func (w *world) show() string {
	var b []string
	for c := range w.s.all() {
		b = append(b, c.id+":"+c.phase.String())
	}
	return strings.Join(b, " ")
}

// expectEvents compares the events since the last look.
func (w *world) expectEvents(want ...string) {
	w.t.Helper()
	if got := strings.Join(w.events, "\n"); got != strings.Join(want, "\n") {
		w.t.Fatalf("events:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
	w.events = nil
}

func (w *world) expectEnd(cause endCause) {
	w.t.Helper()
	if w.over == nil || w.over.cause != cause {
		w.t.Fatalf("end %v, want %v; %v", w.over, cause, w.show())
	}
}

func (w *world) expectLives() {
	w.t.Helper()
	if w.over != nil {
		w.t.Fatalf("ended: %+v", *w.over)
	}
}

// snapshot is all of a state that a step must not change.
func (s *state) snapshot() []any {
	out := []any{s.now, s.window.len(), s.op.kind, s.op.target, fmt.Sprint(s.op.stop), fmt.Sprint(s.op.start), s.op.starts, s.op.asked,
		s.pending.len(), s.waiting.len(), s.due.len(), s.retrying.len(), s.busy, s.significant, s.killing, s.done}
	for c := range s.all() {
		out = append(out, *c, c.calls.len())
	}
	return out
}
