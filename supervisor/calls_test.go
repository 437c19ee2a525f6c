package supervisor

import (
	"errors"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

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
	w.expectReply(w.call(verbStart, "ignored", kid("ignored")), actor.ErrIgnore)
	w.starts["ignored temp"] = []error{actor.ErrIgnore}
	w.expectReply(w.call(verbStart, "ignored temp", kid("ignored temp", Child{Restart: Temporary})), actor.ErrIgnore)
	w.expect("a:stopped b:running x:running y:running ignored:stopped")
	w.log = nil
	w.send(stopAsked{})
	w.expectLog("-y -x -b")
}

// "StopChild: ok, also when not running; spec stays unless temporary;
// ErrNotFound." The other children are not touched under any strategy.
func TestStopChild(t *testing.T) {
	for _, st := range []Strategy{OneForOne, RestForOne, OneForAll} {
		w := startedWorld(t, anything(st), kid("a"), kid("b", Child{Restart: Temporary}), kid("c"))
		w.expectReply(w.call(verbStop, "a"), nil)
		w.expectReply(w.call(verbStop, "a"), nil)
		w.expectReply(w.call(verbStop, "b"), nil)
		w.expectReply(w.call(verbStop, "b"), actor.ErrNotFound)
		w.expectReply(w.call(verbStop, "nobody"), actor.ErrNotFound)
		w.expectLog("-a -b")
		w.expect("a:stopped c:running")
		if w.told["a"] != runtime.PathStopped || w.told["b"] != runtime.PathGone {
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
	w.expectReply(w.call(verbRestart, "a"), actor.ErrIgnore)
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
	if w.told["a"] != runtime.PathGone {
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
	queued := w.call(verbStart, "x", kid("x"))
	w.send(callCancelled{call: queued, err: errCanceled})
	w.expectReply(queued, errCanceled)
	w.send(callCancelled{call: add, id: "x", err: errCanceled})
	w.expectReply(add, errCanceled)
	w.expectLog("+x -x")
	w.expect("a:running b:running")

	w.call(verbStop, "a")
	w.log = nil
	again := w.call(verbRestart, "a")
	w.send(callCancelled{call: again, id: "a", err: errCanceled})
	w.expectReply(again, errCanceled)
	w.expectLog("+a -a")
	w.expect("a:stopped b:running")

	w.stubborn["b"] = true
	stopB := w.call(verbStop, "b")
	w.send(callCancelled{call: stopB, id: "b", err: errCanceled})
	w.waits(stopB)
	w.send(w.exit("b", actor.ExitStatus{Reason: actor.ReasonShutdown}))
	w.expectReply(stopB, nil)
	w.send(callCancelled{call: stopB, id: "b", err: errCanceled}) // too late: nothing
	w.expect("a:stopped b:stopped")
}
