package supervisor

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// While one child's constructor hangs, others start, restart and stop; a stop of
// the hanging one ends its start.
func TestTreeWhileStarting(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		tree := mustStart(t, st, Spec{Intensity: 10, Children: []Child{st.actor("a"), st.actor("b")}})
		st.usual["/x"] = script{startIn: -1}
		failed := make(chan error, 1)
		go func() { failed <- tree.StartChild(context.Background(), st.actor("x")) }()
		mustDid(t, st, "+/x")
		begun := time.Now()
		st.crash(t, "/a")
		mustDid(t, st, "+/a")
		if err := tree.StopChild(context.Background(), "b"); err != nil {
			t.Fatal(err)
		}
		if err := tree.StartChild(context.Background(), st.actor("y")); err != nil {
			t.Fatal(err)
		}
		if err := tree.StopChild(context.Background(), "x"); err != nil {
			t.Fatal(err)
		}
		if err := <-failed; !errors.Is(err, actor.ErrStopped) {
			t.Fatalf("StartChild: %v", err)
		}
		if time.Since(begun) != 0 {
			t.Fatalf("took %v", time.Since(begun))
		}
		mustShow(t, tree, "a:running b:stopped y:running")
		mustStop(t, st, tree)
	})
}

// Constructors of dynamic children run side by side, as many as Parallel says;
// so do their stops, under one timer for all.
func TestTreeDynamic(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		spec := Spec{Strategy: Dynamic, Parallel: 2}
		for _, id := range []string{"a", "b", "c", "d"} {
			st.usual["/"+id] = script{startIn: time.Second, stopIn: -1}
			spec.Children = append(spec.Children, st.actor(id, Child{StopTimeout: 3 * time.Second}))
		}
		begun := time.Now()
		tree := mustStart(t, st, spec)
		if d := time.Since(begun); d != 2*time.Second {
			t.Fatalf("4 starts of 1 s, 2 at once, took %v", d)
		}
		begun = time.Now()
		mustStop(t, st, tree)
		if d := time.Since(begun); d != 3*time.Second {
			t.Fatalf("4 stops under one timer of 3 s took %v", d)
		}
	})
}

// KillChild is a crash to the rules, of a nested supervisor, too; Child tells of
// one child.
func TestTreeKillChild(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		st.usual["/m/b"] = script{stopIn: -1}
		tree := mustStart(t, st, Spec{Intensity: 10, Children: []Child{
			st.actor("a", Child{Restart: Transient}), {Name: "m", Run: Spec{Children: []Child{st.actor("b")}}, Restart: Transient}}})
		before, err := tree.Child("a")
		if err != nil || before.Path != "/a" || before.Spec.Name != "a" || !before.Running {
			t.Fatalf("%+v, %v", before, err)
		}
		for _, id := range []string{"a", "m"} {
			if err := tree.KillChild(context.Background(), id); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			c, err := tree.Child(id)
			if err != nil || c.State != "running" || c.Restarts != 1 || c.LastExit.Signal != syscall.SIGKILL || runtime.ClassOf(c.LastExit.Reason) != runtime.Abnormal {
				t.Fatalf("%+v, %v, %v", c, c.LastExit, err)
			}
		}
		mustDid(t, st, "!!/a +/a -/m/b !/m/b +/m/b")
		if _, err := tree.Child("nobody"); !errors.Is(err, actor.ErrNotFound) {
			t.Fatal(err)
		}
		if err := tree.KillChild(context.Background(), "nobody"); !errors.Is(err, actor.ErrNotFound) {
			t.Fatal(err)
		}
		if err := tree.StopChild(context.Background(), "a"); err != nil {
			t.Fatal(err)
		}
		if err := tree.KillChild(context.Background(), "a"); !errors.Is(err, actor.ErrNotRunning) {
			t.Fatal(err)
		}
		mustStop(t, st, tree)
		if len(tree.timers) > 0 {
			t.Fatalf("timers left: %v", tree.timers)
		}
	})
}

// The timers of children that are gone are forgotten.
func TestTreeForgetsTimers(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		tree := mustStart(t, st, Spec{Strategy: Dynamic, Intensity: 100})
		for _, id := range []string{"a", "b", "c"} {
			if err := tree.StartChild(context.Background(), st.actor(id, Child{Backoff: Backoff{Min: time.Second}})); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				st.crash(t, "/"+id)
				time.Sleep(time.Minute)
			}
			if err := tree.StopChild(context.Background(), id); err != nil {
				t.Fatal(err)
			}
		}
		tree.mu.Lock()
		n := len(tree.timers)
		tree.mu.Unlock()
		if n > 0 {
			t.Fatalf("%d timers", n)
		}
		mustStop(t, st, tree)
	})
}
