package transport

import (
	"testing"
	"time"
)

// What a spinner makes of how long it had to wait.
func TestSpinnerLearns(t *testing.T) {
	const us = time.Microsecond
	for _, c := range []struct {
		name   string
		max    time.Duration
		waited []time.Duration
		want   time.Duration
	}{
		{"at first it looks for long", 40 * us, nil, 40 * us},
		{"the default", 0, nil, defaultSpin},
		{"what does not pay is halved", 40 * us, []time.Duration{time.Second}, 20 * us},
		{"and halved", 40 * us, []time.Duration{time.Second, time.Second}, 10 * us},
		{"until it is nothing", 40 * us, []time.Duration{1e9, 1e9, 1e9, 1e9, 1e9}, 0},
		{"and stays nothing", 40 * us, []time.Duration{1e9, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9}, 0},
		{"each short sleep brings a little back", 40 * us, []time.Duration{1e9, 1e9, 30 * us, 30 * us}, 12 * us},
		{"each look that pays adds as much", 40 * us, []time.Duration{1e9, 1e9, us, us}, 12 * us},
		{"also to nothing", 8 * us, []time.Duration{1e9, 1e9, 1e9, us, us}, 3 * us},
		{"up to the limit", 4 * us, []time.Duration{1e9, us, us, us, us}, 4 * us},
		{"short and long by turns is not worth it", 40 * us, []time.Duration{1e9, us, 1e9, us, 1e9, us, 1e9, us, 1e9, us, 1e9}, 0},
		{"negative is off", -1, nil, 0},
		{"and stays off", -1, []time.Duration{us, us, 1e9}, 0},
	} {
		s := Spinner{Max: c.max}
		s.nextBudget()
		for _, d := range c.waited {
			s.waited(d)
		}
		if got := s.nextBudget(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// One that has given up tries it again after a while.
func TestSpinnerTriesAgain(t *testing.T) {
	for _, c := range []struct {
		waited, want time.Duration
	}{{time.Microsecond, 20 * time.Microsecond}, {time.Second, 0}} {
		s := Spinner{Max: 40 * time.Microsecond}
		s.nextBudget()
		for range 6 {
			s.waited(time.Second)
		}
		for n := range 2 * tryEvery {
			want := time.Duration(0)
			if (n+1)%tryEvery == 0 {
				want = s.Max
			}
			if got := s.nextBudget(); got != want {
				t.Fatalf("the wait number %d: %v, want %v", n, got, want)
			}
			s.waited(time.Second)
		}
		for range tryEvery {
			s.nextBudget()
		}
		s.waited(c.waited)
		if got := s.nextBudget(); got != c.want {
			t.Errorf("having waited %v when it tried: %v, want %v", c.waited, got, c.want)
		}
	}
}

// countdown is ready after so many looks.
type countdown struct{ left, looks int }

func (c *countdown) Ready() bool {
	c.left--
	c.looks++
	return c.left < 0
}

func TestSpinnerLooks(t *testing.T) {
	never := &countdown{left: 1 << 30}
	off := Spinner{Max: -1}
	if ok, since := off.Spin(never); ok || since == 0 || never.looks != 1 {
		t.Errorf("off: %v after %d looks, since %d", ok, never.looks, since)
	}
	on := Spinner{Max: time.Hour}
	if ok, since := on.Spin(&countdown{}); !ok || since != 0 {
		t.Errorf("ready at once: %v, since %d", ok, since)
	}
	brief := Spinner{Max: 3 * time.Microsecond}
	if ok, since := brief.Spin(never); ok || since == 0 {
		t.Errorf("never ready: %v, since %d", ok, since)
	}
	if n := spinners.Load(); n != 0 {
		t.Errorf("%d spin still", n)
	}
}
