package main

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/bench/peers/internal/harness"
)

// TestEveryRow has each row make a few round trips. Whoever measures checks
// each reply, so that a wrong one is an error.
func TestEveryRow(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	w, err := openWorkshop()
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	for _, r := range table(w, options{array: 1 << 20}) {
		t.Run(r.Name, func(t *testing.T) {
			if err := r.Available(); err != nil {
				t.Skip(err)
			}
			p, err := r.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			pids := p.PIDs()
			stop := func() { p.Stop() }
			defer func() { stop() }()
			tryRounds(t, p)
			tryStream(t, p)
			stop()
			stop = func() {}
			for _, pid := range pids {
				if pid != os.Getpid() && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
					t.Errorf("process %d is left behind", pid)
				}
			}
		})
	}
}

func tryRounds(t *testing.T, p harness.Peer) {
	for _, c := range []struct {
		n     int
		pause time.Duration
	}{{1, 0}, {20, 0}, {2, time.Millisecond}, {1, 0}} {
		took, err := p.Round(c.n, c.pause)
		if err != nil {
			t.Fatalf("%d round trips, pause %v: %v", c.n, c.pause, err)
		}
		if len(took) != c.n {
			t.Fatalf("%d of %d round trips", len(took), c.n)
		}
		for _, d := range took {
			if d <= 0 || d > 5*time.Second {
				t.Errorf("a round trip took %v", d)
			}
		}
	}
}

func tryStream(t *testing.T, p harness.Peer) {
	s, ok := p.(harness.Streamer)
	if !ok {
		return
	}
	for _, n := range []int{1, 3000} { // more than a ring holds
		if took, err := s.Stream(n); err != nil || took <= 0 {
			t.Errorf("%d messages one way took %v: %v", n, took, err)
		}
	}
	tryRounds(t, p) // it still makes round trips
}

func TestNamesAreUnique(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range table(&workshop{}, options{}) {
		if seen[r.Name] || r.Name == "" || r.Title == "" || r.Processes == 0 || r.Role == "" {
			t.Errorf("row %q: a second one, or something is missing", r.Name)
		}
		seen[r.Name] = true
	}
	for _, base := range []string{baseUs, baseFloor} {
		if !seen[base] {
			t.Errorf("no row %q", base)
		}
	}
}
