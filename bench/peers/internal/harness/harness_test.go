package harness

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"
)

// fake is a peer without processes.
type fake struct {
	log    *[]string
	name   string
	fail   error
	rounds int
}

func (f *fake) Round(n int, pause time.Duration) ([]time.Duration, error) {
	if pause == 0 {
		f.rounds++
	}
	if f.fail != nil && f.rounds > 30 {
		return nil, f.fail
	}
	*f.log = append(*f.log, f.name)
	time.Sleep(100 * time.Microsecond)
	return slices.Repeat([]time.Duration{3 * time.Microsecond}, n), nil
}

func (f *fake) PIDs() []int { return nil }
func (f *fake) Stop()       { *f.log = append(*f.log, "stop "+f.name) }

func TestRun(t *testing.T) {
	var log []string
	broken := errors.New("broken")
	row := func(name string, unavailable, start, fail error) Row {
		return Row{Name: name,
			Available: func() error { return unavailable },
			Start: func(context.Context) (Peer, error) {
				return &fake{log: &log, name: name, fail: fail}, start
			}}
	}
	rows := []Row{row("good", nil, nil, nil), row("absent", broken, nil, nil), row("ill", nil, broken, nil), row("mortal", nil, nil, broken), row("fine", nil, nil, nil)}
	results := Run(t.Context(), rows, Options{Rounds: 30, Budget: time.Microsecond, Wakes: 1, Pause: 1, Progress: func(string, ...any) {}})
	for i, want := range []struct {
		rounds       int
		skipped, err error
	}{{30, nil, nil}, {0, broken, nil}, {0, nil, broken}, {-1, nil, broken}, {30, nil, nil}} {
		r := results[i]
		if n := len(r.Readings[P50]); n != want.rounds && want.rounds >= 0 || !errors.Is(r.Skipped, want.skipped) || !errors.Is(r.Err, want.err) {
			t.Errorf("%s: %d rounds, skipped %v, error %v", r.Name, n, r.Skipped, r.Err)
		}
	}
	if results[0].Median(P50) != 3000 {
		t.Errorf("p50 is %v", results[0].Median(P50))
	}
	for _, name := range []string{"good", "mortal", "fine"} {
		if n := len(slices.DeleteFunc(slices.Clone(log), func(s string) bool { return s != "stop "+name })); n != 1 {
			t.Errorf("%s was stopped %d times", name, n)
		}
	}
}

func TestInterruptedRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var log []string
	rows := []Row{{Name: "r", Available: func() error { return nil }, Start: func(context.Context) (Peer, error) { return &fake{log: &log, name: "r"}, nil }}}
	results := Run(ctx, rows, Options{Rounds: 1, Progress: func(string, ...any) {}})
	if !errors.Is(results[0].Err, context.Canceled) || !slices.Contains(log, "stop r") {
		t.Errorf("%v, %v", results[0].Err, log)
	}
}

func TestRatioIsOfTheSameRounds(t *testing.T) {
	of := func(xs ...float64) *Result { return &Result{Readings: map[Figure][]float64{P50: xs}} }
	if got := of(2, 40, 2).Ratio(of(1, 20, 1)); got != 2 {
		t.Errorf("ratio %v", got)
	}
	if got := of(1).Ratio(nil); !math.IsNaN(got) {
		t.Errorf("ratio to nobody %v", got)
	}
}
