package supervisor

import (
	"errors"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// "In list order; child n+1 is not started before n is ready."
func TestStartInOrder(t *testing.T) {
	w := newWorld(t, anything(OneForOne), kid("a"), kid("b"), kid("c"))
	w.slow["b"] = true
	w.send(begin{})
	w.expectLog("+a +b")
	if w.told["c"] != runtime.PathStarting {
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
	w := newWorld(t, anything(OneForOne), kid("a", Child{StopTimeout: KillAtOnce}), kid("b"), kid("c"), kid("d"))
	w.starts["c"] = []error{errBoom}
	w.send(begin{})
	w.expectLog("+a +b +c -b !a")
	w.expectEnd(endStartFailed)
	var start *StartError
	if !errors.As(w.over.err, &start) || start.Path != "/c" || !errors.Is(start, errBoom) {
		t.Fatalf("end says %v", w.over.err)
	}
	if w.s.window.len() != 0 {
		t.Fatal("counted")
	}
	if w.up {
		t.Fatal("reported as started")
	}
}

// "The constructor returned actor.ErrIgnore: spec kept, nothing runs (a
// temporary one's spec is dropped)."
func TestStartIgnored(t *testing.T) {
	w := newWorld(t, anything(OneForOne), kid("a"), kid("b", Child{Restart: Temporary}), kid("c"))
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
	if e := (*StartError)(nil); !errors.As(w.over.err, &e) || e.Path != "/b" || !errors.Is(e, errBoom) {
		t.Fatalf("end says %v, which does not name the child that was starting", w.over.err)
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
		w := startedWorld(t, anything(RestForOne), kid("a", Child{Restart: Transient}), kid("b", Child{Restart: Temporary}), kid("c"))
		w.slow["c"] = true
		w.crash("c")
		w.finish("a")
		w.crash("b")
		stopA, stopB, again := w.call(verbStop, "a"), w.call(verbStop, "b"), w.call(verbStart, "b", kid("b"))
		w.waits(stopA)
		w.waits(stopB)
		w.send(w.started("c", nil))
		w.expectReply(stopA, nil)
		w.expectReply(stopB, actor.ErrNotFound) // its spec went with it
		w.expectReply(again, nil)
		w.expect("a:stopped c:running b:running")
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
		queued := w.call(verbRestart, "x")
		w.send(stopAsked{})
		w.expectReply(add, actor.ErrStopping)
		w.expectReply(queued, actor.ErrStopping)
		w.expectLog("+x -x -b -a")
		w.expectEnd(endStopped)
		if w.told["x"] != runtime.PathGone {
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

	w = startedWorld(t, anything(OneForOne), kid("a", Child{StopTimeout: Forever}), kid("b"))
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
		w.expectReply(w.call(verbStart, id, kid(id, Child{Restart: Transient})), nil)
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
	w.expectReply(w.call(verbStart, "d", kid("d")), actor.ErrIgnore)
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
