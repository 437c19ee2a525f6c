package main

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	for _, c := range []struct {
		xs   []float64
		q    float64
		want float64
	}{
		{[]float64{7}, 0, 7},
		{[]float64{7}, 0.99, 7},
		{[]float64{3, 1, 2}, 0, 1},
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{3, 1, 2}, 1, 3},
		{[]float64{4, 1, 3, 2}, 0.5, 2.5},
		{[]float64{0, 10}, 0.25, 2.5},
	} {
		before := slices.Clone(c.xs)
		if got := quantile(c.xs, c.q); got != c.want {
			t.Errorf("quantile(%v, %v) = %v, want %v", c.xs, c.q, got, c.want)
		}
		if !slices.Equal(before, c.xs) {
			t.Errorf("quantile changed %v to %v", before, c.xs)
		}
	}
	if got := quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("quantile of nothing = %v, want NaN", got)
	}
}

func TestSpread(t *testing.T) {
	if got, want := spreadOf([]float64{5, 1, 3}), (spread{1, 3, 5}); got != want {
		t.Errorf("spread %v, want %v", got, want)
	}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	// A round in which the machine was ten times as slow changes no ratio.
	got := ratios([]float64{2, 20, 4}, []float64{1, 10, 2})
	if !slices.Equal(got, []float64{2, 2, 2}) {
		t.Errorf("ratios %v", got)
	}
	if got := ratios([]float64{1, 2}, []float64{0, 1}); !slices.Equal(got, []float64{2}) {
		t.Errorf("with a zero floor: %v", got)
	}
}

func TestRatesAreRatioedTheOtherWay(t *testing.T) {
	// Half the rate is twice the cost.
	if got := perSecond.ratios([]float64{50}, []float64{100}); !slices.Equal(got, []float64{2}) {
		t.Errorf("ratios %v", got)
	}
}

func TestLatencies(t *testing.T) {
	l := latencies{3 * time.Microsecond, time.Microsecond, 2 * time.Microsecond}
	if got := l.at(0.5); got != 2000 {
		t.Errorf("p50 is %v ns", got)
	}
}
