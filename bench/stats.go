package main

import (
	"time"

	"github.com/understudy-go/understudy/bench/internal/stats"
)

// spread is how the readings of the rounds lie.
type spread struct{ min, median, max float64 }

func spreadOf(xs []float64) spread {
	return spread{stats.Quantile(xs, 0), stats.Median(xs), stats.Quantile(xs, 1)}
}

// latencies are the durations of single operations.
type latencies []time.Duration

// at returns the q-quantile in nanoseconds.
func (l latencies) at(q float64) float64 {
	xs := make([]float64, len(l))
	for i, d := range l {
		xs[i] = float64(d)
	}
	return stats.Quantile(xs, q)
}
