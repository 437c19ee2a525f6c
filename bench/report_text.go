package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/understudy-go/understudy/bench/internal/stats"
)

// writeText prints the report as a table.
func (rep *report) writeText(out io.Writer) error {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "row\tmedian\tfloor\tratio\t(min - max)\taim\tfloor is")
	for _, r := range rep.results {
		fmt.Fprintln(tw, strings.Join(r.cells(), "\t"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%s\n", rep.about())
	return err
}

func (r result) cells() []string {
	if r.err != nil {
		word := "failed"
		if r.wasSkipped() {
			word = "skipped"
		}
		return []string{r.title, word, "", "", "", "", r.err.Error()}
	}
	ratio, around := "-", ""
	if len(r.ratios) > 0 && r.unit != percent { // a share of nothing says nothing
		s := spreadOf(r.ratios)
		ratio, around = stats.Digits(s.median), fmt.Sprintf("(%s - %s)", stats.Digits(s.min), stats.Digits(s.max))
	}
	return []string{r.title, r.unit.text(stats.Median(r.ours)), r.unit.text(stats.Median(r.floor)), ratio, around, r.aimText(), r.row.floor}
}

func (r result) aimText() string {
	if !r.hasAim() {
		return ""
	}
	word := "missed"
	if r.met() {
		word = "met"
	}
	if r.aim.ratio != 0 {
		return fmt.Sprintf("%s: %s", stats.Digits(r.aim.ratio), word)
	}
	return fmt.Sprintf("%s: %s", r.unit.text(r.aim.value), word)
}

// about says what the numbers were measured on.
func (rep *report) about() string {
	length := "rounds"
	if rep.quick {
		length = "quick rounds"
	}
	return fmt.Sprintf("%d %s in %v, %s; %s/%s, %s, %d CPUs, %s, %s. Ratios are medians of the rounds' own; 1 is the floor.",
		rep.rounds, length, rep.took.Round(100*time.Millisecond), rep.begun.UTC().Format(time.RFC3339),
		runtime.GOOS, runtime.GOARCH, rep.cpu, rep.cpus, rep.system, runtime.Version())
}
