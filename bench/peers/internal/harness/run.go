package harness

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// Options say how much is measured.
type Options struct {
	Rounds   int
	Budget   time.Duration // of round trips, in each round of each row
	Wakes    int           // round trips after a pause, in each round
	Pause    time.Duration
	Progress func(format string, a ...any)
}

// Run measures the rows and returns a result for each. All are started first,
// and each round takes one reading of each, so that all medians are about the
// same minutes. A row that fails takes only itself along.
func Run(ctx context.Context, rows []Row, o Options) []Result {
	trials := make([]*trial, len(rows))
	defer func() {
		for _, t := range trials {
			t.stop()
		}
	}()
	for i, r := range rows {
		trials[i] = &trial{Result: Result{Row: r}}
		o.Progress("starting %s", r.Name)
		trials[i].start(ctx, o)
	}
	for i := range o.Rounds {
		for _, t := range trials {
			if t.peer == nil {
				continue
			}
			o.Progress("round %d of %d: %s", i+1, o.Rounds, t.Name)
			if t.Err = ctx.Err(); t.Err == nil {
				t.Err = t.round(o)
			}
			if t.Err != nil {
				t.stop()
			}
		}
	}
	results := make([]Result, len(trials))
	for i, t := range trials {
		results[i] = t.Result
	}
	return results
}

// trial is a row while it is measured.
type trial struct {
	Result
	peer   Peer
	pids   []int
	trips  int // in each round
	stream int // messages in each round
}

func (t *trial) start(ctx context.Context, o Options) {
	if t.Skipped = t.Available(); t.Skipped != nil {
		return
	}
	if t.peer, t.Err = t.Start(ctx); t.Err != nil {
		t.peer = nil
		return
	}
	if t.Err = t.warm(o); t.Err != nil {
		t.stop()
		return
	}
	t.pids = family(t.peer.PIDs())
}

// warm finds out how many round trips fit into the budget. Doubling, it takes
// about as long, and so the row is warm.
func (t *trial) warm(o Options) error {
	const most = 1 << 18 // round trips: a bound for the memory that they take
	for n := 16; ; n *= 2 {
		begin := time.Now()
		if _, err := t.peer.Round(n, 0); err != nil {
			return err
		}
		took := time.Since(begin)
		t.trips = min(most, max(16, int(float64(n)*float64(o.Budget)/float64(took))))
		if took > o.Budget/2 || n >= most {
			break
		}
	}
	if s, ok := t.peer.(Streamer); ok {
		// At least as fast as round trips; a short stream would measure its end.
		t.stream = max(1000, t.trips)
		took, err := s.Stream(t.stream)
		if err != nil {
			return err
		}
		t.stream = min(1<<20, max(t.stream, int(float64(t.stream)*float64(o.Budget)/float64(took))))
	}
	return nil
}

func (t *trial) round(o Options) error {
	runtime.GC() // nobody pays for what the row before left
	// It has rested while the others ran.
	if _, err := t.peer.Round(max(1, t.trips/10), 0); err != nil {
		return err
	}
	before := cpuOf(t.pids)
	took, err := t.peer.Round(t.trips, 0)
	if err != nil {
		return err
	}
	if len(took) != t.trips {
		return fmt.Errorf("%d of %d round trips were made", len(took), t.trips)
	}
	cpu := cpuOf(t.pids) - before
	woken, err := t.peer.Round(o.Wakes, o.Pause)
	if err != nil {
		return err
	}
	var rate float64
	if s, ok := t.peer.(Streamer); ok {
		took, err := s.Stream(t.stream)
		if err != nil {
			return err
		}
		rate = float64(t.stream) / took.Seconds()
	}
	t.add(took, woken, rate, float64(cpu)/float64(t.trips))
	return nil
}

func (t *trial) stop() {
	if t != nil && t.peer != nil {
		t.peer.Stop()
		t.peer = nil
	}
}
