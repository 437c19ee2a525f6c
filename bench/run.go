package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// run measures every wanted row and returns the report. A probe that fails
// takes only its own rows with it; the error is for what concerns all.
func run(ctx context.Context, o options, progress func(string, ...any)) (*report, error) {
	wanted := choose(table(o.scale), o)
	if len(wanted) == 0 {
		return nil, fmt.Errorf("-only %v: no row has such a name", o.only)
	}
	rep := newReport(o)
	bed, err := makeBed(ctx, o.scale)
	if err != nil {
		return nil, err
	}
	defer bed.close()
	stop, err := bed.startProfile(ctx, o.profile)
	if err != nil {
		return nil, err
	}
	together, alone := split(wanted)
	bed.interleave(ctx, together, o.rounds, progress)
	for _, t := range alone {
		bed.interleave(ctx, []*trial{t}, o.rounds, progress)
	}
	for _, t := range wanted {
		rep.add(t)
	}
	rep.took = time.Since(rep.begun)
	if err := stop(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return rep, nil
}

// trial is a probe with what its rounds found.
type trial struct {
	probe
	session session
	found   map[string][]reading
	err     error // it ends the trial
}

// choose returns a trial for each probe of which a row is wanted. Of a probe
// that measures several rows only the wanted ones are kept.
func choose(probes []probe, o options) []*trial {
	var chosen []*trial
	for _, p := range probes {
		p.rows = slices.DeleteFunc(slices.Clone(p.rows), func(r row) bool { return !o.only.MatchString(r.name) })
		if len(p.rows) > 0 {
			chosen = append(chosen, &trial{probe: p, found: make(map[string][]reading)})
		}
	}
	return chosen
}

func split(all []*trial) (together, alone []*trial) {
	for _, t := range all {
		if t.alone {
			alone = append(alone, t)
		} else {
			together = append(together, t)
		}
	}
	return together, alone
}

// interleave takes one reading of each trial in each round, so that the medians
// of all are about the same minutes.
func (b *bed) interleave(ctx context.Context, trials []*trial, rounds int, progress func(string, ...any)) {
	defer func() {
		for _, t := range trials {
			if t.session != nil {
				t.session.close()
			}
		}
	}()
	for _, t := range trials {
		if t.err = ctx.Err(); t.err == nil {
			t.session, t.err = t.open(ctx, b)
		}
	}
	for i := range rounds {
		for _, t := range trials {
			if t.err == nil {
				progress("round %d of %d: %s", i+1, rounds, t.rows[0].name)
				t.round(ctx)
			}
		}
	}
}

func (t *trial) round(ctx context.Context) {
	readings, err := t.session.round(ctx)
	for _, r := range t.rows {
		reading, ok := readings[r.name]
		if err == nil && !ok {
			err = errors.New("its probe did not measure it")
		}
		t.found[r.name] = append(t.found[r.name], reading)
	}
	t.err = err
}
