package process

import (
	"slices"
	"strings"
	"testing"
)

func TestRaceReports(t *testing.T) {
	const rule, title = "==================", "WARNING: DATA RACE"
	for name, c := range map[string]struct{ lines, want []string }{
		"none":               {[]string{"a", "b"}, nil},
		"one":                {[]string{"a", rule, title, "Write at", "  f()", rule, "Found 1 data race(s)"}, []string{"Write at\n  f()"}},
		"two in a row":       {[]string{rule, title, "one", rule, rule, title, "two", rule}, []string{"one", "two"}},
		"cut by the end":     {[]string{rule, title, "one"}, []string{"one"}},
		"a title alone":      {[]string{title, "one", rule}, nil},
		"rules of a program": {[]string{rule, "menu", rule, "more"}, nil},
		"rule upon rule":     {[]string{rule, rule, title, "one", rule}, []string{"one"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			r := raceReports{call: func(s string) { got = append(got, s) }}
			for _, l := range c.lines {
				r.line([]byte(l))
			}
			r.end()
			if !slices.Equal(got, c.want) || r.many != len(c.want) {
				t.Fatalf("found %q (%d), want %q", got, r.many, c.want)
			}
		})
	}
	t.Run("endless", func(t *testing.T) {
		var got string
		r := raceReports{call: func(s string) { got = s }}
		r.line([]byte(rule))
		r.line([]byte(title))
		for range 10_000 {
			r.line([]byte(strings.Repeat("x", 100)))
		}
		r.end()
		if len(got) == 0 || len(got) > maxRaceReport {
			t.Fatalf("%d bytes", len(got))
		}
	})
}
