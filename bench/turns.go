package main

import (
	"errors"
	"os"
	"time"

	"github.com/understudy-go/understudy/bench/internal/machine"
)

// turn is how long one side runs before it is the other's turn: long enough to
// be warm, short enough that both sides see the same machine.
const turn = 10 * time.Millisecond

// player is one of several ways to do the same work.
type player interface {
	// turn runs it for the length of a turn.
	turn(w *work) error
}

// side is a player whose operations are made here.
type side struct {
	op   func() error // once
	peer int          // the process that does the other half; it may be this one
	// wake and rest come before and after a turn, if it has them: what would
	// disturb the other sides' turns sleeps meanwhile.
	wake, rest func() error
}

// work is what was seen of a player.
type work struct {
	latencies               // of the operations that count
	ops       int           // all operations
	cpu       time.Duration // of both processes, for all operations
}

// cpuPerOp returns the CPU time of one operation in nanoseconds.
func (w work) cpuPerOp() float64 { return float64(w.cpu) / float64(w.ops) }

// turns runs two players by turns until each has had its budget.
func turns(budget time.Duration, ours, floor player) (o, f work, err error) {
	ws, err := byTurns(budget, floor, ours)
	if err != nil {
		return o, f, err
	}
	return ws[1], ws[0], nil
}

// byTurns runs any number of players by turns, in their order.
func byTurns(budget time.Duration, players ...player) ([]work, error) {
	found := make([]work, len(players))
	for spent := time.Duration(0); spent < budget; spent += turn {
		for i, p := range players {
			if err := p.turn(&found[i]); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// turn is a turn with what has to be done around it.
func (s side) turn(w *work) error {
	if s.wake != nil {
		if err := s.wake(); err != nil {
			return err
		}
	}
	err := w.take(s)
	if s.rest != nil {
		err = errors.Join(err, s.rest())
	}
	return err
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
	if err != nil || peer == os.Getpid() {
		return own, err
	}
	other, err := machine.CPUTime(peer)
	return own + other, err
}
