package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/bench/peers/internal/harness"
	"github.com/understudy-go/understudy/bench/peers/internal/work"
	"github.com/understudy-go/understudy/shm"
)

// subject is the actor that is called, and that calls another of its kind.
type subject struct{ counted int }

func newSubject(context.Context, actor.None) (*subject, error) { return &subject{}, nil }

// Change does the work.
func (s *subject) Change(_ context.Context, n work.Note) (work.Note, error) {
	return work.Change(n), nil
}

// Count counts a message that has no reply.
func (s *subject) Count(context.Context, work.Note) (actor.None, error) {
	s.counted++
	return actor.None{}, nil
}

// Counted returns how many were counted since it was last asked.
func (s *subject) Counted(context.Context, actor.None) (int, error) {
	n := s.counted
	s.counted = 0
	return n, nil
}

// block is an array, and what its ends must be.
type block struct {
	Data        shm.Array[uint64]
	First, Last uint64
}

// Look reads both ends of an array.
func (s *subject) Look(_ context.Context, b block) (bool, error) {
	data, err := b.Data.Slice()
	if err != nil {
		return false, err
	}
	if len(data) == 0 || data[0] != b.First || data[len(data)-1] != b.Last {
		return false, fmt.Errorf("array of %d elements: its ends are not %d and %d", len(data), b.First, b.Last)
	}
	return true, nil
}

// errand is a round that an actor makes, of calls to another one.
type errand struct {
	To    actor.Ref[subject]
	Trips int
	Pause time.Duration
}

// Drive makes a round and returns what each call took.
func (s *subject) Drive(ctx context.Context, e errand) ([]time.Duration, error) {
	return harness.Loop(e.Trips, e.Pause, func(i int) error { return callChange(ctx, e.To, i) })
}

// PID is where it runs.
func (s *subject) PID(context.Context, actor.None) (int, error) { return os.Getpid(), nil }

// callChange is one round trip.
func callChange(ctx context.Context, to actor.Ref[subject], i int) error {
	reply, err := change.Call(ctx, to, work.Request(i))
	if err != nil {
		return err
	}
	return work.Check(i, reply)
}

var (
	subjects = actor.Define("subject", newSubject)
	change   = actor.DefineMethod(subjects, "change", (*subject).Change)
	count    = actor.DefineMethod(subjects, "count", (*subject).Count)
	counted  = actor.DefineMethod(subjects, "counted", (*subject).Counted)
	look     = actor.DefineMethod(subjects, "look", (*subject).Look)
	drive    = actor.DefineMethod(subjects, "drive", (*subject).Drive)
	pid      = actor.DefineMethod(subjects, "pid", (*subject).PID)
)
