// Package actortest starts a supervisor's tree for a test, stops it at the
// test's end, and fails the test for what the tree leaves behind and for the
// data races in its actors.
//
// Actors that are processes need [actor.TestMain]:
//
//	func TestMain(m *testing.M) { actor.TestMain(m) }
package actortest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/supervisor"
)

// Config says how [Start] runs a tree. The zero value is the default.
type Config struct {
	// InProcess runs all actors in goroutines of the test, without the limits
	// that only processes can have. Kinds of other executables cannot run so.
	InProcess bool
	// Parallel is for a test that is parallel, or runs beside others: what is
	// left behind cannot be told from what the others have, and is not looked
	// for.
	Parallel bool
	// Options are the tree's. Without a Logger, its log is the test's.
	Options supervisor.Options
}

// stopTimeout is how long a tree may take to stop at the end of its test.
const stopTimeout = 30 * time.Second

// Start starts the spec for a test and returns when all children are ready. At
// the end of the test it stops the tree, unless that has ended, and fails the
// test for each data race that was reported in an actor's process, where the test
// is built with -race; for a tree that had to be killed; and for whatever there
// is more of than before Start: processes, descriptors, goroutines, memory of
// arrays, temporary files, control groups. What the test itself starts after
// Start, it has to end as well. At most one Config may be given.
func Start(t testing.TB, spec supervisor.Spec, config ...Config) *supervisor.Tree {
	t.Helper()
	var c Config
	switch len(config) {
	case 0:
	case 1:
		c = config[0]
	default:
		t.Fatalf("actortest.Start: %d Configs, want at most one", len(config))
	}
	if c.InProcess {
		spec = inProcess(spec)
	}
	if _, twice := checked.LoadOrStore(t, true); !twice {
		check(t, !c.Parallel)
	}
	if c.Options.Logger == nil {
		out := &output{to: t.Output()}
		t.Cleanup(out.close)
		c.Options.Logger = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	tree, err := supervisor.Start(t.Context(), spec, c.Options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := tree.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return tree
}

// EachMode runs a test with actors that are processes, and with actors in
// goroutines: the subtests "process" and "in-process", which hand their Config
// to [Start].
func EachMode(t *testing.T, test func(t *testing.T, c Config)) {
	t.Run("process", func(t *testing.T) { test(t, Config{}) })
	t.Run("in-process", func(t *testing.T) { test(t, Config{InProcess: true}) })
}

// inProcess returns a copy of the spec whose actors are goroutines.
func inProcess(spec supervisor.Spec) supervisor.Spec {
	spec.Defaults = unlimited(spec.Defaults)
	spec.Defaults.InProcess = true
	children := make([]supervisor.Child, len(spec.Children))
	for i, c := range spec.Children {
		c = unlimited(c)
		if sub, nested := c.Run.(supervisor.Spec); nested {
			c.Run = inProcess(sub)
		}
		children[i] = c
	}
	spec.Children = children
	return spec
}

// unlimited returns a child without the limits that a goroutine cannot have.
func unlimited(c supervisor.Child) supervisor.Child {
	c.Process = actor.Process{Env: c.Process.Env, Dir: c.Process.Dir}
	return c
}

// checked are the tests that run and that are checked at their end: a test may
// start more than one tree.
var checked sync.Map

func check(t testing.TB, leaks bool) {
	t.Helper()
	if leaks {
		leaktest.Check(t)
	}
	races := func() []port.Race { return port.Installed().Races() }
	before := len(races())
	t.Cleanup(func() {
		t.Helper()
		checked.Delete(t)
		for _, race := range races()[before:] {
			t.Error(race)
		}
	})
}

// output is a test's, up to its end: a goroutine that was abandoned may log
// later.
type output struct {
	mu sync.Mutex
	to io.Writer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.to == nil {
		return 0, fmt.Errorf("log of a test that has ended: %w", io.ErrClosedPipe)
	}
	return o.to.Write(p)
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.to = nil
}
