package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/understudy-go/understudy/bench/peers/internal/harness"
)

func sample() *Report {
	row := func(name string, role harness.Role, processes int, p50 ...float64) harness.Result {
		r := harness.Result{Row: harness.Row{Name: name, Title: "The " + name + " <&>",
			Facts: harness.Facts{Language: "Go", Processes: processes, Role: role}}}
		if len(p50) > 0 {
			r.Readings = map[harness.Figure][]float64{harness.P50: p50, harness.P99: p50, harness.P999: p50, harness.Wake: p50, harness.CPU: p50}
		}
		return r
	}
	rep := New("us", "floor", false)
	rep.Rounds, rep.Took = 3, time.Minute
	rep.Results = []harness.Result{
		row("floor", harness.Floor, 2, 500, 500, 700),
		row("us", harness.Ours, 2, 2000, 2000, 2100),
		row("other", harness.Other, 1, 8000, 8000, 8400),
		row("absent", harness.Other, 2),
		row("broken", harness.Other, 2),
	}
	rep.Results[0].Spins, rep.Results[1].Codec = "both sides", "msgpack"
	rep.Results[0].Readings[harness.Rate] = []float64{3e6, 3e6, 3e6}
	rep.Results[3].Skipped = errors.New("it is not installed")
	rep.Results[4].Err = errors.New("it fell\nover")
	return rep
}

func TestText(t *testing.T) {
	var out bytes.Buffer
	if err := sample().Text(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for i, words := range [][]string{
		{"p50", "p99.9", "/ Understudy", "/ raw Go ring"},
		{"The floor", "both sides", "500 ns", "3.00 M/s", "0.25", "1.00"},
		{"The us", "msgpack", "2.00 us", "1.00", "4.00"},
		{"The other", "8.00 us", "4.00", "16.0"},
		{"The absent", "skipped: it is not installed"},
		{"The broken", "failed: it fell; over"},
	} {
		for _, w := range words {
			if !strings.Contains(lines[i], w) {
				t.Errorf("no %q in %q", w, lines[i])
			}
		}
	}
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	if err := sample().JSON(&out); err != nil {
		t.Fatal(err)
	}
	var got jsonReport
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Schema != schema || got.Machine.CPUs == 0 || got.Machine.Go == "" || len(got.Rows) != 5 {
		t.Errorf("%+v", got)
	}
	floor, us, absent, broken := got.Rows[0], got.Rows[1], got.Rows[3], got.Rows[4]
	if !floor.Spins || us.Spins || *us.OverRing != 4 || us.Figures[harness.P50].Median != 2000 || us.Figures[harness.Rate] != nil {
		t.Errorf("%+v\n%+v", floor, us)
	}
	if absent.Skipped == "" || absent.OverRing != nil || absent.Figures != nil || broken.Error == "" {
		t.Errorf("%+v\n%+v", absent, broken)
	}
}

func TestRatiosWithoutTheirBase(t *testing.T) {
	rep := sample()
	rep.Results = rep.Results[2:3]
	var text, js, svg bytes.Buffer
	if err := errors.Join(rep.Text(&text), rep.JSON(&js), rep.SVG(&svg)); err != nil {
		t.Error(err)
	}
	if strings.Contains(text.String()+js.String()+svg.String(), "NaN") {
		t.Error("NaN is for nobody")
	}
}

func TestSVG(t *testing.T) {
	var out bytes.Buffer
	if err := sample().SVG(&out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for d := xml.NewDecoder(&out); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
	at := func(s string) int {
		i := strings.Index(text, s)
		if i < 0 {
			t.Errorf("no %q", s)
		}
		return i
	}
	if at("The floor") > at("The us") || at("The us") > at("The other") {
		t.Error("the shortest is not the first")
	}
	at(`class="bar-us"`)
	at(`class="bar-peer hollow"`)
	at("prefers-color-scheme: dark")
	if strings.Contains(text, "The absent") || strings.Contains(text, "NaN") {
		t.Error("what was not measured is drawn")
	}
}

func TestEmptySVG(t *testing.T) {
	rep := sample()
	rep.Results = nil
	if err := rep.SVG(io.Discard); err != nil {
		t.Error(err)
	}
}

func TestFailures(t *testing.T) {
	err := sample().Failures()
	if err == nil || !strings.Contains(err.Error(), "broken: it fell") || strings.Contains(err.Error(), "absent") {
		t.Error(err)
	}
}
