package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/understudy-go/understudy/bench/internal/machine"
	"github.com/understudy-go/understudy/bench/internal/stats"
)

// report is what a run found.
type report struct {
	begun   time.Time
	took    time.Duration
	rounds  int
	quick   bool
	system  string
	cpu     string
	cpus    int
	results []result
}

// result is one row with its readings, one for each round.
type result struct {
	row
	ours, floor []float64
	ratios      []float64 // at most one for each round: 1 is the floor, more is dearer
	err         error     // why there are none, or not all
}

func newReport(o options) *report {
	return &report{begun: time.Now(), rounds: o.rounds, quick: o.quick, system: machine.Kernel(), cpu: machine.Processor(), cpus: runtime.NumCPU()}
}

// add takes what a trial found.
func (rep *report) add(t *trial) {
	for _, r := range t.rows {
		res := result{row: r, err: t.err}
		if t.err == nil {
			for _, x := range t.found[r.name] {
				res.ours, res.floor = append(res.ours, x.value), append(res.floor, x.floor)
			}
			res.ratios = r.unit.ratios(res.ours, res.floor)
		}
		rep.results = append(rep.results, res)
	}
}

// ratios says how many times as dear ours is, round by round.
func (u unit) ratios(ours, floor []float64) []float64 {
	if u == perSecond {
		return stats.Ratios(floor, ours)
	}
	return stats.Ratios(ours, floor)
}

// failures joins the errors of the rows that could not be measured. What was
// skipped is no failure.
func (rep *report) failures() error {
	var errs []error
	for _, r := range rep.results {
		if r.err != nil && !r.wasSkipped() {
			errs = append(errs, fmt.Errorf("%s: %w", r.name, r.err))
		}
	}
	return errors.Join(errs...)
}

func (r result) wasSkipped() bool {
	var s skipped
	return errors.As(r.err, &s)
}

// has reports whether the row has an aim and was measured.
func (r result) hasAim() bool { return r.err == nil && r.aim != (aim{}) }

// met reports whether the medians reach the aim.
func (r result) met() bool {
	if r.aim.ratio != 0 && !(stats.Median(r.ratios) <= r.aim.ratio) {
		return false
	}
	value := stats.Median(r.ours)
	switch {
	case r.aim.value == 0:
		return true
	case r.unit == perSecond:
		return value >= r.aim.value
	}
	return value <= r.aim.value
}
