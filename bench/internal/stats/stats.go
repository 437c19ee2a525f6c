// Package stats is the arithmetic that this benchmark and the one against
// others have in common.
package stats

import (
	"math"
	"slices"
)

// Quantile returns the q-quantile of xs, 0 <= q <= 1, interpolated between the
// two nearest ranks; NaN if there are none. xs is not changed.
func Quantile(xs []float64, q float64) float64 {
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

// Median returns the middle of xs, NaN if there are none.
func Median(xs []float64) float64 { return Quantile(xs, 0.5) }

// Ratios divides round by round: what disturbed a round disturbed both sides
// of it. A round whose divisor is 0 has no ratio.
func Ratios(over, under []float64) []float64 {
	var rs []float64
	for i := range min(len(over), len(under)) {
		if under[i] != 0 {
			rs = append(rs, over[i]/under[i])
		}
	}
	return rs
}
