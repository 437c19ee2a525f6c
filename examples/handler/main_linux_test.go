package main

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/examples/internal/program"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/supervisor"
)

func TestMain(m *testing.M) { program.Main(m, main) }

func TestHandler(t *testing.T) {
	leaktest.Check(t)
	p := program.Start(t, "-training=1ms")
	// Requests are begun in the order in which they were sent: 1, 3 and 5 are
	// the hires, which are answered later.
	p.Line("request 2: roll")
	p.Line("request 4: roll")
	p.Line("request 6: roll")
	p.Line("request 1: hired /manager/ada")
	p.Line("ada, asked directly: 1000 = [2 2 2 5 5 5]")
	p.Line("request 3: hired /manager/bob")
	p.Line("request 5: hired /manager/cyd")
	p.Line("1000000007 = [1000000007]")
	p.Line("1000000012 = [2 2 11 47 79 6121]")
	if code := p.Wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func startManager(t *testing.T) Manager {
	t.Helper()
	tree, err := supervisor.Start(t.Context(), supervisor.Spec{Children: []supervisor.Child{
		{Name: "manager", Run: managers.With(actor.None{}), InProcess: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tree.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	ref := managers.Ref(tree, "manager")
	return Manager{ref}
}

// waitRoll asks for the roll until it is as wanted.
func waitRoll(t *testing.T, m Manager, as func(Roll) bool) {
	t.Helper()
	for {
		r, err := m.Roll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if as(r) {
			return
		}
	}
}

// TestServesWhileHiring: nobody will ever have been trained for a day, and
// still the manager answers; and who gives up waiting has not hired.
func TestServesWhileHiring(t *testing.T) {
	leaktest.Check(t)
	m := startManager(t)
	ctx, giveUp := context.WithCancel(t.Context())
	hire := m.Hire(ctx, contract{"slow", 24 * time.Hour})
	waitRoll(t, m, func(r Roll) bool { return len(r.Workers) == 1 && r.Workers[0].State == "starting" })
	if _, err := m.Factor(t.Context(), 12).Result(); !errors.Is(err, errNobody) {
		t.Errorf("work without workers: %v", err)
	}
	giveUp()
	if _, err := hire.Result(); !errors.Is(err, context.Canceled) {
		t.Errorf("hire that was given up: %v", err)
	}
	waitRoll(t, m, func(r Roll) bool { return len(r.Workers) == 0 })
	if h, err := m.Hire(t.Context(), contract{Name: "quick"}).Result(); err != nil || h.Worker.Path() != "/manager/quick" {
		t.Errorf("hired %v, error %v", h.Worker.Path(), err)
	}
}

func TestNameTaken(t *testing.T) {
	leaktest.Check(t)
	m := startManager(t)
	if _, err := m.Hire(t.Context(), contract{Name: "ada"}).Result(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Hire(t.Context(), contract{Name: "ada"}).Result(); err == nil {
		t.Error("hired twice under one name")
	}
}

// TestKilledWorker: the manager and the other requests do not suffer, and the
// worker comes back.
func TestKilledWorker(t *testing.T) {
	leaktest.Check(t)
	m := startManager(t)
	h, err := m.Hire(t.Context(), contract{Name: "ada"}).Result()
	if err != nil {
		t.Fatal(err)
	}
	monitor, stop := context.WithCancel(t.Context())
	defer stop()
	downs := h.Worker.Monitor(monitor)
	roll, err := m.Roll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	prime := uint64(18446744073709551557) // it takes a while
	ctx, giveUp := context.WithCancel(t.Context())
	answer := m.Factor(ctx, prime)
	if err := syscall.Kill(roll.Workers[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for down, err := range downs {
		if err != nil {
			t.Fatal(err)
		}
		if down.Path != "/manager/ada" || down.Signal != syscall.SIGKILL {
			t.Errorf("down: %+v", down)
		}
		break
	}
	giveUp()
	_, err = answer.Result()
	var exit *actor.ExitError
	if errors.As(err, &exit) {
		if exit.Signal != syscall.SIGKILL || exit.Begun != actor.BegunYes {
			t.Errorf("the call in the worker's hands: %v", err)
		}
	} else if !errors.Is(err, context.Canceled) { // it had not been begun, and waited for the replacement
		t.Errorf("the call that was given up: %v", err)
	}
	if a, err := (Worker{h.Worker}).Factor(t.Context(), 15); err != nil || !slices.Equal(a.Factors, []uint64{3, 5}) {
		t.Errorf("the replacement answered %v, error %v", a, err)
	}
}
