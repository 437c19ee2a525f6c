package supervisor_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// racer is an actor with a data race.
type racer struct{}

var (
	racers = actor.Define("racer", func(context.Context, actor.None) (*racer, error) { return &racer{}, nil })
	racing = actor.DefineMethod(racers, "race", (*racer).Race)
	below  = actor.DefineMethod(racers, "below", (*racer).Below)
)

// Below has an actor of this actor race.
func (*racer) Below(ctx context.Context, how string) (int, error) {
	tree, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{{Name: "below", Run: racers.With(actor.None{})}}})
	if err != nil {
		return 0, err
	}
	return racing.Call(ctx, racers.Ref(tree, "below"), how)
}

func (*racer) Race(_ context.Context, how string) (int, error) {
	if how == "not" {
		return 0, nil
	}
	n, done := 0, make(chan struct{})
	go func() {
		defer close(done)
		n++
	}()
	n++
	<-done
	if how == "crash" {
		panic("after the race")
	}
	return n, nil
}

// envRacing has TestRacing, in a test binary of its own, race in this way.
const envRacing = "SUPERVISOR_TEST_RACING"

func TestRacing(t *testing.T) {
	how := os.Getenv(envRacing)
	if how == "" {
		t.Skip("run by TestRacesFailTheTests")
	}
	ctx := bounded(t)
	tree := start(t, ctx, supervisor.Spec{Children: []supervisor.Child{{Name: "racer", Run: racers.With(actor.None{})}}})
	method := racing
	if how == "below" {
		method = below
	}
	var exit *actor.ExitError
	if _, err := method.Call(ctx, racers.Ref(tree, "racer"), how); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	stop(t, ctx, tree)
}

// A data race in an actor's process fails go test -race, and is shown, also when
// the process went on or its logs are discarded.
func TestRacesFailTheTests(t *testing.T) {
	if !raceEnabled {
		t.Skip("needs -race")
	}
	for how, c := range map[string]struct{ gorace, path, report string }{
		"here":  {"", "/racer", "supervisor_test.(*racer).Race"},
		"crash": {"", "/racer", "supervisor_test.(*racer).Race"},
		"below": {"", "/racer/below", "supervisor_test.(*racer).Race"},
		"halts": {"halt_on_error=1", "/racer", "supervisor_test.(*racer).Race"},
		"file":  {"log_path=" + t.TempDir() + "/race", "/racer", "no report"},
		"not":   {},
	} {
		t.Run(how, func(t *testing.T) {
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestRacing$")
			cmd.Env = append(os.Environ(), envRacing+"="+how, "GORACE=atexit_sleep_ms=0 "+c.gorace)
			out, err := cmd.CombinedOutput()
			if c.path == "" {
				if err != nil {
					t.Fatalf("without a race: %v\n%s", err, out)
				}
				return
			}
			if cmd.ProcessState.ExitCode() != 66 {
				t.Fatalf("%v, want exit code 66\n%s", err, out)
			}
			if s := string(out); !strings.Contains(s, "data race in actor "+c.path+" (pid ") || !strings.Contains(s, c.report) {
				t.Fatalf("not shown:\n%s", s)
			}
		})
	}
}
