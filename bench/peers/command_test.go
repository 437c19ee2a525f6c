package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommand(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := t.TempDir()
	js, svg := filepath.Join(dir, "r.json"), filepath.Join(dir, "c.svg")
	var out, errs bytes.Buffer
	status := command([]string{"-quick", "-rounds", "2", "-only", "^understudy/call$|^ring/raw|^hollywood", "-json", js, "-svg", svg}, &out, &errs)
	if status != 0 {
		t.Fatalf("status %d: %s", status, &errs)
	}
	for _, want := range []string{"Understudy, call", "Go, ring in shared memory", "skipped: no driver was given", "2 quick rounds"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	data, err := os.ReadFile(js)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Rows []struct{ Name string } }
	if err := json.Unmarshal(data, &got); err != nil || len(got.Rows) != 3 {
		t.Errorf("%d rows, %v", len(got.Rows), err)
	}
	if info, err := os.Stat(svg); err != nil || info.Size() == 0 {
		t.Errorf("chart: %v", err)
	}
}

func TestNonsense(t *testing.T) {
	for _, args := range [][]string{
		{"-rounds", "-1"}, {"-only", "("}, {"-array", "many"}, {"-array", "0MiB"}, {"-driver", "hollywood"}, {"more"},
	} {
		var out, errs bytes.Buffer
		if status := command(args, &out, &errs); status != 2 || errs.Len() == 0 {
			t.Errorf("%q: status %d, %q", args, status, &errs)
		}
	}
	var out, errs bytes.Buffer
	if status := command([]string{"-only", "nobody"}, &out, &errs); status != 1 {
		t.Errorf("no such row: status %d", status)
	}
}

func TestSizes(t *testing.T) {
	for s, want := range map[string]int{"1GiB": 1 << 30, "64MiB": 64 << 20, "4KiB": 4 << 10} {
		if got, err := parseSize(s); got != want || err != nil {
			t.Errorf("%s is %d: %v", s, got, err)
		}
	}
	if got := sizeText(64 << 20); got != "64 MiB" {
		t.Error(got)
	}
}
