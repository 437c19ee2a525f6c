package supervisor

import (
	"errors"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// "In list order; child n+1 is not started before n is ready."
func TestStartInOrder(t *testing.T) {
	w := newWorld(t, anything(OneForOne), kid("a"), kid("b"), kid("c"))
	w.slow["b"] = true
	w.send(begin{})
	w.expectLog("+a +b")
	if w.told["c"] != actor.PathStarting {
		t.Fatalf("senders to c were told %v: they have to wait for it", w.told["c"])
	}
	w.send(childReady{"b", w.live["b"]})
	w.expectLog("+c")
	if !w.up {
		t.Fatal("not started")
	}
	w.expectEvents("ready a", "ready b", "ready c")
}

func TestStartOfNothing(t *testing.T) {
	w := newWorld(t, anything(OneForOne))
	w.send(begin{})
	if !w.up {
		t.Fatal("not started")
	}
}

// "A failure stops those that came up, in reverse order with their own stop
// timeouts, and returns an error that names the child and carries its cause;
// no retry, nothing counted."
func TestStartFails(t *testing.T) {
	w := newWorld(t, anything(OneForOne), kid("a", StopTimeout(0)), kid("b"), kid("c"), kid("d"))
	w.starts["c"] = []error{errBoom}
	w.send(begin{})
	w.expectLog("+a +b +c -b !a")
	w.expectEnd(endStartFailed)
	var start *StartError
	if !errors.As(w.over.err, &start) || start.Path != "/c" || !errors.Is(start, errBoom) {
		t.Fatalf("end says %v", w.over.err)
	}
	if len(w.s.restarts) != 0 {
		t.Fatal("counted")
	}
	if w.up {
		t.Fatal("reported as started")
	}
}

// "The constructor returned actor.ErrIgnore: spec kept, nothing runs (a
// temporary one's spec is dropped)."
func TestStartIgnored(t *testing.T) {
	w := newWorld(t, anything(OneForOne), kid("a"), kid("b", Temporary), kid("c"))
	w.starts["a"] = []error{actor.ErrIgnore}
	w.starts["b"] = []error{actor.ErrIgnore}
	w.send(begin{})
	w.expectLog("+a +b +c")
	w.expect("a:stopped c:running")
	if !w.up {
		t.Fatal("not started")
	}
	w.expectEvents("ready c")
}

// The ctx of Start bounds the start, and nothing else.
func TestStartCut(t *testing.T) {
	w := newWorld(t, anything(OneForOne), kid("a"), kid("b"), kid("c"))
	w.slow["b"] = true
	w.send(begin{})
	w.send(startCut{errBoom})
	w.expectLog("+a +b -b -a") // also the one that was still starting
	w.expectEnd(endStartFailed)
	if w.over.err != errBoom {
		t.Fatalf("end says %v", w.over.err)
	}

	w = startedWorld(t, anything(OneForOne), kid("a"))
	w.send(startCut{errBoom})
	w.expectLives()
	w.expect("a:running")
}

// "Reverse start order, one after another", each within its own timeout.
func TestStop(t *testing.T) {
	w := startedWorld(t, anything(OneForOne), kid("a"), kid("b"), kid("c"))
	w.stubborn["c"], w.stubborn["b"] = true, true
	w.send(stopAsked{})
	w.expectLog("-c")
	w.send(stopAsked{}) // "stopping twice: idempotent"
	w.expectLog("")
	w.send(w.exit("c", actor.ExitStatus{Reason: actor.ReasonKilled}))
	w.expectLog("-b")
	w.send(w.exit("b", actor.ExitStatus{Reason: actor.ReasonShutdown}))
	w.expectLog("-a")
	w.expectEnd(endStopped)
	// "A kill after the timeout is reported as killed."
	w.expectEvents("exited c killed", "exited b shutdown", "exited a shutdown", "stopped")
}

// "A child that crashed on its own just before is reported with its own reason;
// neither is restarted." Stop of an already failed child.
func TestStopOfCrashed(t *testing.T) {
	t.Run("stop of the supervisor", func(t *testing.T) {
		w := startedWorld(t, anything(OneForAll), kid("a"), kid("b"), kid("c"))
		w.stubborn["c"], w.stubborn["b"] = true, true
		w.send(stopAsked{})
		w.crash("a") // while c takes its time
		w.send(w.exit("c", actor.ExitStatus{Reason: actor.ReasonShutdown}))
		w.crash("b") // asked, but crashed first
		w.expectLog("-c -b")
		w.expectEnd(endStopped)
		w.expectEvents("exited a panic", "exited c shutdown", "exited b panic", "stopped")
	})
	t.Run("stop of the child", func(t *testing.T) {
		w := startedWorld(t, anything(OneForAll), kid("a"), kid("b"))
		w.stubborn["a"] = true
		c := w.call(verbStop, "a")
		w.waits(c)
		w.crash("a")
		w.expectReply(c, nil)
		w.expect("a:stopped b:running")
		w.expectEvents("exited a panic")
	})
	t.Run("its end waits in the queue", func(t *testing.T) {
		w := startedWorld(t, anything(OneForOne), kid("a"), kid("b"), kid("c", Temporary))
		w.stubborn["a"] = true
		first := w.call(verbStop, "a")
		stopB, stopC := w.call(verbStop, "b"), w.call(verbStop, "c")
		w.crash("b")
		w.crash("c")
		w.send(w.exit("a", actor.ExitStatus{Reason: actor.ReasonShutdown}))
		for _, c := range []callID{first, stopB, stopC} {
			w.expectReply(c, nil)
		}
		w.expect("a:stopped b:stopped")
	})
}

// "Stopping ... while starting": in every phase of every operation.
func TestStopMeanwhile(t *testing.T) {
	t.Run("initial start", func(t *testing.T) {
		w := newWorld(t, anything(OneForOne), kid("a"), kid("b"), kid("c"))
		w.slow["b"] = true
		w.send(begin{})
		w.send(stopAsked{})
		w.expectLog("+a +b -b -a")
		w.expectEnd(endStopped)
	})
	t.Run("restart, starting", func(t *testing.T) {
		w := startedWorld(t, anything(RestForOne), kid("a"), kid("b"), kid("c"))
		w.slow["b"] = true
		w.crash("b")
		w.send(stopAsked{})
		w.expectLog("-c +b -b -a")
		w.expectEnd(endStopped)
	})
	t.Run("restart, starting one that others come after", func(t *testing.T) {
		w := startedWorld(t, anything(OneForOne), kid("a"), kid("b"), kid("c"))
		w.slow["a"], w.stubborn["c"] = true, true
		w.crash("a")
		w.send(stopAsked{})
		w.expectLog("+a -c")
		w.send(w.started("a", errBoom)) // fails by itself before its turn
		w.send(w.exit("c", actor.ExitStatus{Reason: actor.ReasonShutdown}))
		w.expectLog("-b")
		w.expectEnd(endStopped)
	})
	t.Run("a start that succeeds before its turn", func(t *testing.T) {
		w := startedWorld(t, anything(OneForOne), kid("a"), kid("b"))
		w.slow["a"], w.stubborn["b"] = true, true
		w.crash("a")
		w.send(stopAsked{})
		w.send(w.started("a", nil))
		w.send(w.exit("b", actor.ExitStatus{Reason: actor.ReasonShutdown}))
		w.expectLog("+a -b -a")
		w.expectEnd(endStopped)
	})
	t.Run("restart, stopping", func(t *testing.T) {
		w := startedWorld(t, anything(OneForAll), kid("a"), kid("b"), kid("c"))
		w.stubborn["c"] = true
		w.crash("a")
		w.send(stopAsked{})
		w.expectLog("-c")
		w.send(w.exit("c", actor.ExitStatus{Reason: actor.ReasonShutdown}))
		w.expectLog("-b")
		w.expectEnd(endStopped)
	})
	t.Run("admin calls", func(t *testing.T) {
		w := startedWorld(t, anything(OneForOne), kid("a"), kid("b"))
		w.slow["x"] = true
		add := w.call(verbStart, "x", kid("x"))
		queued := w.call(verbRestart, "a")
		w.send(stopAsked{})
		w.expectReply(add, actor.ErrStopping)
		w.expectReply(queued, actor.ErrStopping)
		w.expectLog("+x -x -b -a")
		w.expectEnd(endStopped)
		if w.told["x"] != actor.PathGone {
			t.Fatalf("senders to x were told %v", w.told["x"])
		}
	})
	t.Run("stop of a child", func(t *testing.T) {
		w := startedWorld(t, anything(OneForOne), kid("a"), kid("b"))
		w.stubborn["a"], w.stubborn["b"] = true, true
		c := w.call(verbStop, "a")
		w.send(stopAsked{})
		late := w.call(verbStop, "b")
		w.expectReply(late, actor.ErrStopping)
		w.send(w.exit("a", actor.ExitStatus{Reason: actor.ReasonShutdown}))
		w.expectReply(c, nil) // it got what it asked for
		w.send(w.exit("b", actor.ExitStatus{Reason: actor.ReasonShutdown}))
		w.expectLog("-a -b")
		w.expectEnd(endStopped)
	})
	t.Run("a ready that comes after the stop", func(t *testing.T) {
		w := newWorld(t, anything(OneForOne), kid("a"))
		w.slow["a"], w.stubborn["a"] = true, true
		w.send(begin{})
		w.send(stopAsked{})
		w.send(w.started("a", nil))
		w.expect("a:stopping")
		w.send(w.exit("a", actor.ExitStatus{Reason: actor.ReasonShutdown}))
		w.expectEnd(endStopped)
	})
	t.Run("a failure that comes after the stop", func(t *testing.T) {
		w := newWorld(t, anything(OneForOne), kid("a"))
		w.slow["a"], w.stubborn["a"] = true, true
		w.send(begin{})
		w.send(stopAsked{})
		w.send(w.started("a", errBoom))
		w.expectEnd(endStopped)
	})
}

// Kill: everything at once, in every phase.
func TestKill(t *testing.T) {
	w := startedWorld(t, anything(OneForOne), kid("a"), kid("b"), kid("c"))
	w.send(killAsked{})
	w.expectLog("!c !b !a")
	w.expectEnd(endStopped)

	w = startedWorld(t, anything(OneForOne), kid("a"), kid("b"), kid("c"))
	w.stubborn["c"] = true
	w.send(stopAsked{})
	w.expectLog("-c")
	w.send(killAsked{}) // the second ^C
	w.expectLog("!c !b !a")
	w.expectEnd(endStopped)

	w = startedWorld(t, anything(OneForOne), kid("a", StopTimeout(actor.Forever)), kid("b"))
	w.stubborn["a"] = true
	c := w.call(verbStop, "a")
	w.send(killAsked{})
	w.expectLog("-a !a !b")
	w.expectReply(c, nil)
	w.expectEnd(endStopped)
}

// "Dynamic pools all at once under one shared timer."
func TestDynamic(t *testing.T) {
	w := startedWorld(t, anything(Dynamic))
	for _, id := range []string{"a", "b", "c"} {
		w.expectReply(w.call(verbStart, id, kid(id, Transient)), nil)
	}
	w.log = nil
	w.crash("b")
	w.expectLog("+b")
	w.finish("a") // the spec of one that ended goes with it
	w.expect("b:running c:running")
	w.expectReply(w.call(verbStop, "c"), nil)
	w.expectReply(w.call(verbRestart, "c"), actor.ErrNotFound)
	w.expect("b:running")
	w.starts["d"] = []error{actor.ErrIgnore}
	w.expectReply(w.call(verbStart, "d", kid("d")), nil)
	w.expect("b:running")
	w.expectReply(w.call(verbStart, "e", kid("e")), nil)
	w.log = nil
	w.stubborn["b"], w.stubborn["e"] = true, true
	w.send(stopAsked{})
	w.expectLog("-e -b")
	w.send(w.exit("b", actor.ExitStatus{Reason: actor.ReasonShutdown}))
	w.send(w.exit("e", actor.ExitStatus{Reason: actor.ReasonShutdown}))
	w.expectEnd(endStopped)
}

// "Considered only when a significant child ends by itself and is not
// restarted. Any: the supervisor stops. All: it stops when no other significant
// child runs."
func TestAutoShutdown(t *testing.T) {
	any1 := rules{intensity: 1000, period: time.Second, auto: AutoShutdownAny}
	all := rules{intensity: 1000, period: time.Second, auto: AutoShutdownAll}
	sig := func(id string, r actor.Option) spec { return kid(id, r, Significant) }
	for _, tc := range []struct {
		name  string
		rules rules
		do    func(w *world)
		ends  bool
	}{
		{"any: a normal end", any1, func(w *world) { w.finish("t1") }, true},
		{"any: a shutdown", any1, func(w *world) { w.ends("t1", actor.ExitStatus{Reason: actor.ReasonShutdown}) }, true},
		{"any: a temporary one's normal end", any1, func(w *world) { w.finish("p") }, true},
		{"any: a temporary one's crash", any1, func(w *world) { w.crash("p") }, true},
		{"any: a crash that is restarted", any1, func(w *world) { w.crash("t1") }, false},
		{"any: not significant", any1, func(w *world) { w.finish("plain") }, false},
		{"any: do not restart", any1, func(w *world) {
			w.ends("t1", actor.ExitStatus{Reason: actor.ReasonError, DoNotRestart: true})
		}, true},
		{"all: the first of three", all, func(w *world) { w.finish("t1") }, false},
		{"all: the last", all, func(w *world) { w.finish("t1"); w.crash("p"); w.finish("t2") }, true},
		{"all: not significant", all, func(w *world) { w.finish("t1"); w.crash("p"); w.finish("plain") }, false},
		{"all: the others were stopped by hand", all, func(w *world) {
			w.call(verbStop, "t1")
			w.call(verbStop, "p")
			w.finish("t2")
		}, true},
		{"never triggered by an admin call", any1, func(w *world) {
			for _, id := range []string{"t1", "t2", "p", "plain"} {
				w.call(verbStop, id)
			}
		}, false},
		{"one that is restarting counts as running", all, func(w *world) {
			w.starts["t1"] = []error{errBoom}
			w.crash("t1") // restarting: the second attempt is an hour away
			w.finish("t2")
			w.finish("p")
			w.expect("t1:restarting t2:stopped plain:running")
		}, false},
		{"a failed start in a restart is retried", any1, func(w *world) {
			w.starts["t1"] = []error{errBoom}
			w.crash("t1")
		}, false},
		{"a start in a restart that says do not restart", any1, func(w *world) {
			w.starts["t1"] = []error{actor.ErrDoNotRestart}
			w.crash("t1")
		}, true},
		{"never", rules{intensity: 1000, period: time.Second}, func(w *world) { w.finish("t1"); w.finish("t2"); w.finish("p") }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := startedWorld(t, tc.rules, kid("t1", Transient, Significant, WithBackoff(actor.Backoff{Min: time.Hour})),
				sig("t2", Transient), sig("p", Temporary), kid("plain", Transient))
			tc.do(w)
			if tc.ends {
				w.expectEnd(endAutoShutdown)
				if w.over.err != nil {
					t.Fatalf("end says %v", w.over.err)
				}
			} else {
				w.expectLives()
			}
		})
	}
}

// "Never triggered ... by a group restart or by a restart."
func TestAutoShutdownNotByGroupRestart(t *testing.T) {
	for _, auto := range []AutoShutdown{AutoShutdownAny, AutoShutdownAll} {
		w := startedWorld(t, rules{strategy: OneForAll, intensity: 9, period: time.Second, auto: auto},
			kid("a"), kid("p", Temporary, Significant), kid("t", Transient, Significant))
		w.stubborn["t"] = true
		w.crash("a")
		w.finish("p") // by itself, in the midst of a group restart that takes it along
		w.finish("t") // likewise, and it was asked already
		w.expectLives()
		w.expect("a:running t:running")
	}
}

// "StartChild: id running -> ErrAlreadyStarted; id known but not running ->
// ErrAlreadyPresent." "A child added at run time goes to the end of the order;
// if its start fails the spec is not kept, nothing is counted, and the
// supervisor is unaffected."
func TestStartChild(t *testing.T) {
	w := startedWorld(t, rules{intensity: 0, period: time.Hour}, kid("a"), kid("b"))
	w.expectReply(w.call(verbStart, "a", kid("a")), ErrAlreadyStarted)
	w.expectReply(w.call(verbStart, "a", kid("a")), actor.ErrNameTaken)
	w.expectReply(w.call(verbStart, "x", kid("x")), nil)
	w.starts["y"] = []error{errBoom}
	failed := w.call(verbStart, "y", kid("y"))
	w.expectReply(failed, errBoom)
	var start *StartError
	if !errors.As(w.mustReply(failed), &start) || start.Path != "/y" {
		t.Fatalf("%v does not name the child", w.mustReply(failed))
	}
	w.expect("a:running b:running x:running")
	w.call(verbStop, "a")
	w.expectReply(w.call(verbStart, "a", kid("a")), ErrAlreadyPresent)
	w.expectReply(w.call(verbStart, "y", kid("y")), nil)
	w.starts["ignored"] = []error{actor.ErrIgnore}
	w.expectReply(w.call(verbStart, "ignored", kid("ignored")), nil)
	w.starts["ignored temp"] = []error{actor.ErrIgnore}
	w.expectReply(w.call(verbStart, "ignored temp", kid("ignored temp", Temporary)), nil)
	w.expect("a:stopped b:running x:running y:running ignored:stopped")
	w.log = nil
	w.send(stopAsked{})
	w.expectLog("-y -x -b")
}

// "StopChild: ok, also when not running; spec stays unless temporary;
// ErrNotFound." The other children are not touched under any strategy.
func TestStopChild(t *testing.T) {
	for _, st := range []Strategy{OneForOne, RestForOne, OneForAll} {
		w := startedWorld(t, anything(st), kid("a"), kid("b", Temporary), kid("c"))
		w.expectReply(w.call(verbStop, "a"), nil)
		w.expectReply(w.call(verbStop, "a"), nil)
		w.expectReply(w.call(verbStop, "b"), nil)
		w.expectReply(w.call(verbStop, "b"), actor.ErrNotFound)
		w.expectReply(w.call(verbStop, "nobody"), actor.ErrNotFound)
		w.expectLog("-a -b")
		w.expect("a:stopped c:running")
		if w.told["a"] != actor.PathStopped || w.told["b"] != actor.PathGone {
			t.Fatalf("told %v", w.told)
		}
	}
}

// "RestartChild: ErrRunning, ErrRestarting, ErrNotFound, or the start error
// (spec stays)."
func TestRestartChild(t *testing.T) {
	w := startedWorld(t, anything(OneForOne), kid("a"), kid("b"))
	w.expectReply(w.call(verbRestart, "a"), ErrRunning)
	w.expectReply(w.call(verbRestart, "nobody"), actor.ErrNotFound)
	w.call(verbStop, "a")
	w.starts["a"] = []error{errBoom, actor.ErrIgnore}
	w.expectReply(w.call(verbRestart, "a"), errBoom)
	w.expect("a:stopped b:running")
	w.expectReply(w.call(verbRestart, "a"), nil) // ignored
	w.expect("a:stopped b:running")
	w.expectReply(w.call(verbRestart, "a"), nil)
	w.expect("a:running b:running") // in its old position
}

// "DeleteChild: ok; ErrRunning, ErrRestarting, ErrNotFound."
func TestDeleteChild(t *testing.T) {
	w := startedWorld(t, anything(OneForOne), kid("a"), kid("b"))
	w.expectReply(w.call(verbDelete, "a"), ErrRunning)
	w.expectReply(w.call(verbDelete, "nobody"), actor.ErrNotFound)
	w.call(verbStop, "a")
	w.expectReply(w.call(verbDelete, "a"), nil)
	w.expect("b:running")
	if w.told["a"] != actor.PathGone {
		t.Fatalf("senders to a were told %v", w.told["a"])
	}
	w.expectReply(w.call(verbStart, "a", kid("a")), nil)
	w.expect("b:running a:running")
}

// "They queue, they never fail because a restart is under way."
func TestCallsQueue(t *testing.T) {
	w := startedWorld(t, anything(OneForAll), kid("a"), kid("b"))
	w.slow["a"] = true
	w.crash("b")
	calls := []callID{
		w.call(verbStart, "x", kid("x")),
		w.call(verbStop, "b"),
		w.call(verbDelete, "b"),
		w.call(verbRestart, "a"),
		w.call(verbDelete, "nobody"),
	}
	for _, c := range calls {
		w.waits(c)
	}
	w.send(childReady{"a", w.live["a"]})
	for i, want := range []error{nil, nil, nil, ErrRunning, actor.ErrNotFound} {
		w.expectReply(calls[i], want)
	}
	w.expectLog("-a +a +b +x -b")
	w.expect("a:running x:running")
}

// Admin calls are ctx-bounded: one that nobody waits for any more never
// begins; a start under way is undone; a stop goes on.
func TestCancelledCalls(t *testing.T) {
	w := startedWorld(t, anything(OneForOne), kid("a"), kid("b"))
	w.slow["x"], w.slow["a"] = true, true
	add := w.call(verbStart, "x", kid("x"))
	queued := w.call(verbStart, "y", kid("y"))
	w.send(callCancelled{queued, errCanceled})
	w.expectReply(queued, errCanceled)
	w.send(callCancelled{add, errCanceled})
	w.expectReply(add, errCanceled)
	w.expectLog("+x -x")
	w.expect("a:running b:running")

	w.call(verbStop, "a")
	w.log = nil
	again := w.call(verbRestart, "a")
	w.send(callCancelled{again, errCanceled})
	w.expectReply(again, errCanceled)
	w.expectLog("+a -a")
	w.expect("a:stopped b:running")

	w.stubborn["b"] = true
	stopB := w.call(verbStop, "b")
	w.send(callCancelled{stopB, errCanceled})
	w.waits(stopB)
	w.send(w.exit("b", actor.ExitStatus{Reason: actor.ReasonShutdown}))
	w.expectReply(stopB, nil)
	w.send(callCancelled{stopB, errCanceled}) // too late: nothing
	w.expect("a:stopped b:stopped")
}

// Events about incarnations that are no more mean nothing.
func TestStaleEvents(t *testing.T) {
	w := startedWorld(t, anything(OneForOne), kid("a"))
	old := w.live["a"]
	w.crash("a")
	w.log, w.events = nil, nil
	w.one(childExited{"a", old, actor.ExitStatus{Reason: actor.ReasonPanic}})
	w.one(childReady{"a", old})
	w.one(childFailed{id: "a", inc: old})
	w.one(childExited{"nobody", 1, actor.ExitStatus{}})
	w.one(retryDue{"nobody", 1})
	w.expectLog("")
	w.expectEvents()
	w.expect("a:running")
}
