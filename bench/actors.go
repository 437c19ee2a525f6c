package main

import (
	"context"
	"fmt"
	"os"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/shm"
)

// note is the small message: an integer and a short string.
type note struct {
	N int
	S string
}

// block is an array, and what its ends must be.
type block struct {
	Data        shm.Array[uint64]
	First, Last uint64
}

// subject is the actor that is measured.
type subject struct {
	casts   int
	profile *os.File
}

func newSubject(context.Context, actor.None) (*subject, error) { return &subject{}, nil }

// Change sends a note back, changed.
func (s *subject) Change(_ context.Context, n note) (note, error) {
	n.N++
	return n, nil
}

// Count counts a note.
func (s *subject) Count(_ context.Context, _ note) (actor.None, error) {
	s.casts++
	return actor.None{}, nil
}

// Counted returns how many were counted since it was last asked.
func (s *subject) Counted(context.Context, actor.None) (int, error) {
	n := s.casts
	s.casts = 0
	return n, nil
}

// Echo sends bytes back.
func (s *subject) Echo(_ context.Context, b []byte) ([]byte, error) { return b, nil }

// Look reads the ends of an array.
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

// PID tells one incarnation from another.
func (s *subject) PID(context.Context, actor.None) (int, error) { return os.Getpid(), nil }

// The name of the method is part of each message, and so of the floor's, too.
var (
	subjects = actor.Define("subject", newSubject)
	change   = actor.DefineMethod(subjects, "change", (*subject).Change)
	count    = actor.DefineMethod(subjects, "count", (*subject).Count)
	counted  = actor.DefineMethod(subjects, "counted", (*subject).Counted)
	echo     = actor.DefineMethod(subjects, "echo", (*subject).Echo)
	look     = actor.DefineMethod(subjects, "look", (*subject).Look)
	pid      = actor.DefineMethod(subjects, "pid", (*subject).PID)
)
