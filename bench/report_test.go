package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// found is a trial that has been carried out.
func found(r row, err error, readings ...reading) *trial {
	return &trial{probe: probe{rows: []row{r}}, err: err, found: map[string][]reading{r.name: readings}}
}

func sample() *report {
	rep := &report{rounds: 3}
	rep.add(found(row{name: "fast", title: "fast row", unit: nanoseconds, floor: "floor of fast", aim: aim{ratio: 2}}, nil,
		reading{1500, 1000}, reading{30_000, 20_000}, reading{1600, 1000}))
	rep.add(found(row{name: "slow", title: "slow row", unit: perSecond, floor: "f", aim: aim{ratio: 2}}, nil,
		reading{10, 30}, reading{10, 30}, reading{10, 30}))
	rep.add(found(row{name: "share", title: "share row", unit: percent, floor: "f", aim: aim{value: 1}}, nil,
		reading{0.5, 0}, reading{0.6, 0}, reading{0.7, 0}))
	rep.add(found(row{name: "large", title: "large row", unit: bytes, aim: aim{ratio: 1}}, skip("no room for %d", 7)))
	rep.add(found(row{name: "broken", title: "broken row", unit: bytes}, errors.New("it broke")))
	return rep
}

func TestText(t *testing.T) {
	var out strings.Builder
	if err := sample().writeText(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for i, want := range []string{
		"row median floor ratio (min - max) aim floor is",
		"fast row 1.60 us 1.00 us 1.50 (1.50 - 1.60) 2.00: met floor of fast",
		"slow row 10.0 /s 30.0 /s 3.00 (3.00 - 3.00) 2.00: missed f",
		"share row 0.60 % 0.00 % - 1.00 %: met f",
		"large row skipped no room for 7",
		"broken row failed it broke",
	} {
		if got := strings.Join(strings.Fields(lines[i]), " "); got != want {
			t.Errorf("line %d is %q, want %q", i, got, want)
		}
	}
}

func TestARateIsToBeHigh(t *testing.T) {
	for rate, want := range map[float64]bool{50: false, 100: true, 200: true} {
		r := result{row: row{unit: perSecond, aim: aim{value: 100}}, ours: []float64{rate}}
		if r.met() != want {
			t.Errorf("an aim of 100/s with %v/s: met is %v", rate, r.met())
		}
	}
}

func TestOnlyBrokenRowsAreFailures(t *testing.T) {
	if err := sample().failures(); err == nil || err.Error() != "broken: it broke" {
		t.Errorf("failures: %v", err)
	}
}

func TestJSON(t *testing.T) {
	var out strings.Builder
	if err := sample().writeJSON(&out); err != nil {
		t.Fatal(err)
	}
	var got jsonReport
	dec := json.NewDecoder(strings.NewReader(out.String()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Schema != "understudy-bench/1" || got.Rounds != 3 || len(got.Rows) != 5 {
		t.Fatalf("%+v", got)
	}
	fast, slow, share, large, broken := got.Rows[0], got.Rows[1], got.Rows[2], got.Rows[3], got.Rows[4]
	if fast.Value.Median != 1600 || fast.Value.Max != 30_000 || len(fast.Value.Rounds) != 3 || fast.Ratio.Median != 1.5 || !fast.Aim.Met {
		t.Errorf("fast: %+v", fast)
	}
	if slow.Ratio.Median != 3 || slow.Aim.Met {
		t.Errorf("slow: %+v", slow)
	}
	if share.Ratio != nil || share.Aim.Value != 1 || !share.Aim.Met {
		t.Errorf("share: %+v", share)
	}
	if large.Skipped != "no room for 7" || large.Value != nil || large.Aim != nil || large.Error != "" {
		t.Errorf("large: %+v", large)
	}
	if broken.Error != "it broke" || broken.Skipped != "" {
		t.Errorf("broken: %+v", broken)
	}
}

func TestInterleave(t *testing.T) {
	var order []string
	make := func(name string, fails bool) *trial {
		return &trial{
			probe: probe{rows: []row{{name: name}}, open: func(context.Context, *bed) (session, error) {
				return sessionFuncs{
					measure: func(context.Context) (map[string]reading, error) {
						order = append(order, name)
						if fails {
							return nil, errors.New("no")
						}
						return map[string]reading{name: {1, 1}}, nil
					},
					end: func() { order = append(order, "close "+name) },
				}, nil
			}},
			found: map[string][]reading{},
		}
	}
	a, b, c := make("a", false), make("b", true), make("c", false)
	new(bed).interleave(t.Context(), []*trial{a, b, c}, 2, func(string, ...any) {})
	if got := strings.Join(order, " "); got != "a b c a c close a close b close c" {
		t.Errorf("order: %s", got)
	}
	if a.err != nil || b.err == nil || c.err != nil || len(a.found["a"]) != 2 {
		t.Errorf("errors %v, %v, %v; found %v", a.err, b.err, c.err, a.found)
	}
}
