package supervisor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// The parent of a supervisor that gave up: "its parent restarts it if it is
// permanent there, and does not if it is transient."
func TestNestedGivesUp(t *testing.T) {
	for _, tc := range []struct {
		restart Restart
		did     string
		show    string
		told    runtime.PathState
	}{
		{Permanent, "-/m/x +/m/x +/m/y", "a:running m:running", runtime.PathRunning},
		{Transient, "-/m/x", "a:running m:stopped", runtime.PathStopped},
		{Temporary, "-/m/x", "a:running", runtime.PathGone},
	} {
		onStage(t, func(t *testing.T, st *stage) {
			tree := mustStart(t, st, Spec{Children: []Child{st.actor("a"),
				{Name: "m", Run: Spec{Intensity: NoRestarts, Children: []Child{st.actor("x"), st.actor("y")}}, Restart: tc.restart}}})
			st.crash(t, "/m/y")
			mustDid(t, st, tc.did)
			mustShow(t, tree, tc.show)
			for _, path := range []string{"/m/x", "/m/y"} {
				if st.state(path) != tc.told {
					t.Fatalf("senders to %s were told %v, want %v", path, st.state(path), tc.told)
				}
			}
			for c := range tree.Children() {
				var gaveUp *GaveUpError
				if c.Name == "m" && (c.LastExit.Reason != actor.ReasonShutdown || !errors.As(c.LastExit.Err, &gaveUp)) {
					t.Fatalf("reported as %v", c.LastExit)
				}
			}
			mustStop(t, st, tree)
		})
	}
}

// The give-up path all the way up: each supervisor ends in its turn, and the
// root says whose fault it was.
func TestGiveUpEscalates(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		strict := func(children ...Child) Spec { return Spec{Intensity: NoRestarts, Children: children} }
		tree := mustStart(t, st, strict(st.actor("a"), Child{Name: "m", Run: strict(st.actor("b"), Child{Name: "n", Run: strict(st.actor("c"))})}))
		st.crash(t, "/m/n/c")
		<-tree.Done()
		mustDid(t, st, "-/m/b -/a")
		st.gone(t)
		if !errors.Is(tree.Err(), errBoom) || !strings.Contains(tree.Err().Error(), "/m/n/c") {
			t.Fatalf("Err is %v", tree.Err())
		}
	})
}

// "Restart of a subtree that forgets grandchildren." And: "Children added at
// run time are gone when their supervisor itself is restarted; only those of
// its spec come back."
func TestRestartOfSubtree(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		tree := mustStart(t, st, Spec{Strategy: OneForAll, Children: []Child{
			st.actor("a"),
			{Name: "m", Run: Spec{Children: []Child{st.actor("b"), {Name: "n", Run: Spec{Children: []Child{st.actor("c")}}}}}},
		}})
		m, err := tree.Supervisor("m")
		if err != nil {
			t.Fatal(err)
		}
		n, err := tree.Supervisor("m/n")
		if err != nil {
			t.Fatal(err)
		}
		for _, sub := range []*Tree{m, n} {
			if err := sub.StartChild(context.Background(), st.actor("added")); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.StopChild(context.Background(), "b"); err != nil {
			t.Fatal(err)
		}
		st.did()
		st.crash(t, "/a")
		mustDid(t, st, "-/m/added -/m/n/added -/m/n/c +/a +/m/b +/m/n/c")
		for path, want := range map[string]runtime.PathState{"/m/added": runtime.PathGone, "/m/n/added": runtime.PathGone,
			"/m/b": runtime.PathRunning, "/m/n/c": runtime.PathRunning} {
			if got := st.state(path); got != want {
				t.Fatalf("senders to %s were told %v, want %v", path, got, want)
			}
		}
		if err := m.StartChild(context.Background(), st.actor("x")); !errors.Is(err, actor.ErrStopped) {
			t.Fatalf("call to the old incarnation: %v", err)
		}
		again, err := tree.Supervisor("m")
		if err != nil || again == m {
			t.Fatalf("the supervisor is not another one: %v", err)
		}
		if _, err := tree.Supervisor("a"); !errors.Is(err, actor.ErrNotFound) {
			t.Fatalf("an actor taken for a supervisor: %v", err)
		}
		mustStop(t, st, tree)
	})
}

// Auto-shutdown "propagates up if the supervisor is itself significant".
func TestAutoShutdownPropagates(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		tree := mustStart(t, st, Spec{AutoShutdown: AutoShutdownAll, Children: []Child{
			st.actor("a"),
			{Name: "m", Run: Spec{AutoShutdown: AutoShutdownAny, Children: []Child{st.actor("b"), st.actor("job", Child{Restart: Transient, Significant: true})}}, Restart: Transient, Significant: true},
		}})
		st.ends(t, "/m/job", actor.ExitStatus{Reason: actor.ReasonNormal})
		<-tree.Done()
		mustDid(t, st, "-/m/b -/a")
		st.gone(t)
		if err := tree.Err(); err != nil {
			t.Fatalf("Err is %v: an auto-shutdown is none", err)
		}
	})
}

// A nested supervisor has no stop timeout; given one, what does not stop within
// it is killed.
func TestNestedStopTimeout(t *testing.T) {
	for _, tc := range []struct {
		stop time.Duration
		took time.Duration
		did  string
	}{
		{0, 2 * time.Hour, "-/m/y -/m/x"},
		{time.Minute, time.Minute, "-/m/y -/m/y -/m/x !/m/x !/m/y"},
		{KillAtOnce, 0, "-/m/y -/m/y -/m/x !/m/x !/m/y"},
	} {
		onStage(t, func(t *testing.T, st *stage) {
			st.usual["/m/x"] = script{stopIn: time.Hour}
			st.usual["/m/y"] = script{stopIn: time.Hour}
			tree := mustStart(t, st, Spec{Children: []Child{{Name: "m", Run: Spec{Children: []Child{st.actor("x", Child{StopTimeout: Forever}), st.actor("y", Child{StopTimeout: Forever})}}, StopTimeout: tc.stop}}})
			begun := time.Now()
			if err := tree.StopChild(context.Background(), "m"); err != nil {
				t.Fatal(err)
			}
			if time.Since(begun) != tc.took {
				t.Fatalf("stop took %v, want %v", time.Since(begun), tc.took)
			}
			synctest.Wait()
			if got := sorted(st.did()); got != sorted(tc.did) {
				t.Fatalf("did %q, want %q", got, tc.did)
			}
			mustShow(t, tree, "m:stopped")
			for c := range tree.Children() {
				if killed := c.LastExit.Reason == actor.ReasonKilled; killed != (tc.stop != 0) {
					t.Fatalf("reported as %v", c.LastExit)
				}
			}
			mustStop(t, st, tree)
		})
	}
}

func sorted(s string) string {
	f := strings.Fields(s)
	slices.Sort(f)
	return strings.Join(f, " ")
}

func TestNestedStartTimeout(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		st.usual["/m/y"] = script{startIn: time.Hour}
		_, err := st.start(context.Background(), Spec{Children: []Child{
			{Name: "m", Run: Spec{Children: []Child{st.actor("x"), st.actor("y")}}, StartTimeout: time.Minute}}})
		if !errors.Is(err, errStartTimeout) {
			t.Fatalf("Start returned %v", err)
		}
		mustDid(t, st, "+/m/x +/m/y -/m/y -/m/x")
		st.gone(t)
	})
}

// Stopping a restarting nested supervisor's parent is prompt; stopping a hung
// start of a nested supervisor works, too.
func TestNestedStoppedWhileStarting(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		tree := mustStart(t, st, Spec{Children: []Child{{Name: "m", Run: Spec{Intensity: NoRestarts, Children: []Child{st.actor("x")}}}}})
		st.next["/m/x"] = []script{{startIn: -1}}
		st.crash(t, "/m/x")
		mustDid(t, st, "+/m/x")
		mustShow(t, tree, "m:starting")
		begun := time.Now()
		mustStop(t, st, tree)
		if time.Since(begun) != 0 {
			t.Fatalf("stop took %v", time.Since(begun))
		}
	})
}

// A temporary child of a nested spec is gone when it has ended, and back, from
// the same arguments, when its supervisor is restarted.
func TestNestedTemporaryChildComesBack(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		tree := mustStart(t, st, Spec{Children: []Child{{Name: "m", Run: Spec{Intensity: NoRestarts, Children: []Child{
			st.actor("x", Child{Restart: Temporary}), st.actor("y")}}}}})
		st.crash(t, "/m/x")
		mustShow(t, tree, "m:running")
		st.crash(t, "/m/y")
		mustDid(t, st, "+/m/x +/m/y")
		mustShow(t, tree, "m:running")
		mustStop(t, st, tree)
	})
}
