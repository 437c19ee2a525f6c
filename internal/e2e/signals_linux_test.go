package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/supervisor"
)

// tidy leaves a file behind when it is stopped in order.
type tidy struct{ mark string }

var (
	Tidies   = actor.Define("tidy", func(_ context.Context, mark string) (*tidy, error) { return &tidy{mark}, nil })
	TidyHold = actor.DefineStream(Tidies, "hold", (*tidy).Hold)
	tidyTree = supervisor.Define("tidy tree", func(_ context.Context, mark string) (supervisor.Spec, error) {
		return supervisor.Spec{Children: []supervisor.Child{{Name: "below", Run: Tidies.With(mark)}}}, nil
	})
)

func (t *tidy) Stop(context.Context) error { return os.WriteFile(t.mark, nil, 0o600) }

// Hold says that it was begun, and never returns.
func (t *tidy) Hold(context.Context, actor.None) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		yield("begun", nil)
		<-make(chan int)
	}
}

// herald has a stream of /a begun, says "ready", and later how the stream ended.
type herald struct{}

var (
	Heralds = actor.Define("herald", func(context.Context, actor.None) (*herald, error) { return &herald{}, nil })
	said    = make(chan struct{}) // closed when it has said all
)

func (*herald) Run(ctx context.Context) error {
	scope, _ := actor.ScopeOf(ctx)
	ref, err := Tidies.Lookup(scope, "/a")
	if err != nil {
		return err
	}
	go func() {
		defer close(said)
		for word, err := range TidyHold.Open(context.WithoutCancel(ctx), ref, actor.None{}) {
			var x *actor.ExitError
			switch {
			case err == nil:
				fmt.Println("ready", word)
			case errors.As(err, &x) && !errors.Is(err, actor.ErrStopped):
				fmt.Println("call:", x.Reason, x.Begun)
			default:
				fmt.Println("call:", err)
			}
		}
	}()
	<-ctx.Done()
	return nil
}

func init() {
	// mortal is a plain peer that a signal ends, in one way or another.
	roles["mortal"] = func(args []string) {
		if args[0] != "dies" {
			signals := make(chan os.Signal, 1)
			signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
			go func() {
				sig := <-signals
				if args[0] == "exits with 0" {
					os.Exit(0)
				}
				os.Exit(128 + int(sig.(unix.Signal)))
			}()
		}
		roles["plain"](nil)
	}
	// service is a root that answers signals. It says ready, how its call ended, how
	// Run did, and what it logged as a warning.
	roles["service"] = func(args []string) {
		mark := func(name string) string { return filepath.Join(args[0], name) }
		mortal := func(how string) supervisor.Runnable {
			return Foreigns.With(foreignArgs{Role: "mortal", Args: []string{how}})
		}
		var warnings bytes.Buffer
		err := supervisor.Run(context.Background(), supervisor.Spec{Intensity: supervisor.NoRestarts, Children: []supervisor.Child{
			{Name: "a", Run: Tidies.With(mark("a")), StopTimeout: 200 * time.Millisecond},
			{Name: "b", Run: Tidies.With(mark("b"))},
			{Name: "own", Run: tidyTree.With(mark("own"))},
			{Name: "plain", Run: mortal("dies")},
			{Name: "polite", Run: mortal("exits with 0")},
			{Name: "frank", Run: mortal("exits with a code")},
			{Name: "herald", Run: Heralds.With(actor.None{}), InProcess: true},
		}}, supervisor.Options{Logger: slog.New(slog.NewTextHandler(&warnings, &slog.HandlerOptions{Level: slog.LevelWarn}))})
		<-said
		fmt.Println("run:", err, strings.ReplaceAll(warnings.String(), "\n", " | "))
	}
}

// A service manager and pkill signal every process of a service, in any order.
// The root alone answers: the tree stops in order, and nothing counts as a crash.
func TestSignalToAll(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP} {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%v", unix.SignalName(sig), first), func(t *testing.T) {
				if signal.Ignored(sig) {
					t.Skip("the process that started the tests has it ignored, as nohup does")
				}
				leaktest.Check(t)
				for range 3 {
					signalToAll(t, sig, first)
				}
			})
		}
	}
}

func signalToAll(t *testing.T, sig unix.Signal, rootFirst bool) {
	dir := t.TempDir()
	mark := "E2E_SERVICE=" + dir
	cmd := roleCommand(self, "service", dir)
	cmd.Env = append(cmd.Env, mark)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready begun" {
		t.Errorf("the service says %q", lines.Text())
	}
	pids := slices.DeleteFunc(carriers(mark), func(pid int) bool { return pid == cmd.Process.Pid })
	if rootFirst {
		pids = slices.Insert(pids, 0, cmd.Process.Pid)
	} else {
		pids = append(pids, cmd.Process.Pid)
	}
	for _, pid := range pids {
		_ = unix.Kill(pid, sig)
	}
	var last []string
	for lines.Scan() {
		last = append(last, strings.TrimSpace(lines.Text()))
	}
	if err := cmd.Wait(); err != nil || !slices.Equal(last, []string{"call: killed yes", "run: <nil>"}) {
		t.Errorf("%v; the service says %q", err, last)
	}
	for _, name := range []string{"b", "own"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("its Stop did not run: %v", err)
		}
	}
}
