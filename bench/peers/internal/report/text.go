package report

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/understudy-go/understudy/bench/internal/stats"
	"github.com/understudy-go/understudy/bench/peers/internal/harness"
)

// Text prints the table.
func (rep *Report) Text(out io.Writer) error {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "round trip\tprocesses\tcodec\tspins\tp50\tp99\tp99.9\tafter a pause\tCPU\tone way\t/ Understudy\t/ raw Go ring")
	for i := range rep.Results {
		fmt.Fprintln(tw, strings.Join(rep.cells(&rep.Results[i]), "\t"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%s.\nAll figures are medians of the rounds. CPU is that of all processes for one warm round trip: "+
		"in us, it is also the CPU seconds of a million.\nRatios are medians of the rounds' own, of p50: how many times as long it takes.\n", rep.about())
	return err
}

func (rep *Report) cells(r *harness.Result) []string {
	switch {
	case r.Skipped != nil:
		return []string{r.Title, "skipped: " + oneLine(r.Skipped)}
	case r.Err != nil:
		return []string{r.Title, "failed: " + oneLine(r.Err)}
	}
	us, floor := rep.ratios(r)
	return []string{
		r.Title, fmt.Sprint(r.Processes), orNone(r.Codec), orNone(r.Spins),
		duration(r.Median(harness.P50)), duration(r.Median(harness.P99)), duration(r.Median(harness.P999)),
		duration(r.Median(harness.Wake)), duration(r.Median(harness.CPU)), rate(r.Median(harness.Rate)),
		number(us), number(floor),
	}
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func number(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return stats.Digits(v)
}

func duration(ns float64) string {
	if math.IsNaN(ns) {
		return "-"
	}
	return stats.Scaled(ns, 1000, "ns", "us", "ms", "s")
}

func rate(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return stats.Scaled(v, 1000, "/s", "k/s", "M/s")
}
