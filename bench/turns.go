package main

import "time"

// turn is how long one side runs before it is the other's turn: long enough to
// be warm, short enough that both sides see the same machine.
const turn = 10 * time.Millisecond

// turns runs ours and the floor by turns until each has had its budget, and
// returns how long each operation took. What begins in the first tenth of a
// turn warms up and does not count; at least one operation of each turn does.
func turns(budget time.Duration, ours, floor func() error) (o, f latencies, err error) {
	for spent := time.Duration(0); spent < budget; spent += turn {
		if f, err = take(f, floor); err != nil {
			return nil, nil, err
		}
		if o, err = take(o, ours); err != nil {
			return nil, nil, err
		}
	}
	return o, f, nil
}

// take is one turn.
func take(l latencies, op func() error) (latencies, error) {
	begin := time.Now()
	for warm := true; ; {
		start := time.Now()
		if err := op(); err != nil {
			return nil, err
		}
		end := time.Now()
		if !warm {
			l = append(l, end.Sub(start))
		}
		if !warm && end.Sub(begin) >= turn {
			return l, nil
		}
		warm = warm && end.Sub(begin) < turn/10
	}
}
