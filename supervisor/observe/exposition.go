package observe

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// family is all samples of one metric, in no order.
type family struct {
	name    string // without _total
	help    string
	kind    kind
	samples []sample
}

type kind string

const (
	gauge     kind = "gauge"
	counter   kind = "counter"
	histogram kind = "histogram"
)

// sample is one value. The labels are names and values by turns.
type sample struct {
	labels []string
	value  float64
	suffix string // of a histogram: _bucket, _sum, _count
}

func (f *family) add(value float64, labels ...string) {
	f.samples = append(f.samples, sample{labels: labels, value: value})
}

// addHistogram adds a histogram whose counts are by bucket: the last is above all
// bounds.
func (f *family) addHistogram(bounds []float64, counts []uint64, sum float64, labels ...string) {
	total := uint64(0)
	for i, n := range counts {
		total += n
		le := "+Inf"
		if i < len(bounds) {
			le = number(bounds[i])
		}
		f.samples = append(f.samples, sample{append(slices.Clone(labels), "le", le), float64(total), "_bucket"})
	}
	f.samples = append(f.samples, sample{labels, sum, "_sum"}, sample{labels, float64(total), "_count"})
}

const (
	prometheusType  = "text/plain; version=0.0.4; charset=utf-8"
	openMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8"
)

// wantsOpenMetrics reports whether the reader prefers that format: Prometheus asks
// for it first where it can read it.
func wantsOpenMetrics(r *http.Request) bool {
	for _, accept := range r.Header.Values("Accept") {
		for _, part := range strings.Split(accept, ",") {
			what, _, _ := strings.Cut(part, ";")
			switch strings.TrimSpace(what) {
			case "application/openmetrics-text":
				return true
			case "text/plain":
				return false
			}
		}
	}
	return false
}

// expose writes the families in one of the two text formats.
func expose(families []*family, openMetrics bool) []byte {
	var b []byte
	for _, f := range families {
		if len(f.samples) == 0 {
			continue
		}
		head, name := f.name, f.name
		if f.kind == counter {
			name += "_total"
			if !openMetrics {
				head = name
			}
		}
		b = append(b, "# HELP "+head+" "+escapeHelp(f.help, openMetrics)+"\n# TYPE "+head+" "+string(f.kind)+"\n"...)
		if f.kind != histogram { // whose order is that of the buckets
			slices.SortStableFunc(f.samples, func(a, b sample) int { return slices.Compare(a.labels, b.labels) })
		}
		for _, s := range f.samples {
			b = append(b, name...)
			b = append(b, s.suffix...)
			for i := 0; i < len(s.labels); i += 2 {
				b = append(b, "{,"[min(i, 1)])
				b = append(b, s.labels[i]...)
				b = append(b, `="`...)
				b = append(b, escapeLabel(s.labels[i+1])...)
				b = append(b, '"')
			}
			if len(s.labels) > 0 {
				b = append(b, '}')
			}
			b = append(b, ' ')
			b = append(b, number(s.value)...)
			b = append(b, '\n')
		}
	}
	if openMetrics {
		b = append(b, "# EOF\n"...)
	}
	return b
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func escapeLabel(s string) string { return labelEscapes.Replace(strings.ToValidUTF8(s, "\uFFFD")) }

func escapeHelp(s string, openMetrics bool) string {
	if openMetrics {
		return labelEscapes.Replace(s)
	}
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(s)
}
