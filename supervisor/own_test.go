package supervisor_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// band is a supervisor defined as data and a function.
type band struct {
	Start     int
	InProcess bool
}

var bands = supervisor.Define("band", bandSpec)

func bandSpec(_ context.Context, b band) (supervisor.Spec, error) {
	sp := supervisor.Spec{
		Intensity:    supervisor.NoRestarts,
		AutoShutdown: supervisor.AutoShutdownAny,
		Children: []supervisor.Child{
			{Name: "first", Run: players.With(b.Start)},
			{Name: "job", Run: players.With(b.Start), Restart: supervisor.Transient, Significant: true},
		},
	}
	if b.InProcess {
		sp.Defaults = supervisor.Child{InProcess: true}
	}
	if b.Start == 13 {
		return sp, errRefused
	}
	return sp, nil
}

// A supervisor in its own process: its children are reached through it, its
// crash is one failure, and its giving up and its auto-shutdown are shutdowns.
func TestOwnProcess(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		b := band{InProcess: defaults.InProcess}
		tree := start(t, ctx, supervisor.Spec{Intensity: 10, Defaults: defaults, Children: []supervisor.Child{
			{Name: "p", Run: bands.With(b)},
			{Name: "t", Run: bands.With(b), Restart: supervisor.Transient},
		}})
		if n := tree.Count(); n.Supervisors != 2 || n.Active != 2 {
			t.Fatalf("%+v", n)
		}
		events, done := iter.Pull(tree.Events(ctx))
		defer done()
		first := ref(t, tree, "p/first")
		must(t, 1)(add.Call(ctx, first, 1))

		// It gives up: its permanent child /p is restarted, with all of its spec.
		_, _ = endBy.Call(ctx, first, "ouch")
		next(t, events, actor.EventExited, "/p")
		must(t, 1)(add.Call(ctx, first, 1))
		for c := range tree.Children() {
			if c.Name == "p" && (c.LastExit.Reason != actor.ReasonShutdown || !strings.Contains(c.LastExit.Err.Error(), "gave up")) {
				t.Fatalf("reported as %v", c.LastExit)
			}
		}

		// It shuts down by itself: the transient /t is not restarted.
		_ = endBy.Cast(ctx, ref(t, tree, "t/job"), "normal")
		next(t, events, actor.EventExited, "/t")
		settled(t, ctx, tree, "t")
		if err := tree.RestartChild(ctx, "t"); err != nil {
			t.Fatal(err)
		}
		must(t, 1)(add.Call(ctx, ref(t, tree, "t/first"), 1))

		// Its process dies: abnormal, so the transient one is restarted, too.
		if !defaults.InProcess {
			for c := range tree.Children() {
				if err := syscall.Kill(c.PID, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			for ended, up := map[string]bool{}, 0; up < 2; {
				e, ok := events()
				switch {
				case !ok:
					t.Fatal("they were not both restarted")
				case e.Type == actor.EventExited && (e.Path == "/p" || e.Path == "/t"):
					if e.Exit.Signal != syscall.SIGKILL {
						t.Fatalf("%s reported as %v", e.Path, e.Exit)
					}
					ended[e.Path] = true
				case e.Type == actor.EventReady && ended[e.Path]:
					up++
				}
			}
		}
		member, err := pid.Call(ctx, ref(t, tree, "t/first"), actor.None{})
		if err != nil {
			t.Fatal(err)
		}
		stop(t, ctx, tree)
		if member != os.Getpid() && syscall.Kill(member, 0) == nil {
			t.Fatalf("process %d lives", member)
		}
	})
}

// What fails in the start of a supervisor's process is in Start's error.
func TestOwnProcessFails(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		for start, want := range map[int]string{13: "refused", refuses: "/x/first"} {
			_, err := supervisor.Start(ctx, supervisor.Spec{Defaults: defaults, Children: []supervisor.Child{
				{Name: "x", Run: bands.With(band{start, defaults.InProcess})}}}, supervisor.Options{Logger: quiet})
			var failed *supervisor.StartError
			if !errors.As(err, &failed) || failed.Path != "/x" || !strings.Contains(err.Error(), want) {
				t.Errorf("Start returned %v, want something about %s", err, want)
			}
		}
	})
}
