package supervisor

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// While a constructor hangs, the restarts of crashed siblings and calls about
// other children go on, under every strategy; a stop of the child that starts
// cuts its start off.
func TestHangingStart(t *testing.T) {
	for _, st := range []Strategy{OneForOne, RestForOne, OneForAll, Dynamic} {
		t.Run(fmt.Sprint("strategy ", int(st)), func(t *testing.T) {
			w := startedWorld(t, anything(st), kid("a"), kid("b"))
			w.slow["x"] = true
			x := w.call(verbStart, "x", kid("x"))
			y := w.call(verbStart, "y", kid("y"))
			w.expectReply(y, nil)
			w.expectReply(w.call(verbStop, "b"), nil)
			w.crash("y")
			w.waits(x)
			w.expectReply(w.call(verbDelete, "nobody"), actor.ErrNotFound)
			again := w.call(verbStart, "x", kid("x")) // waits for the outcome of the first
			w.waits(again)
			w.expectReply(w.call(verbStop, "x"), nil)
			w.expectReply(x, actor.ErrStopped)
			w.slow["x"] = false
			w.send(w.started("x", nil))
			w.expectReply(again, nil)
			if c := w.s.find("x"); c == nil || c.phase != running {
				t.Fatalf("x: %v", w.show())
			}
		})
	}
}

// Independent siblings restart side by side; a retry of one that hangs does not
// hold back another.
func TestRestartsSideBySide(t *testing.T) {
	w := startedWorld(t, anything(OneForOne), kid("a"), kid("b"), kid("c"))
	w.slow["a"], w.slow["b"] = true, true
	w.crash("a")
	w.crash("b")
	w.crash("c")
	w.expectLog("+a +b +c")
	w.expect("a:starting b:starting c:running")
	stopA := w.call(verbStop, "a")
	w.expectReply(stopA, nil)
	w.expect("a:stopped b:starting c:running")
	w.send(w.started("b", nil))
	w.expect("a:stopped b:running c:running")
}

// The children of a dynamic supervisor start side by side, as many as may at
// once; others start in order.
func TestParallel(t *testing.T) {
	var specs []spec
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		specs = append(specs, kid(id))
	}
	r := anything(Dynamic)
	r.parallel = 2
	w := newWorld(t, r, specs...)
	for _, k := range specs {
		w.slow[k.id] = true
	}
	w.send(begin{})
	w.expectLog("+a +b")
	w.send(w.started("b", nil))
	w.expectLog("+c")
	w.send(w.started("a", nil))
	w.send(w.started("c", nil))
	w.expectLog("+d +e")
	w.send(w.started("d", nil))
	if w.up {
		t.Fatal("up before all are")
	}
	w.send(w.started("e", nil))
	if !w.up {
		t.Fatal("not up")
	}

	// Restarts come before additions.
	x, y := w.call(verbStart, "x", kid("x")), w.call(verbStart, "y", kid("y"))
	w.slow["x"], w.slow["y"], w.slow["z"] = true, true, true
	z := w.call(verbStart, "z", kid("z"))
	w.expectReply(x, nil)
	w.expectReply(y, nil)
	w.log = nil
	w.call(verbStart, "v", kid("v"))
	w.expectLog("+v")
	w.slow["v"], w.slow["u"] = true, true
	u := w.call(verbStart, "u", kid("u"))
	w.expectLog("+u")
	q, gone := w.call(verbStart, "q", kid("q")), w.call(verbStart, "gone", kid("gone"))
	w.crash("a")
	w.expectLog("")
	w.expectReply(w.call(verbStop, "gone"), nil) // it had not even begun
	w.expectReply(gone, actor.ErrStopped)
	w.send(w.started("z", nil))
	w.expectReply(z, nil)
	w.expectLog("+a")
	w.waits(q)
	w.send(w.started("u", nil))
	w.expectLog("+q")
	w.expectReply(u, nil)
	w.expectReply(q, nil)

	w = newWorld(t, anything(OneForOne), specs...)
	w.slow["b"] = true
	w.send(begin{})
	w.expectLog("+a +b")

	// One that fails ends the start of all.
	w = newWorld(t, r, specs...)
	w.slow["a"], w.starts["c"] = true, []error{errBoom}
	w.send(begin{})
	w.expectEnd(endStartFailed)
	if !errors.Is(w.over.err, errBoom) {
		t.Fatalf("ends with %v", w.over.err)
	}
}

// The restart of a group does not wait for a start that belongs to the group:
// it comes first, and the call begins again after it.
func TestGroupOvertakesStart(t *testing.T) {
	for _, st := range []Strategy{RestForOne, OneForAll} {
		w := startedWorld(t, anything(st), kid("a"), kid("b"))
		w.expectReply(w.call(verbStop, "b"), nil)
		w.slow["b"], w.slow["x"] = true, true
		w.log = nil
		x, b := w.call(verbStart, "x", kid("x")), w.call(verbRestart, "b")
		w.expectLog("+x +b")
		w.slow["b"], w.slow["x"] = false, false
		w.crash("a")
		w.expectLog("-x -b +a +b +x")
		w.expectReply(x, nil)
		w.expectReply(b, nil)
		w.expect("a:running b:running x:running")

		// A call that is cancelled meanwhile does not begin again.
		w.slow["y"], w.stubborn["x"] = true, true
		w.log = nil
		y := w.call(verbStart, "y", kid("y"))
		w.crash("a")
		w.expectLog("+y -y -x")
		w.send(callCancelled{call: y, id: "y", err: errCanceled})
		w.expectReply(y, errCanceled)
		w.send(w.exit("x", actor.ExitStatus{Reason: actor.ReasonShutdown}))
		w.expectLog("-b +a +b +x")
		w.expect("a:running b:running x:running")
	}
}

// In the restart of a group, a stop of the member that hangs lets the others
// come up without it.
func TestStopInGroupRestart(t *testing.T) {
	w := startedWorld(t, anything(RestForOne), kid("a"), kid("b"), kid("c"), kid("d"))
	w.slow["c"] = true
	w.crash("b")
	w.log = nil
	w.expectReply(w.call(verbStop, "c"), nil)
	w.expectLog("-c +d")
	w.expect("a:running b:running c:stopped d:running")
	if w.told["c"] != runtime.PathStopped {
		t.Fatalf("senders to c were told %v", w.told["c"])
	}
	w.slow["d"] = true
	w.crash("d")
	w.expectReply(w.call(verbStop, "a"), nil) // which the restart is not about
}

// Stopping twice is the same as once, for temporary children, too.
func TestStopTwice(t *testing.T) {
	w := startedWorld(t, anything(OneForOne), kid("a", Child{Restart: Temporary}))
	w.stubborn["a"] = true
	first, second := w.call(verbStop, "a"), w.call(verbStop, "a")
	w.send(w.exit("a", actor.ExitStatus{Reason: actor.ReasonShutdown}))
	w.expectReply(first, nil)
	w.expectReply(second, nil)
	w.expect("")
}

// "The child is not restarted, whatever its type", and an event says so. The
// spec goes where it goes with every end.
func TestDoNotRestartIsSaid(t *testing.T) {
	for _, st := range []Strategy{OneForOne, Dynamic, RestForOne} {
		left := map[bool]string{true: "b:running", false: "a:stopped b:running"}[st == Dynamic]
		w := startedWorld(t, anything(st), kid("a"), kid("b"))
		w.ends("a", actor.ExitStatus{Reason: actor.ReasonExitCode, Code: 125, DoNotRestart: true})
		w.expectEvents("exited a exit code", "not restarted a exit code")
		w.expect(left)

		w = startedWorld(t, anything(st), kid("a"), kid("b"))
		w.starts["a"] = []error{actor.ErrDoNotRestart}
		w.crash("a")
		w.expect(left)
		if !slices.Contains(w.events, "not restarted a start failed") {
			t.Fatalf("events %q", w.events)
		}
	}
	// One that would not be restarted anyway says nothing new.
	w := startedWorld(t, anything(OneForOne), kid("a", Child{Restart: Transient}))
	w.ends("a", actor.ExitStatus{DoNotRestart: true})
	w.expectEvents("exited a normal")
}

// What a child of a nested supervisor asks for itself does not end the
// supervisor's restarts.
func TestDoNotRestartOfGrandchild(t *testing.T) {
	w := startedWorld(t, anything(OneForOne), kid("a"))
	w.starts["a"] = []error{&StartError{Path: "/a/leaf", Err: actor.ErrDoNotRestart}}
	w.crashNested("a")
	w.expect("a:running") // at the second attempt
	w.expectLog("+a +a")
}

// crashNested has the nested supervisor give up; its exit does not carry what a
// child of it asked for.
func (w *world) crashNested(id string) {
	w.t.Helper()
	w.nested = true
	w.ends(id, actor.ExitStatus{Reason: actor.ReasonShutdown})
}

// "First retry at once, then from 20 ms doubling, every attempt counted, the
// delay never longer than period/intensity."
func TestFailedStartDelays(t *testing.T) {
	for _, tc := range []struct {
		intensity int
		want      []time.Duration // that are longer than 0
	}{
		{1, nil},
		{2, []time.Duration{20}},
		{5, []time.Duration{20, 40, 80, 160}},
		{9, []time.Duration{20, 40, 80, 160, 277, 277, 277, 277}},
		{100, nil}, // below: at most a 25th of a second
	} {
		for _, st := range []Strategy{OneForOne, RestForOne, OneForAll} {
			w := startedWorld(t, rules{strategy: st, intensity: tc.intensity, period: 5 * time.Second}, kid("a"), kid("b"))
			w.starts["a"] = make([]error, 1000)
			for i := range w.starts["a"] {
				w.starts["a"][i] = errBoom
			}
			w.crash("a")
			var got []time.Duration
			for n := 0; w.over == nil; n++ {
				if n > 1000 {
					t.Fatalf("intensity %d: does not give up", tc.intensity)
				}
				d := w.timers[0].delay
				if d > 5*time.Second/time.Duration(tc.intensity) {
					t.Fatalf("intensity %d: delay of %v", tc.intensity, d)
				}
				got = append(got, d.Truncate(time.Millisecond)/time.Millisecond)
				w.fire()
			}
			w.expectEnd(endGaveUp)
			if n := 1000 - len(w.starts["a"]); n != tc.intensity {
				t.Fatalf("%d attempts, allowed %d", n, tc.intensity)
			}
			if tc.want != nil && !slices.Equal(got, tc.want) {
				t.Fatalf("intensity %d: delays %v, want %v", tc.intensity, got, tc.want)
			}
		}
	}
	// What an attempt took is a part of the distance between two.
	w := startedWorld(t, rules{intensity: 5, period: 5 * time.Second}, kid("a"))
	w.slow["a"] = true
	w.crash("a")
	for range 4 {
		w.at += 450 * time.Millisecond
		w.send(w.started("a", errBoom))
		if len(w.timers) > 0 {
			w.fire()
		}
	}
	if d := w.s.now - 4*450*time.Millisecond; d != 110*time.Millisecond { // 20, 40, and 50 where 80 would be too long
		t.Fatalf("the delays are %v", d)
	}
	// A child with a back-off has that.
	w = startedWorld(t, rules{intensity: 100, period: 5 * time.Second}, kid("a", Child{Backoff: Backoff{Min: time.Second}}))
	w.starts["a"] = []error{errBoom}
	w.crash("a")
	if w.timers[0].delay != time.Second {
		t.Fatalf("delay %v", w.timers[0].delay)
	}
}

// A kill is a crash like any other: by type, counted, in every phase.
func TestKillChild(t *testing.T) {
	w := startedWorld(t, rules{intensity: 1, period: time.Second}, kid("a"), kid("b", Child{Restart: Temporary}), kid("c", Child{Restart: Transient}))
	w.expectReply(w.call(verbKill, "nobody"), actor.ErrNotFound)
	w.expectReply(w.call(verbKill, "c"), nil)
	w.expectLog("!!c +c")
	w.expectReply(w.call(verbKill, "b"), nil)
	w.expect("a:running c:running")
	w.expectReply(w.call(verbStop, "c"), nil)
	w.expectReply(w.call(verbKill, "c"), actor.ErrNotRunning)
	w.log = nil
	w.stubborn["a"] = true
	stopA := w.call(verbStop, "a")
	kill := w.call(verbKill, "a") // a stop that takes too long
	w.expectLog("-a !a")
	w.expectReply(stopA, nil)
	w.expectReply(kill, nil)
	w.expect("a:stopped c:stopped")
	w.expectLives()
	w.slow["x"] = true
	x := w.call(verbStart, "x", kid("x"))
	w.expectReply(w.call(verbKill, "x"), nil) // a start that takes too long
	w.expectReply(x, errBoom)
	w.expectReply(w.call(verbRestart, "c"), nil)
	w.expectReply(w.call(verbKill, "c"), nil)
	w.expectEnd(endGaveUp) // the second one
}

// Each step costs little more with many children than with few: of starts,
// restarts, ends and stops, one by one, under all strategies.
func TestStepsAreCheap(t *testing.T) {
	cost := func(st Strategy, n int) uint64 {
		ids := make([]string, n)
		for i := range ids {
			ids[i] = fmt.Sprint("child", i)
		}
		s := newState("/", rules{strategy: st, intensity: unlimited, period: time.Second, auto: AutoShutdownAll}, nil)
		var call callID
		send := func(ev event) (launched int) {
			next, actions := step(s, 0, ev)
			s = next
			for _, a := range actions {
				if l, ok := a.(launch); ok {
					launched = l.inc
				}
			}
			return launched
		}
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		send(begin{})
		incs := make([]int, n)
		for i, id := range ids {
			call++
			incs[i] = send(called{call: call, verb: verbStart, id: id, spec: kid(id, Child{Restart: Transient, Significant: true})})
			send(childReady{id, incs[i]})
		}
		if st == OneForOne || st == Dynamic {
			for i, id := range ids {
				incs[i] = send(childExited{id, incs[i], actor.ExitStatus{Reason: actor.ReasonPanic}})
				send(childReady{id, incs[i]})
			}
		}
		for i, id := range ids[:n/2] {
			send(childExited{id, incs[i], actor.ExitStatus{}})
		}
		for i, id := range ids[n/2:] {
			call++
			send(called{call: call, verb: verbStop, id: id})
			if i < n/4 {
				send(childExited{id, incs[n/2+i], actor.ExitStatus{Reason: actor.ReasonShutdown}})
			}
		}
		send(stopAsked{})
		for i := n/2 + n/4; i < n; i++ {
			send(childExited{ids[i], incs[i], actor.ExitStatus{Reason: actor.ReasonShutdown}})
		}
		if !s.done {
			t.Fatalf("%v with %d children does not end", st, n)
		}
		goruntime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for _, st := range []Strategy{OneForOne, RestForOne, OneForAll, Dynamic} {
		few, many := cost(st, 500), cost(st, 8000)
		if many > 16*few*3 {
			t.Errorf("%v: 16 times as many children cost %d times as much", st, many/few)
		}
	}
}

// Without a limit of restarts failed starts come further and further apart, up
// to longestRetryDelay, however long each takes; and they are not remembered.
func TestFailedStartDelaysWithoutLimit(t *testing.T) {
	for _, took := range []time.Duration{0, time.Minute} {
		w := startedWorld(t, rules{intensity: unlimited, period: time.Millisecond}, kid("a"))
		w.slow["a"] = true
		w.crash("a")
		for n := range 50 {
			w.at += took
			w.send(w.started("a", errBoom))
			if n == 0 {
				continue // the first retry is made at once
			}
			want := min(firstRetryDelay<<min(n-1, 20), longestRetryDelay)
			if len(w.timers) != 1 || w.timers[0].delay != want {
				t.Fatalf("after %d failed starts that took %v: timers %v, want a delay of %v", n+1, took, w.timers, want)
			}
			w.fire()
		}
		if n := w.s.window.len(); n != 0 {
			t.Errorf("%d restarts are remembered", n)
		}
	}
}

// A limit that cannot be reached counts as one.
func TestFailedStartDelayOfHugeLimit(t *testing.T) {
	w := startedWorld(t, rules{intensity: unlimited - 1, period: time.Hour}, kid("a"))
	w.starts["a"] = slices.Repeat([]error{errBoom}, 100)
	w.crash("a")
	w.expectLives()
	w.expect("a:running")
}

// Senders to a child whose queued restart was called off do not wait for it.
func TestSendersAfterCancelledWait(t *testing.T) {
	w := startedWorld(t, rules{intensity: 10, period: time.Second, parallel: 1}, kid("a"), kid("b"))
	w.slow["a"] = true
	w.crash("a")
	w.crash("b") // waits for its turn
	again := w.call(verbRestart, "b")
	w.waits(again)
	w.expectReply(w.call(verbStop, "b"), nil)
	w.waits(again)
	w.send(callCancelled{call: again, id: "b", err: errCanceled})
	w.expectReply(again, errCanceled)
	w.expect("a:starting b:stopped")
	if w.told["b"] != runtime.PathStopped {
		t.Fatalf("senders to b were told %v", w.told["b"])
	}
}
