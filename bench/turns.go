package main

import (
	"os"
	"time"

	"github.com/understudy-go/understudy/bench/internal/machine"
)

// turn is how long one side runs before it is the other's turn: long enough to
// be warm, short enough that both sides see the same machine.
const turn = 10 * time.Millisecond

// side is one of two ways to do the same work.
type side struct {
	op   func() error // once
	peer int          // the process that does the other half
}

// work is what was seen of a side.
type work struct {
	latencies               // of the operations that count
	ops       int           // all operations
	cpu       time.Duration // of both processes, for all operations
}

// cpuPerOp returns the CPU time of one operation in nanoseconds.
func (w work) cpuPerOp() float64 { return float64(w.cpu) / float64(w.ops) }

// turns runs two sides by turns until each has had its budget.
func turns(budget time.Duration, ours, floor side) (o, f work, err error) {
	for spent := time.Duration(0); spent < budget; spent += turn {
		if err = f.take(floor); err == nil {
			err = o.take(ours)
		}
		if err != nil {
			break
		}
	}
	return o, f, err
}

// take is one turn. What begins in the first tenth of it warms up and does not
// count; at least one operation does.
func (w *work) take(s side) error {
	before, err := cpuOf(s.peer)
	if err != nil {
		return err
	}
	begin := time.Now()
	for warm, done := true, false; !done; w.ops++ {
		start := time.Now()
		if err := s.op(); err != nil {
			return err
		}
		end := time.Now()
		if !warm {
			w.latencies = append(w.latencies, end.Sub(start))
		}
		done = !warm && end.Sub(begin) >= turn
		warm = warm && end.Sub(begin) < turn/10
	}
	after, err := cpuOf(s.peer)
	w.cpu += after - before
	return err
}

// cpuOf is the CPU time that a process and this one have used.
func cpuOf(peer int) (time.Duration, error) {
	own, err := machine.CPUTime(os.Getpid())
	if err != nil {
		return 0, err
	}
	other, err := machine.CPUTime(peer)
	return own + other, err
}
