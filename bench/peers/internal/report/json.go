package report

import (
	"encoding/json"
	"io"
	"math"
	"time"

	"github.com/understudy-go/understudy/bench/internal/stats"
	"github.com/understudy-go/understudy/bench/peers/internal/harness"
)

// schema names the form of the JSON. README.md describes it; whatever is not
// only added gets the next number.
const schema = "understudy-peers/1"

type jsonReport struct {
	Schema  string    `json:"schema"`
	Time    time.Time `json:"time"`
	Seconds float64   `json:"seconds"`
	Rounds  int       `json:"rounds"`
	Quick   bool      `json:"quick"`
	Machine Machine   `json:"machine"`
	Rows    []jsonRow `json:"rows"`
}

type jsonRow struct {
	Name           string                         `json:"name"`
	Title          string                         `json:"title"`
	Role           harness.Role                   `json:"role"`
	Language       string                         `json:"language"`
	Processes      int                            `json:"processes"`
	Codec          string                         `json:"codec,omitempty"`
	Spins          bool                           `json:"spins"`
	Spinning       string                         `json:"spinning,omitempty"`
	Figures        map[harness.Figure]*jsonFigure `json:"figures,omitempty"`
	OverUnderstudy *float64                       `json:"over_understudy,omitempty"`
	OverRing       *float64                       `json:"over_ring,omitempty"`
	Skipped        string                         `json:"skipped,omitempty"`
	Error          string                         `json:"error,omitempty"`
}

type jsonFigure struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Rounds []float64 `json:"rounds"`
}

// JSON writes the report for machines.
func (rep *Report) JSON(out io.Writer) error {
	j := jsonReport{Schema: schema, Time: rep.Begun, Seconds: rep.Took.Seconds(), Rounds: rep.Rounds, Quick: rep.Quick,
		Machine: rep.Machine, Rows: make([]jsonRow, 0, len(rep.Results))}
	for i := range rep.Results {
		j.Rows = append(j.Rows, rep.jsonRow(&rep.Results[i]))
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(j)
}

func (rep *Report) jsonRow(r *harness.Result) jsonRow {
	j := jsonRow{Name: r.Name, Title: r.Title, Role: r.Role, Language: r.Language, Processes: r.Processes,
		Codec: r.Codec, Spins: r.Spins != "", Spinning: r.Spins}
	switch {
	case r.Skipped != nil:
		j.Skipped = r.Skipped.Error()
		return j
	case r.Err != nil:
		j.Error = r.Err.Error()
		return j
	}
	j.Figures = make(map[harness.Figure]*jsonFigure)
	for _, f := range harness.Figures {
		if xs := r.Readings[f]; len(xs) > 0 {
			j.Figures[f] = &jsonFigure{stats.Median(xs), stats.Quantile(xs, 0), stats.Quantile(xs, 1), xs}
		}
	}
	us, floor := rep.ratios(r)
	j.OverUnderstudy, j.OverRing = known(us), known(floor)
	return j
}

// known is nil for what there is no number for: JSON has no NaN.
func known(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}
