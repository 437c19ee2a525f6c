package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// actorsPerCPU is how many there are at a saturation: one half of them calls the
// other, each its own.
const actorsPerCPU = 4

// crush is a turn of theirs: longer than [turn], because so many processes take
// their time to begin and to end.
const crush = 40 * time.Millisecond

// openSaturation measures more actors at work than there are CPUs, where who
// spins takes the CPU from who would answer: beside the same actors that do not
// spin.
func openSaturation(ctx context.Context, b *bed) (s session, err error) {
	var halls []*hall
	end := func() {
		for _, h := range halls {
			stopTree(h.tree)
		}
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	for _, l := range []lane{ringLane, unspunLane} {
		h, err := openHall(ctx, l, actorsPerCPU*runtime.NumCPU()/2)
		if err != nil {
			return nil, err
		}
		halls = append(halls, h)
		if _, err := h.press(ctx, crush); err != nil { // so that the links have all they get
			return nil, err
		}
	}
	measure := func(ctx context.Context) (map[string]reading, error) {
		var calls [2]int
		took := time.Duration(0)
		for ; took < 2*b.rates; took += crush {
			for i, h := range halls {
				n, err := h.press(ctx, crush)
				if err != nil {
					return nil, err
				}
				calls[i] += n
			}
		}
		return map[string]reading{"saturation/rate": {rate(calls[0], took), rate(calls[1], took)}}, nil
	}
	return sessionFuncs{measure, end}, nil
}

// hall is a tree of pairs of actors.
type hall struct {
	tree          *supervisor.Tree
	callers, told []actor.Ref[subject]
}

func openHall(ctx context.Context, l lane, pairs int) (*hall, error) {
	var children []supervisor.Child
	for i := range 2 * pairs {
		children = append(children, supervisor.Child{Name: fmt.Sprintf("actor-%d", i), Run: subjects.With(actor.None{})})
	}
	tree, err := startTree(ctx, l, children...)
	if err != nil {
		return nil, err
	}
	h := &hall{tree: tree}
	for i, c := range children {
		ref := subjects.Ref(tree, c.Name)
		if i%2 == 0 {
			h.callers = append(h.callers, ref)
		} else {
			h.told = append(h.told, ref)
		}
	}
	return h, nil
}

// press has all callers call at once for some time, and returns how many calls
// they made.
func (h *hall) press(ctx context.Context, d time.Duration) (int, error) {
	calls, errs := make([]int, len(h.callers)), make([]error, len(h.callers))
	var all sync.WaitGroup
	for i := range h.callers {
		all.Go(func() {
			calls[i], errs[i] = press.Call(ctx, h.callers[i], errand{To: h.told[i], For: d})
		})
	}
	all.Wait()
	sum := 0
	for _, n := range calls {
		sum += n
	}
	return sum, errors.Join(errs...)
}
