package harness

import (
	"time"

	"github.com/understudy-go/understudy/bench/internal/stats"
)

// Result is a row with its readings, one for each round.
type Result struct {
	Row
	Readings map[Figure][]float64
	Skipped  error // why it was not measured
	Err      error // why it could not be measured
}

// Figure is what is read in each round. Its text is part of the JSON schema.
type Figure string

const (
	P50  Figure = "p50"  // of a warm round trip, ns
	P99  Figure = "p99"  // likewise
	P999 Figure = "p999" // likewise
	Wake Figure = "wake" // p50 of a round trip after a pause, ns
	CPU  Figure = "cpu"  // time of all processes for one warm round trip, ns
	Rate Figure = "rate" // messages one way, 1/s
)

// Figures are all of them, in the order of the table.
var Figures = []Figure{P50, P99, P999, Wake, CPU, Rate}

func (r *Result) add(warm, woken []time.Duration, rate, cpu float64) {
	if r.Readings == nil {
		r.Readings = make(map[Figure][]float64)
	}
	put := func(f Figure, v float64) { r.Readings[f] = append(r.Readings[f], v) }
	ns := nanoseconds(warm)
	put(P50, stats.Quantile(ns, 0.5))
	put(P99, stats.Quantile(ns, 0.99))
	put(P999, stats.Quantile(ns, 0.999))
	put(Wake, stats.Quantile(nanoseconds(woken), 0.5))
	put(CPU, cpu)
	if rate > 0 {
		put(Rate, rate)
	}
}

// Measured reports whether there are figures.
func (r *Result) Measured() bool { return r.Skipped == nil && r.Err == nil && len(r.Readings[P50]) > 0 }

// Median returns the median of the rounds; NaN if the row has no such figure.
func (r *Result) Median(f Figure) float64 { return stats.Median(r.Readings[f]) }

// Ratio returns how many times as long as another's a round trip of the row
// takes: the median of the rounds' own ratios, because what disturbed a round
// disturbed both. It is NaN if either has no figures.
func (r *Result) Ratio(to *Result) float64 {
	if to == nil || !to.Measured() || !r.Measured() {
		return stats.Median(nil)
	}
	return stats.Median(stats.Ratios(r.Readings[P50], to.Readings[P50]))
}

// Find returns the result of a row, nil if there is none.
func Find(results []Result, name string) *Result {
	for i := range results {
		if results[i].Name == name {
			return &results[i]
		}
	}
	return nil
}

func nanoseconds(ds []time.Duration) []float64 {
	ns := make([]float64, len(ds))
	for i, d := range ds {
		ns[i] = float64(d)
	}
	return ns
}
