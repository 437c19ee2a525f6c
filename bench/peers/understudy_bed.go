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

// bed is a tree of actors that does the work of one row.
type bed struct {
	tree *supervisor.Tree
	refs []actor.Ref[subject]
	pids []int
}

// makeBed starts n actors of a tree whose messages take the lane, with
// these fields.
func makeBed(ctx context.Context, n int, lane string, fields supervisor.Child) (*bed, error) {
	var children []supervisor.Child
	for i := range n {
		c := fields
		c.Name, c.Run = fmt.Sprint("subject-", i), subjects.With(actor.None{})
		children = append(children, c)
	}
	tree, err := supervisor.Start(ctx, supervisor.Spec{
		Children: children,
	}, supervisor.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Transport: lane})
	if err != nil {
		return nil, err
	}
	b := &bed{tree: tree}
	for _, c := range children {
		if err := b.know(ctx, c.Name); err != nil {
			b.Stop()
			return nil, err
		}
	}
	return b, nil
}

func (b *bed) know(ctx context.Context, id string) error {
	ref := subjects.Ref(b.tree, id)
	p, err := pid.Call(ctx, ref, actor.None{})
	b.refs, b.pids = append(b.refs, ref), append(b.pids, p)
	return err
}

// PIDs implements harness.Peer.
func (b *bed) PIDs() []int { return b.pids }

// Stop implements harness.Peer.
func (b *bed) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = b.tree.Stop(ctx) // it has been measured, and our own end ends what is left
}
