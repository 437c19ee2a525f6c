// Package report writes what a run found: as a table, as JSON, as a chart.
package report

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/understudy-go/understudy/bench/internal/machine"
	"github.com/understudy-go/understudy/bench/peers/internal/harness"
)

// Report is what a run found.
type Report struct {
	Begun   time.Time
	Took    time.Duration
	Rounds  int
	Quick   bool
	Machine Machine
	Results []harness.Result

	us, floor string // names of the rows that all others are compared with
}

// Machine is what it ran on.
type Machine struct {
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	Kernel string `json:"kernel"`
	CPU    string `json:"cpu"`
	CPUs   int    `json:"cpus"`
	Go     string `json:"go"`
}

// New begins a report. us and floor are the rows that all others are compared with.
func New(us, floor string, quick bool) *Report {
	return &Report{Begun: time.Now().UTC(), Quick: quick, us: us, floor: floor, Machine: Machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version(),
		Kernel: machine.Kernel(), CPU: machine.Processor(), CPUs: runtime.NumCPU(),
	}}
}

// Failures joins the errors of the rows that could not be measured. What was
// skipped is no failure.
func (rep *Report) Failures() error {
	var errs []error
	for _, r := range rep.Results {
		if r.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", r.Name, r.Err))
		}
	}
	return errors.Join(errs...)
}

// ratios are a row's round trip over those of the two others.
func (rep *Report) ratios(r *harness.Result) (us, floor float64) {
	return r.Ratio(harness.Find(rep.Results, rep.us)), r.Ratio(harness.Find(rep.Results, rep.floor))
}

// about says in a line what it was measured on.
func (rep *Report) about() string {
	rounds := "rounds"
	if rep.Quick {
		rounds = "quick rounds"
	}
	m := rep.Machine
	return fmt.Sprintf("%d %s in %v, %s; %s/%s, %s, %d CPUs, %s, %s", rep.Rounds, rounds, rep.Took.Round(time.Second/10),
		rep.Begun.Format(time.RFC3339), m.OS, m.Arch, m.CPU, m.CPUs, m.Kernel, m.Go)
}
