package supervisor_test

import (
	"context"
	"errors"
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

// herald calls heralded when it is up.
type herald struct{}

var heralded func()

func (herald) Run(ctx context.Context) error { heralded(); <-ctx.Done(); return nil }

var heralds = actor.Define("herald", func(context.Context, int) (*herald, error) { return &herald{}, nil })

// doom ends with an error as soon as it is up.
type doom struct{}

func (doom) Run(context.Context) error { return errRefused }

var doomed = actor.Define("doom", func(context.Context, int) (*doom, error) { return &doom{}, nil })
