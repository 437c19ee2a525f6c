package main

import (
	"regexp"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	for _, s := range []scale{full, short} {
		names := make(map[string]bool)
		for _, p := range table(s) {
			if p.open == nil || len(p.rows) == 0 {
				t.Fatalf("a probe without rows, or that nobody can open: %+v", p.rows)
			}
			for _, r := range p.rows {
				if names[r.name] {
					t.Errorf("row %s twice", r.name)
				}
				names[r.name] = true
				if r.title == "" || r.unit == "" || r.floor == "" || strings.ContainsAny(r.name, " \t") {
					t.Errorf("row %+v", r)
				}
			}
		}
		for _, want := range []string{"call/p50", "call/p99", "call/cpu", "lane/ring/p50", "lane/unspun/p99", "lane/socket/p99.9", "lane/local/cpu",
			"sibling/p50", "wake/ring", "wake/socket", "load/1", "load/64", "load/pipeline", "load/stream", "cast/rate", "cast/own", "cast/list",
			"cast/socket", "cost/call/cpu", "cost/cast/allocs/actor", "crowd/p50", "saturation/rate", "inline/16B", "inline/4MiB", "reference/4KiB/call",
			"spawn/ready", "restart/reply", "idle/memory", "idle/cpu"} {
			if !names[want] {
				t.Errorf("quick=%v: no row %s", s.quick, want)
			}
		}
		if names["reference/1GiB/call"] == s.quick {
			t.Errorf("quick=%v, the array of 1 GiB: %v", s.quick, names["reference/1GiB/call"])
		}
	}
}

func TestChoose(t *testing.T) {
	for only, want := range map[string]string{
		"^call/p50$":              "call/p50",
		"^call":                   "call/p50 call/p99 call/cpu",
		"reference/4KiB/(fr|fir)": "reference/4KiB/freeze reference/4KiB/first",
		"no such row":             "",
	} {
		var got []string
		for _, tr := range choose(table(full), options{only: regexp.MustCompile(only)}) {
			for _, r := range tr.rows {
				got = append(got, r.name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("-only %q chooses %v, want %s", only, got, want)
		}
	}
}
