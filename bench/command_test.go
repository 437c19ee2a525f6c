package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/process"
)

func TestMain(m *testing.M) {
	runFloorIfAsked()
	actor.TestMain(m)
}

func TestNonsense(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "-1"}, {"-only", "("}, {"-no-such-flag"}, {"stray"}} {
		var out, errs strings.Builder
		if code := command(args, &out, &errs); code != 2 || out.Len() > 0 || errs.Len() == 0 {
			t.Errorf("%v: exit status %d, %q, %q", args, code, out.String(), errs.String())
		}
	}
	var out, errs strings.Builder
	if code := command([]string{"-only", "no such row"}, &out, &errs); code != 1 || !strings.Contains(errs.String(), "no such row") {
		t.Errorf("-only without a row: exit status %d, %q", code, errs.String())
	}
}

// TestEverything measures every row once and looks at the numbers only to see
// that there are some.
func TestEverything(t *testing.T) {
	if err := process.Supported(); err != nil {
		t.Skip(err)
	}
	var out, errs strings.Builder
	if code := command([]string{"-quick", "-rounds", "1", "-json", "-profile", t.TempDir()}, &out, &errs); code != 0 {
		t.Fatalf("exit status %d: %s", code, errs.String())
	}
	var rep jsonReport
	if err := json.Unmarshal([]byte(out.String()), &rep); err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, p := range table(short) {
		want += len(p.rows)
	}
	if len(rep.Rows) != want {
		t.Errorf("%d rows, want %d", len(rep.Rows), want)
	}
	for _, r := range rep.Rows {
		switch {
		case r.Skipped != "":
			t.Logf("%s: skipped: %s", r.Name, r.Skipped)
		case r.Value == nil || len(r.Value.Rounds) != 1 || r.Value.Median < 0 || r.Value.Median == 0 && r.Unit != allocs:
			t.Errorf("%s: %+v", r.Name, r.Value)
		}
	}
}
