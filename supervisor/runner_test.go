package supervisor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// onStage starts a tree of fakes in a bubble with a virtual clock.
func onStage(t *testing.T, test func(t *testing.T, st *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newStage()) })
}

func mustStart(t *testing.T, st *stage, spec Spec) *Tree {
	t.Helper()
	tree, err := st.start(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	st.did()
	return tree
}

func mustDid(t *testing.T, st *stage, want string) {
	t.Helper()
	synctest.Wait()
	if got := st.did(); got != want {
		t.Fatalf("did  %q\nwant %q", got, want)
	}
}

func mustStop(t *testing.T, st *stage, tree *Tree) {
	t.Helper()
	if err := tree.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	st.gone(t)
}

func show(tree *Tree) string {
	var b []string
	for c := range tree.Children() {
		b = append(b, c.Name+":"+c.State)
	}
	return strings.Join(b, " ")
}

func mustShow(t *testing.T, tree *Tree, want string) {
	t.Helper()
	synctest.Wait()
	if got := show(tree); got != want {
		t.Fatalf("children %q\nwant     %q", got, want)
	}
}

func TestTreeStartsAndStops(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		st.usual["/a"] = script{startIn: time.Second, stopIn: time.Second}
		begun := time.Now()
		tree, err := st.start(context.Background(), Spec{Children: []Child{st.actor("a"), st.actor("b")}})
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begun); d != time.Second {
			t.Fatalf("Start returned after %v, before all were ready", d)
		}
		mustDid(t, st, "+/a +/b")
		mustShow(t, tree, "a:running b:running")
		for c := range tree.Children() {
			if c.PID != 4711 || c.Path != "/"+c.Name || c.Kind != "fake" || c.Incarnation == (actor.Incarnation{}) || c.Since.IsZero() {
				t.Fatalf("%+v", c)
			}
		}
		mustStop(t, st, tree)
		mustDid(t, st, "-/b -/a")
		if err := tree.Err(); err != nil {
			t.Fatal(err)
		}
		mustStop(t, st, tree) // again
		mustShow(t, tree, "a:stopped b:stopped")
	})
}

// Restarts within the window by the virtual clock; then the end of the root.
func TestTreeGivesUp(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		tree := mustStart(t, st, Spec{Intensity: 2, Children: []Child{st.actor("a"), st.actor("b")}})
		st.crash(t, "/b")
		mustDid(t, st, "+/b")
		time.Sleep(5 * time.Second) // the edge is inclusive
		st.crash(t, "/b")
		mustDid(t, st, "+/b")
		time.Sleep(time.Nanosecond)
		st.crash(t, "/b") // the first is out of the window now
		mustDid(t, st, "+/b")
		st.crash(t, "/b")
		<-tree.Done()
		mustDid(t, st, "-/a")
		st.gone(t)
		var gaveUp *GaveUpError
		if !errors.As(tree.Err(), &gaveUp) || gaveUp.Child != "/b" || !errors.Is(tree.Err(), errBoom) || !strings.Contains(tree.Err().Error(), "/b") {
			t.Fatalf("Err is %v", tree.Err())
		}
		if err := tree.Wait(context.Background()); err != tree.Err() {
			t.Fatalf("Wait returns %v", err)
		}
		if err := tree.StartChild(context.Background(), st.actor("x")); !errors.Is(err, actor.ErrStopped) {
			t.Fatalf("StartChild after the end: %v", err)
		}
		if err := tree.Stop(context.Background()); err != nil {
			t.Fatalf("Stop after the end: %v", err)
		}
	})
}

func TestTreeBackoff(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		tree := mustStart(t, st, Spec{Intensity: 100, Children: []Child{
			st.actor("a", Child{Backoff: Backoff{Min: time.Second, Max: 2 * time.Second, Reset: time.Minute}}), st.actor("b")}})
		st.crash(t, "/a")
		mustDid(t, st, "+/a")
		for _, d := range []time.Duration{time.Second, 2 * time.Second, 2 * time.Second} {
			st.crash(t, "/a")
			mustShow(t, tree, "a:restarting b:running")
			if st.state("/a") != runtime.PathRestarting {
				t.Fatalf("senders were told %v", st.state("/a"))
			}
			time.Sleep(d - 1)
			mustDid(t, st, "")
			time.Sleep(time.Nanosecond)
			mustDid(t, st, "+/a")
		}
		st.crash(t, "/a")
		synctest.Wait()
		if err := tree.RestartChild(context.Background(), "a"); !errors.Is(err, ErrRestarting) {
			t.Fatalf("restart of a restarting child: %v", err)
		}
		// "Stop of the supervisor returns promptly."
		begun := time.Now()
		mustStop(t, st, tree)
		if time.Since(begun) != 0 {
			t.Fatalf("stop took %v", time.Since(begun))
		}
	})
}

func TestTreeJitter(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		tree := mustStart(t, st, Spec{Intensity: 100, Children: []Child{
			st.actor("a", Child{Backoff: Backoff{Min: 10 * time.Second, Jitter: 0.5}})}})
		st.crash(t, "/a")
		mustDid(t, st, "+/a")
		st.crash(t, "/a")
		synctest.Wait()
		time.Sleep(5*time.Second - 1)
		mustDid(t, st, "")
		time.Sleep(5*time.Second + 1)
		mustDid(t, st, "+/a")
		mustStop(t, st, tree)
	})
}

func TestTreeStartFails(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		st.usual["/m/y"] = script{startErr: errBoom}
		_, err := st.start(context.Background(), Spec{Children: []Child{
			st.actor("a"),
			{Name: "m", Run: Spec{Children: []Child{st.actor("x"), st.actor("y"), st.actor("z")}}},
			st.actor("b"),
		}})
		var start *StartError
		if !errors.Is(err, errBoom) || !errors.As(err, &start) || start.Path != "/m" || !strings.Contains(err.Error(), "/m/y") {
			t.Fatalf("Start returned %v", err)
		}
		mustDid(t, st, "+/a +/m/x +/m/y -/m/x -/a")
		st.gone(t)
	})
}

// Admin calls are ctx-bounded; a start that nobody waits for is undone.
func TestCallCtx(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		st.usual["/slow"] = script{startIn: time.Hour}
		tree := mustStart(t, st, Spec{Children: []Child{st.actor("a")}})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := tree.StartChild(ctx, st.actor("slow")); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("StartChild returned %v", err)
		}
		mustDid(t, st, "+/slow -/slow")
		mustShow(t, tree, "a:running")
		if err := tree.StartChild(ctx, st.actor("x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("StartChild with an ended ctx returned %v", err)
		}
		mustDid(t, st, "")
		mustStop(t, st, tree)
	})
}

// Calls wait for a restart under way, and see what it made.
func TestCallsWaitForRestart(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		tree := mustStart(t, st, Spec{Children: []Child{st.actor("a")}})
		st.next["/a"] = []script{{startIn: time.Minute}}
		st.crash(t, "/a")
		mustDid(t, st, "+/a")
		begun := time.Now()
		if err := tree.RestartChild(context.Background(), "a"); !errors.Is(err, ErrRunning) {
			t.Fatalf("RestartChild returned %v", err)
		}
		if time.Since(begun) != time.Minute {
			t.Fatalf("answered after %v", time.Since(begun))
		}
		mustStop(t, st, tree)
	})
}

// A child without a delay whose starts always fail leaves room for a stop.
func TestStopBetweenImmediateRetries(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		tree := mustStart(t, st, Spec{Intensity: 1 << 30, Children: []Child{st.actor("a")}})
		st.mu.Lock()
		st.usual["/a"] = script{startIn: time.Millisecond, startErr: errBoom}
		st.mu.Unlock()
		st.crash(t, "/a")
		time.Sleep(100*time.Millisecond + time.Nanosecond)
		mustStop(t, st, tree)
	})
}

// A start that failed is news only when the process is reaped: until then no
// other incarnation is started, and Start does not return.
func TestFailedStartIsReapedFirst(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		slow := script{startErr: errBoom, reapIn: time.Minute}
		tree := mustStart(t, st, Spec{Intensity: 5, Children: []Child{st.actor("a")}})
		st.next["/a"] = []script{slow}
		st.crash(t, "/a")
		mustDid(t, st, "+/a")
		time.Sleep(time.Minute)
		mustDid(t, st, "+/a")
		mustStop(t, st, tree)

		st.usual["/a"] = slow
		begun := time.Now()
		if _, err := st.start(context.Background(), Spec{Children: []Child{st.actor("a")}}); !errors.Is(err, errBoom) {
			t.Fatalf("Start returned %v", err)
		}
		if time.Since(begun) != time.Minute {
			t.Fatalf("Start returned after %v", time.Since(begun))
		}
		st.gone(t)
	})
}

func TestEventsAndCount(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		tree := mustStart(t, st, Spec{Children: []Child{st.actor("a"), {Name: "m", Run: Spec{}}, st.actor("b", Child{Restart: Transient})}})
		if got, want := tree.Count(), (Counts{Specs: 3, Active: 3, Supervisors: 1, Actors: 2}); got != want {
			t.Fatalf("count %+v, want %+v", got, want)
		}
		st.ends(t, "/b", actor.ExitStatus{Reason: actor.ReasonNormal})
		synctest.Wait()
		if got, want := tree.Count(), (Counts{Specs: 3, Active: 2, Supervisors: 1, Actors: 2}); got != want {
			t.Fatalf("count %+v, want %+v", got, want)
		}
		st.crash(t, "/a")
		synctest.Wait()
		for c := range tree.Children() {
			if c.Name == "a" && (c.Restarts != 1 || c.LastExit.Reason != actor.ReasonPanic) {
				t.Fatalf("%+v", c)
			}
			break // leaving early is fine
		}
		mustStop(t, st, tree)
		var types []string
		for _, e := range st.events {
			if e.Time.IsZero() || e.Kind == "" {
				t.Fatalf("%+v", e)
			}
			types = append(types, fmt.Sprintf("%s %s", e.Type, e.Path))
		}
		want := "starting /a, ready /a, starting /m, ready /m, starting /b, ready /b, exited /b, exited /a, restarting /a, " +
			"starting /a, ready /a, stopped /m, exited /m, exited /a, stopped /"
		if got := strings.Join(types, ", "); got != want {
			t.Fatalf("events\n%s\nwant\n%s", got, want)
		}
	})
}
