package supervisor_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

func TestRun(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		options := supervisor.Options{Logger: quiet}
		spec := func(start int) supervisor.Spec {
			return supervisor.Spec{Intensity: supervisor.NoRestarts, Defaults: defaults, Children: []supervisor.Child{{Name: "a", Run: players.With(start)}}}
		}
		// An ordered stop by ctx.
		running, cancel := context.WithCancel(ctx)
		ready := make(chan struct{})
		s := spec(0)
		s.Children = append(s.Children, supervisor.Child{Name: "herald", Run: heralds.With(0), InProcess: true})
		heralded = func() { close(ready) }
		result := make(chan error, 1)
		go func() { result <- supervisor.Run(running, s, options) }()
		<-ready
		cancel()
		if err := <-result; err != nil {
			t.Fatalf("Run returned %v", err)
		}
		// A ctx that has ended already.
		if err := supervisor.Run(running, spec(0), options); err != nil {
			t.Fatalf("Run returned %v", err)
		}
		// A failing start.
		if err := supervisor.Run(ctx, spec(refuses), options); err == nil {
			t.Fatal("Run returned nil")
		}
		// Giving up.
		s = spec(0)
		s.Children = append(s.Children, supervisor.Child{Name: "doomed", Run: doomed.With(0)})
		var gaveUp *supervisor.GaveUpError
		if err := supervisor.Run(ctx, s, options); !errors.As(err, &gaveUp) {
			t.Fatalf("Run returned %v", err)
		}
		// A faulty spec.
		s.Period = -1
		if err := supervisor.Run(ctx, s, options); !errors.Is(err, supervisor.ErrBadSpec) {
			t.Fatalf("Run returned %v", err)
		}
	})
}

// SIGTERM and SIGINT stop a tree that runs, and so does SIGHUP, unless it reloads.
func TestRunAnswersSignals(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		send := func(sig syscall.Signal) {
			t.Helper()
			if err := syscall.Kill(os.Getpid(), sig); err != nil {
				t.Fatal(err)
			}
		}
		begin := func(o supervisor.Options) (result chan error) {
			ready := make(chan struct{})
			heralded = func() { close(ready) }
			result = make(chan error, 1)
			go func() {
				result <- supervisor.Run(ctx, supervisor.Spec{Intensity: supervisor.NoRestarts, Defaults: defaults, Children: []supervisor.Child{
					{Name: "a", Run: players.With(0)}, {Name: "herald", Run: heralds.With(0), InProcess: true}}}, o)
			}()
			<-ready
			return result
		}
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
			result := begin(supervisor.Options{Logger: quiet})
			send(sig)
			if err := <-result; err != nil {
				t.Errorf("%v: Run returned %v", sig, err)
			}
		}
		reloads := make(chan context.Context)
		result := begin(supervisor.Options{Logger: quiet, Reload: func(ctx context.Context) { reloads <- ctx; <-ctx.Done() }})
		send(syscall.SIGHUP)
		reload := <-reloads
		select {
		case err := <-result:
			t.Errorf("Run returned %v on a reload", err)
		default:
		}
		send(syscall.SIGTERM)
		<-reload.Done()
		if err := <-result; err != nil {
			t.Errorf("Run returned %v", err)
		}
		if _, err := supervisor.Start(ctx, supervisor.Spec{}, supervisor.Options{Reload: func(context.Context) {}}); !errors.Is(err, supervisor.ErrBadSpec) {
			t.Errorf("Start with Reload: %v", err)
		}
	})
}

// herald calls heralded when it is up.
type herald struct{}

var heralded func()

func (herald) Run(ctx context.Context) error { heralded(); <-ctx.Done(); return nil }

var heralds = actor.Define("herald", func(context.Context, int) (*herald, error) { return &herald{}, nil })

// doom ends with an error as soon as it is up.
type doom struct{}

func (doom) Run(context.Context) error { return errRefused }

var doomed = actor.Define("doom", func(context.Context, int) (*doom, error) { return &doom{}, nil })
