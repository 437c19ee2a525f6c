package actor_test

import (
	"context"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/supervisor"
)

// A kind that is defined inside a function is not known to an actor's process: the
// start says so at once, before there is a process. In this process it runs.
func TestKindInsideFunction(t *testing.T) {
	leaktest.Check(t)
	late := actor.Define("late kind", func(context.Context, int) (*struct{}, error) { return new(struct{}), nil })
	declared := actor.Declare[struct{}, int]("late implementation")
	actor.Implement(declared, func(context.Context, int) (*struct{}, error) { return new(struct{}), nil })
	for _, run := range []supervisor.Runnable{late.With(1), declared.With(1)} {
		spec := supervisor.Spec{Children: []supervisor.Child{{Name: "a", Run: run}}}
		_, err := supervisor.Start(t.Context(), spec)
		if err == nil || !strings.Contains(err.Error(), "late_linux_test.go:") || !strings.Contains(err.Error(), "define it in a package variable") {
			t.Errorf("start: %v", err)
		}
		spec.Defaults.InProcess = true
		tree, err := supervisor.Start(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	defer func() {
		said, _ := recover().(string)
		if strings.Count(said, "late_linux_test.go:") != 2 {
			t.Errorf("defined twice: %q", said)
		}
	}()
	actor.Define("late kind", func(context.Context, int) (*struct{}, error) { return nil, nil })
}
