package main

import (
	"slices"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	if got, want := spreadOf([]float64{5, 1, 3}), (spread{1, 3, 5}); got != want {
		t.Errorf("spread %v, want %v", got, want)
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
