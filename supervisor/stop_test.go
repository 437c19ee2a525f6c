package supervisor

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// Own stop timeouts, in reverse order, one after another.
func TestTreeStopTimeouts(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		for _, id := range []string{"a", "b", "c"} {
			st.usual["/"+id] = script{stopIn: -1}
		}
		st.usual["/d"] = script{stopIn: time.Hour}
		tree := mustStart(t, st, Spec{Children: []Child{
			st.actor("a", Child{StopTimeout: KillAtOnce}), st.actor("b"), st.actor("c", Child{StopTimeout: time.Minute}), st.actor("d", Child{StopTimeout: Forever})}})
		begun := time.Now()
		mustStop(t, st, tree)
		if want := time.Hour + time.Minute + 5*time.Second; time.Since(begun) != want {
			t.Fatalf("stop took %v, want %v", time.Since(begun), want)
		}
		mustDid(t, st, "-/d -/c !/c -/b !/b -/a !/a")
		var exits []actor.Reason
		for c := range tree.Children() {
			exits = append(exits, c.LastExit.Reason)
		}
		if fmt.Sprint(exits) != "[killed killed killed shutdown]" {
			t.Fatalf("reported %v", exits)
		}
	})
}

// A ctx that ends before the orderly stop is over has the rest killed, and Stop
// still waits for the end.
func TestTreeStopBounded(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		st.usual["/a"] = script{stopIn: -1}
		st.usual["/b"] = script{stopIn: -1}
		tree := mustStart(t, st, Spec{Children: []Child{st.actor("a", Child{StopTimeout: Forever}), st.actor("b", Child{StopTimeout: Forever})}})
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err := tree.Stop(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Stop returned %v", err)
		}
		st.gone(t)
		if got := sorted(st.did()); got != "!/a !/b -/a -/b -/b" {
			t.Fatalf("did %q", got)
		}
	})
}

func TestTreeStopSideBySide(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		st.usual["/a"] = script{stopIn: time.Second}
		tree := mustStart(t, st, Spec{Children: []Child{st.actor("a")}})
		errs := make(chan error, 10)
		for range cap(errs) {
			go func() { errs <- tree.Stop(context.Background()) }()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		mustDid(t, st, "-/a")
		st.gone(t)
	})
}

// A constructor that hangs keeps neither Start's ctx nor Stop from ending it.
func TestTreeStartCut(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		st.usual["/b"] = script{startIn: -1}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err := st.start(ctx, Spec{Children: []Child{st.actor("a"), st.actor("b"), st.actor("c")}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Start returned %v", err)
		}
		mustDid(t, st, "+/a +/b -/b -/a")
		st.gone(t)
	})
}

// "supervisor.Start's ctx bounds starting only."
func TestTreeOutlivesStartCtx(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		ctx, cancel := context.WithCancel(context.Background())
		tree, err := st.start(ctx, Spec{Children: []Child{st.actor("a")}})
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		mustShow(t, tree, "a:running")
		mustStop(t, st, tree)
	})
}

func TestTreeStoppedWhileStarting(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		st.usual["/a"] = script{startIn: time.Hour}
		p, err := makePlan("/", Spec{Children: []Child{st.actor("a")}}, Child{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		tree := newTree("/", p, nil, st)
		started := make(chan error)
		go func() { started <- tree.await(context.Background()) }()
		synctest.Wait()
		mustStop(t, st, tree)
		if err := <-started; !errors.Is(err, actor.ErrStopped) {
			t.Fatalf("Start returned %v", err)
		}
	})
}

// A pool is stopped all at once.
func TestDynamicStop(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		tree := mustStart(t, st, Spec{Strategy: Dynamic})
		for i := range 100 {
			id := fmt.Sprint("w", i)
			st.usual["/"+id] = script{stopIn: time.Minute}
			if err := tree.StartChild(context.Background(), st.actor(id, Child{StopTimeout: time.Hour})); err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		mustStop(t, st, tree)
		if time.Since(begun) != time.Minute {
			t.Fatalf("stop took %v", time.Since(begun))
		}
	})
}
