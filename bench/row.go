package main

import (
	"context"
	"fmt"
)

// row is one line of the table.
type row struct {
	name  string // what -only matches; stable, part of the JSON schema
	title string // for people
	unit  unit
	floor string // what it stands beside, "" if nothing
	aim   aim
}

// aim is what we want to reach. It is reported and nothing depends on it.
type aim struct {
	ratio float64 // at most this many times the floor's cost; 0: none
	value float64 // at most this value, in the row's unit, of a rate at least; 0: none
}

// unit says what the numbers of a row are. Its text is part of the JSON schema.
type unit string

const (
	nanoseconds unit = "ns"
	perSecond   unit = "1/s" // more is better: the ratio is the floor's rate over ours
	bytes       unit = "bytes"
	percent     unit = "percent" // of one CPU
	seconds     unit = "s"
	allocs      unit = "allocs" // objects on the heap
)

// probe measures some rows at once.
type probe struct {
	rows  []row
	alone bool // it fills the machine: its rounds come after all others'
	// open makes what is measured. It is called once, and only for a probe
	// of which a row is wanted.
	open func(ctx context.Context, b *bed) (session, error)
}

// session is a probe that is set up.
type session interface {
	// round takes one reading of each of the probe's rows, by their names.
	round(ctx context.Context) (map[string]reading, error)
	close()
}

// reading is what one round found.
type reading struct{ value, floor float64 }

// skipped is the error of a probe that this machine cannot carry out.
type skipped struct{ reason string }

func (s skipped) Error() string { return s.reason }

func skip(format string, a ...any) error { return skipped{fmt.Sprintf(format, a...)} }

// sessionFuncs makes a session of two functions.
type sessionFuncs struct {
	measure func(ctx context.Context) (map[string]reading, error)
	end     func()
}

func (s sessionFuncs) round(ctx context.Context) (map[string]reading, error) { return s.measure(ctx) }

func (s sessionFuncs) close() {
	if s.end != nil {
		s.end()
	}
}
