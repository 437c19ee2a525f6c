package process

import (
	"bytes"
	"strings"
)

// raceExitCode is the exit code of a program that would have ended well, but for the races that were found in it (the
// race detector's "exitcode", which GORACE may change).
const raceExitCode = 66

// noRaceReport takes the place of a report that was not written to standard error.
const noRaceReport = "the exit code is 66, and no report came on standard error (GORACE's log_path?)"

// maxRaceReport bounds a report in bytes.
const maxRaceReport = 64 << 10

// The lines that frame a report (compiler-rt, tsan_report.cpp).
var (
	raceRule  = []byte("==================")
	raceTitle = []byte("WARNING: DATA RACE")
)

// raceReports finds the race detector's reports in the lines of standard error.
type raceReports struct {
	call func(report string) // with each report, without the lines around it
	many int                 // reports so far

	ruled bool // the last line may begin a report
	in    bool
	text  strings.Builder
}

func (r *raceReports) line(line []byte) {
	rule := bytes.Equal(line, raceRule)
	switch {
	case r.in && rule:
		r.end()
	case r.in:
		if r.text.Len()+len(line) < maxRaceReport {
			r.text.Write(line)
			r.text.WriteByte('\n')
		}
	case r.ruled && bytes.Equal(line, raceTitle):
		r.in = true
	}
	r.ruled = rule && !r.in
}

// end ends a report, which is cut short if its process was.
func (r *raceReports) end() {
	if !r.in {
		return
	}
	r.in = false
	r.many++
	r.call(strings.TrimSuffix(r.text.String(), "\n"))
	r.text.Reset()
}
