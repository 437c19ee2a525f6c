package main

import (
	"context"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// errand is work for an actor that calls another one.
type errand struct {
	To   actor.Ref[subject]
	Peer int           // the process of the other one
	For  time.Duration // of press
}

// driven is a work that was seen elsewhere.
type driven struct {
	Latencies []time.Duration
	Ops       int
	CPU       time.Duration
}

// Drive takes one turn of small calls to another actor. The loop and the clock
// are here.
func (s *subject) Drive(ctx context.Context, e errand) (driven, error) {
	var w work
	err := w.take(side{peer: e.Peer, op: func() error { return callSmall(ctx, e.To) }})
	return driven{w.latencies, w.ops, w.cpu}, err
}

// Press makes small calls to another actor for some time, and returns how many.
func (s *subject) Press(ctx context.Context, e errand) (calls int, err error) {
	for begin := time.Now(); time.Since(begin) < e.For; calls++ {
		if err := callSmall(ctx, e.To); err != nil {
			return calls, err
		}
	}
	return calls, nil
}

// familiarity is how many calls make sure that a link has all that it gets.
const familiarity = 32

// Meet makes the acquaintance of others: it calls each some times.
func (s *subject) Meet(ctx context.Context, all []actor.Ref[subject]) (actor.None, error) {
	for _, to := range all {
		for range familiarity {
			if err := callSmall(ctx, to); err != nil {
				return actor.None{}, err
			}
		}
	}
	return actor.None{}, nil
}

var (
	drive = actor.DefineMethod(subjects, "drive", (*subject).Drive)
	press = actor.DefineMethod(subjects, "press", (*subject).Press)
	meet  = actor.DefineMethod(subjects, "meet", (*subject).Meet)
)

// driver is a player whose operations are made by an actor.
type driver struct {
	ctx context.Context
	ref actor.Ref[subject]
	errand
}

func (d driver) turn(w *work) error {
	did, err := drive.Call(d.ctx, d.ref, d.errand)
	w.latencies = append(w.latencies, did.Latencies...)
	w.ops += did.Ops
	w.cpu += did.CPU
	return err
}

// driverOf has the actor call the other one.
func driverOf(ctx context.Context, ref, to actor.Ref[subject]) (driver, error) {
	d := driver{ctx: ctx, ref: ref, errand: errand{To: to}}
	n, err := pid.Call(ctx, to, actor.None{})
	d.Peer = n
	return d, err
}
