package supervisor

import (
	"fmt"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// The table "A child ends by itself", every cell of it, under every strategy.
func TestEndByItself(t *testing.T) {
	normal := actor.ExitStatus{Reason: actor.ReasonNormal}
	shutdown := actor.ExitStatus{Reason: actor.ReasonShutdown}
	exits := map[string][]actor.ExitStatus{
		"normal":   {normal},
		"shutdown": {shutdown},
		"abnormal": {
			{Reason: actor.ReasonError, Err: errBoom}, {Reason: actor.ReasonPanic}, {Reason: actor.ReasonExitCode, Code: 3},
			{Reason: actor.ReasonSignal}, {Reason: actor.ReasonOutOfMemory}, {Reason: actor.ReasonUnresponsive},
			{Reason: actor.ReasonProtocol}, {Reason: actor.ReasonLost},
		},
	}
	const (
		restart = "restart"
		stays   = "spec stays, not running"
		removed = "spec removed"
	)
	for _, row := range []struct {
		restart Restart
		class   string
		want    string
	}{
		{Permanent, "normal", restart},
		{Permanent, "shutdown", restart},
		{Permanent, "abnormal", restart},
		{Transient, "normal", stays},
		{Transient, "shutdown", stays},
		{Transient, "abnormal", restart},
		{Temporary, "normal", removed},
		{Temporary, "shutdown", removed},
		{Temporary, "abnormal", removed},
	} {
		for _, strategy := range []Strategy{OneForOne, RestForOne, OneForAll} {
			for _, exit := range exits[row.class] {
				t.Run(fmt.Sprintf("%v/%v/%v", row.restart, strategies[strategy], exit.Reason), func(t *testing.T) {
					w := startedWorld(t, anything(strategy), kid("a"),
						kid("b", Child{Restart: row.restart}), kid("c"))
					w.ends("b", exit)
					switch row.want {
					case restart:
						w.expect("a:running b:running c:running")
						w.expectLog(map[Strategy]string{
							OneForOne:  "+b",
							RestForOne: "-c +b +c",
							OneForAll:  "-c -a +a +b +c",
						}[strategy])
					case stays:
						// Siblings are touched only if the ended child is going
						// to be restarted.
						w.expect("a:running b:stopped c:running")
						w.expectLog("")
						if w.told["b"] != runtime.PathStopped {
							t.Fatalf("senders to b were told %v", w.told["b"])
						}
					case removed:
						w.expect("a:running c:running")
						w.expectLog("")
						if w.told["b"] != runtime.PathGone {
							t.Fatalf("senders to b were told %v", w.told["b"])
						}
					}
					w.expectLives()
				})
			}
		}
	}
}

// "The error value it returned does not decide": an inner context.Canceled is
// abnormal like any other.
func TestInnerCanceledIsAbnormal(t *testing.T) {
	w := startedWorld(t, anything(OneForOne), kid("a", Child{Restart: Transient}))
	w.ends("a", actor.ExitStatus{Reason: actor.ReasonError, Err: fmt.Errorf("query: %w", errCanceled)})
	w.expectLog("+a")
}

// "Exit code 125 or actor.ErrDoNotRestart means: do not restart, whatever the
// type."
func TestDoNotRestart(t *testing.T) {
	for _, exit := range []actor.ExitStatus{
		{Reason: actor.ReasonExitCode, Code: actor.ExitCodeDoNotRestart, DoNotRestart: true},
		{Reason: actor.ReasonError, Err: actor.ErrDoNotRestart, DoNotRestart: true},
	} {
		w := startedWorld(t, anything(OneForAll), kid("a"), kid("b", Child{Restart: Transient}), kid("c", Child{Restart: Temporary}))
		w.ends("a", exit)
		w.ends("b", exit)
		w.ends("c", exit)
		w.expectLog("")
		w.expect("a:stopped b:stopped")
	}

	// Also when it is the start that says so, in a restart: the rest comes up.
	w := startedWorld(t, anything(OneForAll), kid("a"), kid("b"), kid("c"))
	w.starts["b"] = []error{actor.ErrDoNotRestart}
	w.crash("a")
	w.expectLog("-c -b +a +b +c")
	w.expect("a:running b:stopped c:running")
}

// A group restart is one thing; what ends meanwhile has to wait, and is dealt
// with then.
func TestEndDuringGroupRestart(t *testing.T) {
	t.Run("a member that was not yet asked to stop", func(t *testing.T) {
		w := startedWorld(t, anything(OneForAll), kid("a"), kid("b"), kid("c"))
		w.stubborn["c"] = true
		w.crash("a")
		w.expectLog("-c")
		w.crash("b") // waits; then it is found dead and is not asked
		w.expectLog("")
		w.send(w.exit("c", actor.ExitStatus{Reason: actor.ReasonShutdown}))
		w.expectLog("+a +b +c")
		w.expect("a:running b:running c:running")
		if w.s.window.len() != 1 {
			t.Fatalf("%d restarts counted, want 1: a group restart counts once", w.s.window.len())
		}
	})
	t.Run("a member that just came up", func(t *testing.T) {
		w := startedWorld(t, anything(OneForAll), kid("a"), kid("b"))
		w.slow["b"] = true
		w.crash("b")
		w.expectLog("-a +a +b")
		w.crash("a")
		w.expectLog("")
		w.slow["b"] = false
		w.send(childReady{"b", w.live["b"]})
		w.expectLog("-b +a +b")
		w.expect("a:running b:running")
	})
	t.Run("somebody else", func(t *testing.T) {
		w := startedWorld(t, anything(RestForOne), kid("a", Child{Restart: Transient}), kid("b"), kid("c"))
		w.stubborn["c"] = true
		w.crash("b")
		w.finish("a")
		w.expect("a:exited b:restarting c:stopping")
		w.send(w.exit("c", actor.ExitStatus{Reason: actor.ReasonShutdown}))
		w.expect("a:stopped b:running c:running")
	})
	t.Run("during the initial start", func(t *testing.T) {
		w := newWorld(t, anything(OneForOne), kid("a"), kid("b"))
		w.slow["b"] = true
		w.send(begin{})
		w.crash("a")
		w.expectLog("+a +b")
		w.send(childReady{"b", w.live["b"]})
		w.expectLog("+a")
		w.expect("a:running b:running")
	})
}

// "One counter per supervisor over all its children; sliding window, edge
// inclusive. intensity restarts within period are allowed, the next one ends
// the supervisor; 0 means the first."
func TestIntensity(t *testing.T) {
	for _, tc := range []struct {
		name      string
		intensity int
		at        []time.Duration // of crashes, of a and b in turn
		gaveUp    bool            // at the last one, and not before
	}{
		{"0 means the first", 0, []time.Duration{time.Hour}, true},
		{"1 is allowed", 1, []time.Duration{0}, false},
		{"the next one ends it", 1, []time.Duration{0, time.Second}, true},
		{"edge inclusive", 1, []time.Duration{0, 5 * time.Second}, true},
		{"past the edge", 1, []time.Duration{0, 5*time.Second + 1}, false},
		{"sliding", 2, []time.Duration{0, 4 * time.Second, 6 * time.Second, 9 * time.Second}, true},
		{"sliding on", 2, []time.Duration{0, 4 * time.Second, 6 * time.Second, 12 * time.Second}, false},
		{"3 are allowed", 3, []time.Duration{1, 2, 3}, false},
		{"and 4 are not", 3, []time.Duration{1, 2, 3, 4}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := startedWorld(t, rules{intensity: tc.intensity, period: 5 * time.Second}, kid("a"), kid("b"))
			for i, at := range tc.at {
				w.expectLives()
				w.at = at
				w.crash([]string{"a", "b"}[i%2])
			}
			if tc.gaveUp {
				w.expectEnd(endGaveUp)
			} else {
				w.expectLives()
				w.expect("a:running b:running")
			}
		})
	}
}

// "Over the limit: children stop in reverse order with their own timeouts, the
// supervisor ends with reason shutdown."
func TestGiveUp(t *testing.T) {
	w := startedWorld(t, rules{intensity: 0, period: time.Second},
		kid("a", Child{StopTimeout: KillAtOnce}), kid("b"), kid("c", Child{StopTimeout: Forever}), kid("d"))
	w.crash("b")
	w.expectLog("-d -c !a")
	w.expectEnd(endGaveUp)
	w.expectEvents("exited b panic", "gave up", "exited d shutdown", "exited c shutdown", "exited a killed")
	var gaveUp *GaveUpError
	if !asError(w.over.err, &gaveUp) || gaveUp.Child != "/b" || gaveUp.Err != errBoom {
		t.Fatalf("end says %v", w.over.err)
	}
}

// "A respawn that fails" until the limit is reached.
func TestGiveUpAfterFailedStarts(t *testing.T) {
	w := startedWorld(t, rules{intensity: 3, period: time.Hour}, kid("a"), kid("b"))
	w.starts["b"] = []error{errBoom, errBoom, errBoom, errBoom, errBoom}
	w.crash("b") // the crash and two failed attempts are 3; the next one is over
	w.expectLog("+b +b")
	w.fire()
	w.expectLog("+b")
	w.fire()
	w.expectLog("-a")
	w.expectEnd(endGaveUp)
}

// "A wall-clock jump changes nothing": times are durations since the start, and
// an event that seems to come from the past does not turn them back.
func TestTimeNeverGoesBack(t *testing.T) {
	w := startedWorld(t, rules{intensity: 2, period: time.Second}, kid("a"))
	w.at = 10 * time.Second
	w.crash("a")
	w.at = 0
	w.crash("a") // counted at 10 s
	w.expectLives()
	w.at = 10*time.Second + 1
	w.crash("a")
	w.expectEnd(endGaveUp)
}

// "Admin calls never count."
func TestAdminCallsNeverCount(t *testing.T) {
	w := startedWorld(t, rules{intensity: 0, period: time.Hour}, kid("a"))
	for range 5 {
		w.expectReply(w.call(verbStop, "a"), nil)
		w.starts["a"] = []error{errBoom}
		w.expectReply(w.call(verbRestart, "a"), errBoom)
		w.expectReply(w.call(verbRestart, "a"), nil)
		w.starts["x"] = []error{errBoom}
		w.expectReply(w.call(verbStart, "x", kid("x")), errBoom)
	}
	w.expectLives()
	w.expect("a:running")
}
