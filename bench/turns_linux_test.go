package main

import (
	"errors"
	"os"
	"testing"
	"time"
)

func TestTurns(t *testing.T) {
	var order []byte
	count := func(c byte) side {
		return side{peer: os.Getpid(), op: func() error {
			if len(order) == 0 || order[len(order)-1] != c {
				order = append(order, c)
			}
			return nil
		}}
	}
	ours, floor, err := turns(3*turn, count('o'), count('f'))
	if err != nil {
		t.Fatal(err)
	}
	if string(order) != "fofofo" {
		t.Errorf("order %s, want fofofo", order)
	}
	for _, w := range []work{ours, floor} {
		if len(w.latencies) < 3 || w.ops < len(w.latencies)+3 || w.cpu <= 0 {
			t.Errorf("%d latencies of %d operations, %v of CPU", len(w.latencies), w.ops, w.cpu)
		}
	}
}

func TestSlowOperationsCount(t *testing.T) {
	// One operation outlasts the turn: the first warms up, the second counts.
	n := 0
	slow := side{peer: os.Getpid(), op: func() error {
		n++
		for begin := time.Now(); time.Since(begin) < turn; {
		}
		return nil
	}}
	var w work
	if err := w.take(slow); err != nil || n != 2 || len(w.latencies) != 1 {
		t.Errorf("%d operations, %d latencies, %v", n, len(w.latencies), err)
	}
}

func TestTurnsEndWithAnError(t *testing.T) {
	bad := errors.New("bad")
	fine := side{peer: os.Getpid(), op: func() error { return nil }}
	broken := side{peer: os.Getpid(), op: func() error { return bad }}
	if _, _, err := turns(time.Hour, broken, fine); !errors.Is(err, bad) {
		t.Errorf("error %v", err)
	}
}

func TestWhatDisturbsRests(t *testing.T) {
	awake := false
	noisy := side{peer: os.Getpid(),
		wake: func() error { awake = true; return nil },
		op: func() error {
			if !awake {
				return errors.New("it sleeps")
			}
			return nil
		},
		rest: func() error { awake = false; return nil },
	}
	quiet := side{peer: os.Getpid(), op: func() error {
		if awake {
			return errors.New("the other side is awake")
		}
		return nil
	}}
	if _, err := byTurns(2*turn, noisy, quiet, noisy); err != nil {
		t.Error(err)
	}
}
