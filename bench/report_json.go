package main

import (
	"encoding/json"
	"io"
	"runtime"
	"time"
)

// schema names the form of the JSON. README.md describes it; whatever is not
// only added gets the next number.
const schema = "understudy-bench/1"

type jsonReport struct {
	Schema  string    `json:"schema"`
	Time    time.Time `json:"time"`
	Seconds float64   `json:"seconds"`
	Rounds  int       `json:"rounds"`
	Quick   bool      `json:"quick"`
	Machine struct {
		OS     string `json:"os"`
		Arch   string `json:"arch"`
		Kernel string `json:"kernel"`
		CPU    string `json:"cpu"`
		CPUs   int    `json:"cpus"`
		Go     string `json:"go"`
	} `json:"machine"`
	Rows []jsonRow `json:"rows"`
}

type jsonRow struct {
	Name    string      `json:"name"`
	Title   string      `json:"title"`
	Unit    unit        `json:"unit"`
	Value   *jsonSpread `json:"value,omitempty"`
	Floor   *jsonSpread `json:"floor,omitempty"`
	Beside  string      `json:"beside,omitempty"`
	Ratio   *jsonSpread `json:"ratio,omitempty"`
	Aim     *jsonAim    `json:"aim,omitempty"`
	Skipped string      `json:"skipped,omitempty"`
	Error   string      `json:"error,omitempty"`
}

type jsonSpread struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Rounds []float64 `json:"rounds"`
}

type jsonAim struct {
	Ratio float64 `json:"ratio,omitempty"`
	Value float64 `json:"value,omitempty"`
	Met   bool    `json:"met"`
}

// writeJSON prints the report for machines.
func (rep *report) writeJSON(out io.Writer) error {
	j := jsonReport{Schema: schema, Time: rep.begun.UTC(), Seconds: rep.took.Seconds(), Rounds: rep.rounds, Quick: rep.quick,
		Rows: make([]jsonRow, 0, len(rep.results))}
	j.Machine.OS, j.Machine.Arch, j.Machine.Go = runtime.GOOS, runtime.GOARCH, runtime.Version()
	j.Machine.Kernel, j.Machine.CPU, j.Machine.CPUs = rep.system, rep.cpu, rep.cpus
	for _, r := range rep.results {
		j.Rows = append(j.Rows, r.json())
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(j)
}

func (r result) json() jsonRow {
	j := jsonRow{Name: r.name, Title: r.title, Unit: r.unit, Beside: r.row.floor,
		Value: jsonSpreadOf(r.ours), Floor: jsonSpreadOf(r.floor), Ratio: jsonSpreadOf(r.ratios)}
	if r.hasAim() {
		j.Aim = &jsonAim{Ratio: r.aim.ratio, Value: r.aim.value, Met: r.met()}
	}
	if r.wasSkipped() {
		j.Skipped = r.err.Error()
	} else if r.err != nil {
		j.Error = r.err.Error()
	}
	return j
}

func jsonSpreadOf(xs []float64) *jsonSpread {
	if len(xs) == 0 {
		return nil
	}
	s := spreadOf(xs)
	return &jsonSpread{Median: s.median, Min: s.min, Max: s.max, Rounds: xs}
}
