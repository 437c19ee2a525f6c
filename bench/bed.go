package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// bed is what the probes have in common: one supervised actor that takes part
// in all that is not about the actors' own lives, as in a program that runs.
type bed struct {
	scale
	tree *supervisor.Tree
	ref  actor.Ref[subject]
	pid  int
}

// makeBed starts the tree. That also starts the system's guardian, so that no
// later reading contains it.
func makeBed(ctx context.Context, s scale) (*bed, error) {
	tree, err := startTree(ctx, supervisor.Actor(subjects, "subject", actor.NoArgs{}))
	if err != nil {
		return nil, err
	}
	b := &bed{scale: s, tree: tree}
	if b.ref, err = subjects.Ref(tree, "subject"); err == nil {
		b.pid, err = pid.Call(ctx, b.ref, actor.NoArgs{})
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bed) close() { stopTree(b.tree) }

// startTree starts a tree in which whatever dies is started again at once.
func startTree(ctx context.Context, children ...supervisor.Child) (*supervisor.Tree, error) {
	tree, err := supervisor.Start(ctx, supervisor.Spec{
		Intensity: 1 << 20,
		Logger:    slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError})),
		Children:  children,
	})
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
