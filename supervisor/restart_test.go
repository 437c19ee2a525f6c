package supervisor

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

var errCanceled = context.Canceled

func asError[E error](err error, target *E) bool { return errors.As(err, target) }

// "In a group restart, running temporary siblings are stopped and their specs
// removed. Every other spec of the group is started, including one that was
// stopped by hand or had ended normally."
func TestGroupRestartMembers(t *testing.T) {
	specs := []spec{kid("before"), kid("temp", Child{Restart: Temporary}), kid("crasher"), kid("byhand"), kid("normal", Child{Restart: Transient}),
		kid("temp2", Child{Restart: Temporary}), kid("last")}
	for _, tc := range []struct {
		strategy Strategy
		log      string
		children string
	}{
		{OneForOne, "+crasher", "before:running temp:running crasher:running byhand:stopped normal:stopped temp2:running last:running"},
		{RestForOne, "-last -temp2 +crasher +byhand +normal +last",
			"before:running temp:running crasher:running byhand:running normal:running last:running"},
		{OneForAll, "-last -temp2 -temp -before +before +crasher +byhand +normal +last",
			"before:running crasher:running byhand:running normal:running last:running"},
	} {
		t.Run(strategies[tc.strategy], func(t *testing.T) {
			w := startedWorld(t, anything(tc.strategy), specs...)
			w.expectReply(w.call(verbStop, "byhand"), nil)
			w.finish("normal")
			w.log = nil
			w.crash("crasher")
			w.expectLog(tc.log)
			w.expect(tc.children)
		})
	}
}

// "RestForOne: those after it stop in reverse, then it and the rest start in
// order", each when the one before it is ready.
func TestGroupRestartIsSequential(t *testing.T) {
	w := startedWorld(t, anything(RestForOne), kid("a"), kid("b"), kid("c"), kid("d"))
	for _, id := range []string{"c", "d"} {
		w.stubborn[id], w.slow[id] = true, true
	}
	w.slow["b"] = true
	w.crash("b")
	w.expectLog("-d")
	w.send(w.exit("d", actor.ExitStatus{Reason: actor.ReasonShutdown}))
	w.expectLog("-c")
	w.send(w.exit("c", actor.ExitStatus{Reason: actor.ReasonShutdown}))
	w.expectLog("+b")
	for _, id := range []string{"b", "c", "d"} {
		if w.told[id] != runtime.PathRestarting {
			t.Fatalf("senders to %s were told %v", id, w.told[id])
		}
	}
	w.send(childReady{"b", w.live["b"]})
	w.expectLog("+c")
	w.send(childReady{"c", w.live["c"]})
	w.expectLog("+d")
	w.send(childReady{"d", w.live["d"]})
	w.expect("a:running b:running c:running d:running")
}

// "A start that fails during a restart: the child is restarting; other
// requests are served between attempts; each attempt is counted."
func TestFailedStartOneForOne(t *testing.T) {
	w := startedWorld(t, anything(OneForOne), kid("a", Child{Backoff: Backoff{Min: time.Second}}), kid("b"))
	w.starts["a"] = []error{errBoom, errBoom}
	w.crash("a")
	w.expect("a:restarting b:running")
	w.expectEvents("exited a panic", "restarting a panic", "start failed a start failed", "restarting a")
	w.expectReply(w.call(verbStop, "b"), nil)
	w.expectReply(w.call(verbRestart, "b"), nil)
	w.fire()
	w.expect("a:restarting b:running")
	w.fire()
	w.expect("a:running b:running")
	w.expectLog("+a -b +b +a +a")
	if n := w.s.window.len(); n != 1 { // the period is 1 s, the delays 1 s and 2 s
		t.Fatalf("%d restarts in the window, want 1", n)
	}
}

// Without a back-off, too, requests that came in are served between attempts.
func TestRequestsBetweenAttempts(t *testing.T) {
	w := startedWorld(t, anything(OneForOne), kid("a"), kid("b"))
	w.starts["a"] = []error{errBoom, errBoom, errBoom, errBoom, errBoom, errBoom}
	w.queue = append(w.queue, w.exit("a", actor.ExitStatus{Reason: actor.ReasonPanic}))
	w.calls++
	w.send(called{call: w.calls, verb: verbStop, id: "a"}) // arrives right after the crash
	w.expectReply(w.calls, nil)
	w.expect("a:stopped b:running")
	w.expectLog("+a -a")
}

// "RestForOne keeps those that came up and goes on from the failing one."
func TestFailedStartRestForOne(t *testing.T) {
	w := startedWorld(t, anything(RestForOne), kid("a"), kid("b"), kid("c", Child{Backoff: Backoff{Min: time.Second}}), kid("d"))
	w.starts["c"] = []error{errBoom, errBoom}
	w.crash("b")
	w.expectLog("-d -c +b +c +c") // the first retry is immediate
	w.expect("a:running b:running c:restarting d:stopped")
	if w.told["d"] != runtime.PathRestarting {
		t.Fatalf("senders to d were told %v while c is retried", w.told["d"])
	}
	w.fire()
	w.expectLog("+c +d")
	w.expect("a:running b:running c:running d:running")
	if n := w.s.window.len(); n != 3 {
		t.Fatalf("%d restarts counted, want 3: the crash and two further attempts", n)
	}
}

// "OneForAll first stops (reverse) those that came up, then starts all."
func TestFailedStartOneForAll(t *testing.T) {
	w := startedWorld(t, anything(OneForAll), kid("a"), kid("b"), kid("c"), kid("d"))
	w.starts["c"] = []error{errBoom}
	w.crash("d")
	w.expectLog("-c -b -a +a +b +c -b -a +a +b +c +d")
	w.expect("a:running b:running c:running d:running")
}

// Between attempts somebody else's group restart takes the retry over, and
// nobody is forgotten.
func TestGroupRestartTakesOverRetry(t *testing.T) {
	w := startedWorld(t, anything(RestForOne), kid("a"), kid("b"), kid("c", Child{Backoff: Backoff{Min: time.Second}}), kid("d"))
	w.starts["c"] = []error{errBoom}
	w.crash("c")
	w.expect("a:running b:running c:restarting d:stopped")
	w.log = nil
	w.crash("a")
	w.expectLog("-b +a +b +c +d")
	w.expect("a:running b:running c:running d:running")
	w.fire() // the old timer means nothing any more
	w.expectLog("")
}

// "While restarting: start same id -> already present; restart, delete ->
// restarting; stop child -> ok and cancels the retry for good; stop of the
// supervisor returns promptly."
func TestWhileRestarting(t *testing.T) {
	restartingWorld := func(t *testing.T) *world {
		w := startedWorld(t, anything(OneForOne), kid("a", Child{Backoff: Backoff{Min: time.Hour}}), kid("b"))
		w.crash("a")
		w.crash("a") // the second in a row waits
		w.expect("a:restarting b:running")
		w.log = nil
		return w
	}
	t.Run("start", func(t *testing.T) {
		w := restartingWorld(t)
		w.expectReply(w.call(verbStart, "a", kid("a")), ErrAlreadyPresent)
		w.expect("a:restarting b:running")
	})
	t.Run("restart", func(t *testing.T) {
		w := restartingWorld(t)
		w.expectReply(w.call(verbRestart, "a"), ErrRestarting)
		w.expect("a:restarting b:running")
	})
	t.Run("delete", func(t *testing.T) {
		w := restartingWorld(t)
		w.expectReply(w.call(verbDelete, "a"), ErrRestarting)
		w.expect("a:restarting b:running")
	})
	t.Run("stop child", func(t *testing.T) {
		w := restartingWorld(t)
		if w.told["a"] != runtime.PathRestarting {
			t.Fatalf("senders were told %v", w.told["a"])
		}
		w.expectReply(w.call(verbStop, "a"), nil)
		w.expect("a:stopped b:running")
		if w.told["a"] != runtime.PathStopped {
			t.Fatalf("senders were told %v", w.told["a"])
		}
		w.fire()
		w.expectLog("")
		w.expect("a:stopped b:running")
	})
	t.Run("stop", func(t *testing.T) {
		w := restartingWorld(t)
		w.send(stopAsked{})
		w.expectLog("-b")
		w.expectEnd(endStopped)
	})
	t.Run("a retry stopped and started by hand is not started twice", func(t *testing.T) {
		w := restartingWorld(t)
		w.call(verbStop, "a")
		w.expectReply(w.call(verbRestart, "a"), nil)
		w.fire()
		w.expectLog("+a")
	})
}

// A timer that was set for an earlier restart of the child means nothing to the
// present one. A restart by hand starts the back-off over.
func TestOldTimer(t *testing.T) {
	w := startedWorld(t, anything(OneForOne), kid("a", Child{Backoff: Backoff{Min: time.Second}}))
	w.crash("a")
	w.crash("a")
	w.call(verbStop, "a")
	w.expectReply(w.call(verbRestart, "a"), nil)
	w.crash("a")
	w.expect("a:running") // the first in a row, again
	w.crash("a")
	w.expect("a:restarting")
	w.log = nil
	w.fire() // the old one
	w.expectLog("")
	w.fire()
	w.expectLog("+a")
}

// A retry that comes due while something else is under way waits for it.
func TestRetryWaits(t *testing.T) {
	w := startedWorld(t, anything(RestForOne), kid("a", Child{Backoff: Backoff{Min: time.Second}}), kid("b"))
	w.crash("a")
	w.crash("a")
	w.expectReply(w.call(verbRestart, "b"), nil)
	w.slow["b"] = true
	w.crash("b")
	w.log = nil
	w.fire()
	w.expect("a:restarting b:starting")
	w.slow["b"] = false
	w.send(childReady{"b", w.live["b"]})
	w.expectLog("-b +a +b")
	w.expect("a:running b:running")
}

// Stopping the failing child of a group ends the retry of the group; senders to
// the rest are not kept waiting for it.
func TestStopOfFailingGroupMember(t *testing.T) {
	w := startedWorld(t, anything(RestForOne), kid("a"), kid("b", Child{Backoff: Backoff{Min: time.Second}}), kid("c"))
	w.call(verbStop, "a")
	w.starts["b"] = []error{errBoom, errBoom}
	w.crash("b")
	w.expect("a:stopped b:restarting c:stopped")
	if w.told["a"] != runtime.PathStopped || w.told["c"] != runtime.PathRestarting {
		t.Fatalf("told %v: the retry brings back c, not a", w.told)
	}
	w.expectReply(w.call(verbStop, "b"), nil)
	w.expect("a:stopped b:stopped c:stopped")
	if w.told["c"] != runtime.PathStopped {
		t.Fatalf("senders to c were told %v", w.told["c"])
	}
	w.expectReply(w.call(verbRestart, "c"), nil)
}

// "Backoff{Min, Max, Jitter, Reset}; the child is restarting during the delay;
// forgotten once the child has been ready for Reset." The first restart in a
// row is immediate.
func TestBackoff(t *testing.T) {
	b := Backoff{Min: 100 * time.Millisecond, Max: time.Second, Reset: time.Minute, Jitter: 0.5}
	w := startedWorld(t, rules{intensity: 1000, period: time.Hour}, kid("a", Child{Backoff: b}))
	w.crash("a")
	w.expect("a:running")
	for _, ms := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
		w.crash("a")
		w.expect("a:restarting")
		if got := w.timers[0].delay; got != ms*time.Millisecond || w.timers[0].jitter != 0.5 {
			t.Fatalf("delay %v, jitter %v; want %v", got, w.timers[0].jitter, ms*time.Millisecond)
		}
		w.fire()
		w.expect("a:running")
	}
	w.at += time.Minute - 1
	w.crash("a")
	w.expect("a:restarting") // not quite long enough
	w.fire()
	w.at += time.Minute
	w.crash("a")
	w.expect("a:running") // forgotten
	if n := w.s.window.len(); n != 9 {
		t.Fatalf("%d restarts counted, want 9: a delayed restart counts once", n)
	}
}

// During the delay of a group restart the group is down; then all come up.
func TestBackoffOfGroup(t *testing.T) {
	w := startedWorld(t, anything(OneForAll), kid("a"), kid("b", Child{Backoff: Backoff{Min: time.Second}}), kid("c"))
	w.crash("b")
	w.expectLog("-c -a +a +b +c")
	w.crash("b")
	w.expectLog("-c -a")
	w.expect("a:stopped b:restarting c:stopped")
	for _, id := range []string{"a", "b", "c"} {
		if w.told[id] != runtime.PathRestarting {
			t.Fatalf("senders to %s were told %v", id, w.told[id])
		}
	}
	w.expectReply(w.call(verbRestart, "a"), nil) // by hand, in between: stopped again with the group
	w.fire()
	w.expectLog("+a -a +a +b +c")
	w.expect("a:running b:running c:running")
}

func TestDelay(t *testing.T) {
	for _, tc := range []struct {
		b     Backoff
		inRow int
		want  time.Duration
	}{
		{Backoff{}, 10, 0},
		{Backoff{Min: 1}, 1, 0},
		{Backoff{Min: 1}, 2, 1},
		{Backoff{Min: 1}, 3, 2},
		{Backoff{Min: 3, Max: 5}, 3, 5},
		{Backoff{Min: time.Second}, 1000, defaultMaxBackoff},
		{Backoff{Min: time.Hour}, 1000, time.Hour},
		{Backoff{Min: time.Second, Max: 1<<63 - 1}, 100, 1<<63 - 1},
	} {
		c := child{policy: policy{backoff: tc.b}, inRow: tc.inRow}
		if got := c.delay(); got != tc.want {
			t.Errorf("%+v, %d in a row: delay %v, want %v", tc.b, tc.inRow, got, tc.want)
		}
	}
}

// A constructor that returns ErrIgnore in a restart: nothing runs, nothing is
// retried, the group goes on.
func TestIgnoreInRestart(t *testing.T) {
	w := startedWorld(t, anything(OneForAll), kid("a"), kid("b"), kid("c"))
	w.starts["b"] = []error{actor.ErrIgnore}
	w.crash("a")
	w.expectLog("-c -b +a +b +c")
	w.expect("a:running b:stopped c:running")
	if w.told["b"] != runtime.PathStopped {
		t.Fatalf("senders to b were told %v", w.told["b"])
	}
}
