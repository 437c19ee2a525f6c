package main

import (
	"math"
	"slices"
	"time"
)

// quantile returns the q-quantile of xs, 0 <= q <= 1, interpolated between the
// two nearest ranks; NaN if there are none. xs is not changed.
func quantile(xs []float64, q float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	s := slices.Clone(xs)
	slices.Sort(s)
	at := q * float64(len(s)-1)
	i := int(at)
	if i+1 == len(s) {
		return s[i]
	}
	return s[i] + (at-float64(i))*(s[i+1]-s[i])
}

func median(xs []float64) float64 { return quantile(xs, 0.5) }

// spread is how the readings of the rounds lie.
type spread struct{ min, median, max float64 }

func spreadOf(xs []float64) spread {
	return spread{quantile(xs, 0), median(xs), quantile(xs, 1)}
}

// ratios divides round by round: what disturbed a round disturbed both sides
// of it. A round whose divisor is 0 has no ratio.
func ratios(over, under []float64) []float64 {
	var rs []float64
	for i := range min(len(over), len(under)) {
		if under[i] != 0 {
			rs = append(rs, over[i]/under[i])
		}
	}
	return rs
}

// latencies are the durations of single operations.
type latencies []time.Duration

// at returns the q-quantile in nanoseconds.
func (l latencies) at(q float64) float64 {
	xs := make([]float64, len(l))
	for i, d := range l {
		xs[i] = float64(d)
	}
	return quantile(xs, q)
}
