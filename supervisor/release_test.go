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
)

// holds compares the paths whose arguments are held.
func (st *stage) holds(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	st.check(t)
	st.mu.Lock()
	defer st.mu.Unlock()
	var paths []string
	for c := range st.held {
		paths = append(paths, c.path)
	}
	slices.Sort(paths)
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("held are the arguments of %q, want %q", got, want)
	}
}

// adding calls StartChild beside the test, and has it got as far as it gets.
func adding(ctx context.Context, st *stage, tree *Tree, name string, fields ...Child) <-chan error {
	err := make(chan error, 1)
	go func() { err <- tree.StartChild(ctx, st.actor(name, fields...)) }()
	synctest.Wait()
	return err
}

// hanging never gets ready, and takes a second to obey.
var hanging = script{startIn: -1, stopIn: time.Second}

// A child that is kept though its start was ignored can be started again.
func TestArgumentsOfIgnored(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		ctx := context.Background()
		tree := mustStart(t, st, Spec{})
		ignored := []script{{startErr: actor.ErrIgnore}}
		st.next["/kept"], st.next["/temporary"] = ignored, ignored
		if err := tree.StartChild(ctx, st.actor("kept")); !errors.Is(err, actor.ErrIgnore) {
			t.Fatal(err)
		}
		if err := tree.StartChild(ctx, st.actor("temporary", Child{Restart: Temporary})); !errors.Is(err, actor.ErrIgnore) {
			t.Fatal(err)
		}
		mustShow(t, tree, "kept:stopped")
		st.holds(t, "/kept")
		if err := tree.RestartChild(ctx, "kept"); err != nil {
			t.Fatal(err)
		}
		mustShow(t, tree, "kept:running")
		st.holds(t, "/kept")
		if err := errors.Join(tree.StopChild(ctx, "kept"), tree.DeleteChild(ctx, "kept")); err != nil {
			t.Fatal(err)
		}
		st.holds(t, "")
		mustStop(t, st, tree)
	})
}

// A start that a group's restart overtakes begins again from the same
// arguments, unless its caller has left.
func TestArgumentsOfOvertakenStart(t *testing.T) {
	for _, strategy := range []Strategy{RestForOne, OneForAll} {
		for name, then := range map[string]func(t *testing.T, st *stage, tree *Tree, leave context.CancelFunc, x <-chan error){
			"begins again": func(t *testing.T, st *stage, tree *Tree, _ context.CancelFunc, x <-chan error) {
				if err := <-x; err != nil {
					t.Fatal(err)
				}
				mustShow(t, tree, "a:running b:running x:running")
				st.crash(t, "/x")
				mustShow(t, tree, "a:running b:running x:running")
				st.holds(t, "/a /b /x")
			},
			"caller has left": func(t *testing.T, st *stage, tree *Tree, leave context.CancelFunc, x <-chan error) {
				leave()
				if err := <-x; !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				if err := tree.DeleteChild(context.Background(), "a"); !errors.Is(err, ErrRunning) { // after the restart
					t.Fatal(err)
				}
				mustShow(t, tree, "a:running b:running")
				st.holds(t, "/a /b")
			},
			"tree is stopped": func(_ *testing.T, _ *stage, tree *Tree, _ context.CancelFunc, x <-chan error) {
				go func() { _ = tree.Stop(context.Background()) }()
				if err := <-x; !errors.Is(err, actor.ErrStopping) {
					t.Fatal(err)
				}
			},
		} {
			t.Run(name, func(t *testing.T) {
				onStage(t, func(t *testing.T, st *stage) {
					ctx, leave := context.WithCancel(context.Background())
					defer leave()
					tree := mustStart(t, st, Spec{Strategy: strategy, Intensity: Unlimited, Children: []Child{st.actor("a"), st.actor("b")}})
					st.next["/x"] = []script{hanging}
					x := adding(ctx, st, tree, "x")
					st.crash(t, "/a")
					synctest.Wait()
					then(t, st, tree, leave, x)
					mustStop(t, st, tree)
				})
			})
		}
	}
}

// Starts side by side, and those that wait for their turn, hold their arguments
// until they are cut off, killed or given up.
func TestArgumentsOfStartsSideBySide(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		ctx, leave := context.WithCancel(context.Background())
		defer leave()
		tree := mustStart(t, st, Spec{Strategy: Dynamic, Parallel: 3})
		for _, path := range []string{"/cut", "/killed", "/left"} {
			st.usual[path] = hanging
		}
		cut, killed, left := adding(ctx, st, tree, "cut"), adding(ctx, st, tree, "killed"), adding(ctx, st, tree, "left")
		unbegun, runs := adding(ctx, st, tree, "unbegun"), adding(context.Background(), st, tree, "runs")
		again := adding(context.Background(), st, tree, "runs") // waits for the outcome of the first
		st.holds(t, "/cut /killed /left /runs /runs /unbegun")
		if err := errors.Join(tree.StopChild(ctx, "unbegun"), tree.StopChild(ctx, "cut"), tree.KillChild(ctx, "killed")); err != nil {
			t.Fatal(err)
		}
		for _, x := range []<-chan error{unbegun, cut} {
			if err := <-x; !errors.Is(err, actor.ErrStopped) {
				t.Fatal(err)
			}
		}
		if err := <-killed; err == nil {
			t.Fatal("it started")
		}
		if err := <-runs; err != nil {
			t.Fatal(err)
		}
		if err := <-again; !errors.Is(err, ErrAlreadyStarted) {
			t.Fatal(err)
		}
		st.holds(t, "/left /runs")
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		st.holds(t, "/left /runs") // as long as it takes to obey
		if err := tree.StopChild(context.Background(), "left"); err != nil {
			t.Fatal(err)
		}
		st.holds(t, "/runs")
		if err := tree.KillChild(context.Background(), "runs"); err != nil {
			t.Fatal(err)
		}
		mustShow(t, tree, "runs:running")
		st.holds(t, "/runs")
		if err := tree.StopChild(context.Background(), "runs"); err != nil {
			t.Fatal(err)
		}
		st.holds(t, "")
		mustStop(t, st, tree)
	})
}
