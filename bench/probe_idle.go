package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/bench/internal/machine"
	"github.com/understudy-go/understudy/supervisor"
)

// openIdle starts many actors, and as many bare processes, all at once, so
// that the share of what they have in common is the same for both.
func openIdle(ctx context.Context, b *bed) (s session, err error) {
	var bares []*bare
	var tree *supervisor.Tree
	end := func() {
		for _, p := range bares {
			p.close()
		}
		if tree != nil {
			stopTree(tree)
		}
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	var waiting, idle []int
	for range b.idle {
		p, _, err := startBare()
		if err != nil {
			return nil, err
		}
		bares = append(bares, p)
		waiting = append(waiting, p.process.Pid)
	}
	children := make([]supervisor.Child, b.idle)
	for i := range children {
		children[i] = supervisor.Child{Name: fmt.Sprintf("idle-%d", i), Run: subjects.With(actor.None{})}
	}
	if tree, err = startTree(ctx, ringLane, children...); err != nil {
		return nil, err
	}
	for c := range tree.Children() {
		idle = append(idle, c.PID)
	}
	if err := pause(ctx, b.window); err != nil { // they have just been busy
		return nil, err
	}
	measure := func(ctx context.Context) (map[string]reading, error) {
		// The process that supervises them must be idle, too.
		cpu, err := busy(ctx, b.window, append([]int{os.Getpid()}, idle...), waiting)
		if err != nil {
			return nil, err
		}
		var memory reading
		if memory.value, err = meanPSS(idle); err == nil {
			memory.floor, err = meanPSS(waiting)
		}
		return map[string]reading{"idle/memory": memory, "idle/cpu": cpu}, err
	}
	return sessionFuncs{measure, end}, nil
}

// busy returns how much of one CPU two groups of processes use, in percent.
func busy(ctx context.Context, window time.Duration, ours, floor []int) (reading, error) {
	var before, after [2]time.Duration
	groups := [2][]int{ours, floor}
	total := func(into *[2]time.Duration) error {
		for i, pids := range groups {
			for _, pid := range pids {
				t, err := machine.CPUTime(pid)
				if err != nil {
					return err
				}
				into[i] += t
			}
		}
		return nil
	}
	start := time.Now()
	if err := total(&before); err != nil {
		return reading{}, err
	}
	if err := pause(ctx, window); err != nil {
		return reading{}, err
	}
	if err := total(&after); err != nil {
		return reading{}, err
	}
	share := 100 / float64(time.Since(start))
	return reading{float64(after[0]-before[0]) * share, float64(after[1]-before[1]) * share}, nil
}

func meanPSS(pids []int) (float64, error) {
	var sum float64
	for _, pid := range pids {
		b, err := pss(pid)
		if err != nil {
			return 0, err
		}
		sum += b
	}
	return sum / float64(len(pids)), nil
}

// pause lets time pass: here it is what is measured.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
