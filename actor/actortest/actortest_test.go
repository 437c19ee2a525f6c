package actortest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/actor/actortest"
	"github.com/understudy-go/understudy/supervisor"
)

var (
	pids = actor.DefineMethod(Counters, "pid", func(*counter, context.Context, actor.None) (int, error) { return os.Getpid(), nil })
	race = actor.DefineMethod(Counters, "race", (*counter).Race)
)

func (c *counter) Race(context.Context, actor.None) (int, error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.n++
	}()
	c.n++
	<-done
	return c.n, nil
}

// counters is a tree with an actor at /hits and one, which has limits, at
// /below/hits.
func counters() supervisor.Spec {
	return supervisor.Spec{
		Defaults: supervisor.Child{Process: actor.Process{Files: 100}},
		Children: []supervisor.Child{
			{Name: "hits", Run: Counters.With(40)},
			{Name: "below", Run: supervisor.Spec{Children: []supervisor.Child{
				{Name: "hits", Run: Counters.With(1), Process: actor.Process{Memory: 1 << 30}},
			}}},
		},
	}
}

// probe is a test within a test, which ends when its cleanups are called.
type probe struct {
	testing.TB
	report   string
	cleanups []func()
}

func (p *probe) Cleanup(f func())                  { p.cleanups = append(p.cleanups, f) }
func (p *probe) Error(args ...any)                 { p.report += fmt.Sprintln(args...) }
func (p *probe) Errorf(format string, args ...any) { p.report += fmt.Sprintf(format, args...) + "\n" }

func (p *probe) end() {
	for i := len(p.cleanups) - 1; i >= 0; i-- {
		p.cleanups[i]()
	}
}

// A tree lives as long as its test, with processes or with none, and leaves
// nothing, not even by goleak's measure.
func TestStart(t *testing.T) {
	actortest.EachMode(t, func(t *testing.T, c actortest.Config) {
		p := &probe{TB: t}
		tree := actortest.Start(p, counters(), c)
		another := actortest.Start(p, counters(), c)
		for _, path := range []string{"hits", "below/hits"} {
			pid, err := pids.Call(t.Context(), Counters.Ref(tree, path), actor.None{})
			if err != nil || (pid == os.Getpid()) != c.InProcess {
				t.Fatalf("%s has pid %d, %v", path, pid, err)
			}
		}
		p.end()
		for _, tree := range []*supervisor.Tree{tree, another} {
			select {
			case <-tree.Done():
			default:
				t.Error("the tree has not ended")
			}
		}
		if p.report != "" {
			t.Errorf("a clean test failed: %s", p.report)
		}
	})
	goleak.VerifyNone(t)
}

// What is left behind fails the test.
func TestLeaks(t *testing.T) {
	p := &probe{TB: t}
	tree := actortest.Start(p, counters(), actortest.Config{InProcess: true})
	f, err := os.CreateTemp("", "left")
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	go func() { <-stop }()
	_ = tree
	p.end()
	close(stop)
	f.Close()
	for _, want := range []string{"temporary file", "descriptor", "goroutine"} {
		if !strings.Contains(p.report, want) {
			t.Errorf("no %s in the report:\n%s", want, p.report)
		}
	}
}

// A parallel test leaves that to others.
func TestParallel(t *testing.T) {
	t.Parallel()
	p := &probe{TB: t}
	actortest.Start(p, counters(), actortest.Config{Parallel: true})
	stop := make(chan struct{})
	go func() { <-stop }()
	p.end()
	close(stop)
	if p.report != "" {
		t.Error(p.report)
	}
}

// envRacing has TestRacing race, in a test binary of its own.
const envRacing = "ACTORTEST_RACING"

func TestRacing(t *testing.T) {
	if os.Getenv(envRacing) == "" {
		t.Skip("run by TestRaces")
	}
	tree := actortest.Start(t, counters())
	if _, err := race.Call(t.Context(), Counters.Ref(tree, "hits"), actor.None{}); err != nil {
		t.Fatal(err)
	}
}

// A data race in an actor fails its test.
func TestRaces(t *testing.T) {
	if !raceEnabled {
		t.Skip("needs -race")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestRacing$")
	cmd.Env = append(os.Environ(), envRacing+"=1", "GORACE=atexit_sleep_ms=0")
	out, _ := cmd.CombinedOutput()
	for _, want := range []string{"--- FAIL: TestRacing", "data race in actor /hits (pid ", "(*counter).Race"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
