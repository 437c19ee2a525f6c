package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// bed is what the probes have in common: one supervised actor that takes part
// in all that is not about the actors' own lives, as in a program that runs, and
// one more for each further lane that somebody asks for.
type bed struct {
	scale
	*stage // of the default lane
	others map[lane]*stage
}

// makeBed starts the tree. That also starts the system's orphan sweeper, so that no
// later reading contains it.
func makeBed(ctx context.Context, s scale) (*bed, error) {
	first, err := openStage(ctx, ringLane)
	if err != nil {
		return nil, err
	}
	return &bed{scale: s, stage: first, others: make(map[lane]*stage)}, nil
}

// on returns the stage of a lane. Whoever does not take part sleeps, so that the
// others do not notice it.
func (b *bed) on(ctx context.Context, l lane) (*stage, error) {
	if l == ringLane {
		return b.stage, nil
	}
	if s := b.others[l]; s != nil {
		return s, nil
	}
	s, err := openStage(ctx, l)
	if err != nil {
		return nil, err
	}
	b.others[l] = s
	return s, nil
}

func (b *bed) close() {
	for _, s := range b.others {
		stopTree(s.tree)
	}
	stopTree(b.tree)
}

// stage is a system of its own with one actor.
type stage struct {
	tree *supervisor.Tree
	ref  actor.Ref[subject]
	pid  int // of the actor's process
}

func openStage(ctx context.Context, l lane) (*stage, error) {
	child := supervisor.Child{Name: "subject", Run: subjects.With(actor.None{}), InProcess: l == localLane}
	tree, err := startTree(ctx, l, child)
	if err != nil {
		return nil, err
	}
	s := &stage{tree: tree}
	s.ref = subjects.Ref(tree, "subject")
	s.pid, err = pid.Call(ctx, s.ref, actor.None{})
	if err == nil && (l == localLane) != (s.pid == os.Getpid()) {
		err = fmt.Errorf("the actor of lane %s is in process %d", l, s.pid)
	}
	if err != nil {
		stopTree(tree)
		return nil, err
	}
	return s, nil
}

// dismiss ends an actor that a probe has added, also when the run was
// interrupted.
func (s *stage) dismiss(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = s.tree.StopChild(ctx, id) // the tree's end would do, too
}

// startTree starts a tree in which whatever dies is started again at once.
func startTree(ctx context.Context, l lane, children ...supervisor.Child) (*supervisor.Tree, error) {
	o := l.options()
	o.Logger = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))
	tree, err := supervisor.Start(ctx, supervisor.Spec{Intensity: 1 << 20, Children: children}, o)
	if err != nil {
		return nil, fmt.Errorf("starting the actors: %w", err)
	}
	return tree, nil
}

// stopTree ends a tree also when the run was interrupted.
func stopTree(tree *supervisor.Tree) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_ = tree.Stop(ctx) // it has been measured, and our own exit ends what is left
}
