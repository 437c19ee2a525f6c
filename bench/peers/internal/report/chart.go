package report

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"math"
	"slices"

	"github.com/understudy-go/understudy/bench/peers/internal/harness"
)

// The measures of the chart, in pixels.
const (
	chartWidth = 900
	chartHead  = 64
	chartFoot  = 62
	rowHeight  = 25
	barHeight  = 15
	barsLeft   = 290
	barsRight  = 800 // behind it the figures of the longest bars
)

// chartStyle gives the chart a look for light surroundings and one for dark
// ones. It has a ground of its own, so that it can be read wherever the viewer
// does not say which they are.
const chartStyle = `
  text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 }
  .small { font-size: 11px; fill: #57606a }
  .us { font-weight: 700 }
  .ground { fill: #ffffff }
  .grid { stroke: #d8dee4 }
  .bar-us { fill: #d9480f }
  .bar-peer { fill: #8c96a3 }
  .bar-floor { fill: #c3cbd4 }
  .hollow { fill-opacity: 0.25; stroke-width: 1.5 }
  .bar-us.hollow { stroke: #d9480f }
  .bar-peer.hollow { stroke: #8c96a3 }
  .tail { stroke: #57606a }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .small { fill: #9da7b3 }
    .ground { fill: #0d1117 }
    .grid { stroke: #30363d }
    .bar-us { fill: #ff8a4c }
    .bar-peer { fill: #768390 }
    .bar-floor { fill: #444c56 }
    .bar-us.hollow { stroke: #ff8a4c }
    .bar-peer.hollow { stroke: #768390 }
    .tail { stroke: #adbac7 }
  }
`

// SVG draws the round trips of what was measured, the shortest first.
func (rep *Report) SVG(out io.Writer) error {
	var bars []*harness.Result
	for i := range rep.Results {
		if r := &rep.Results[i]; r.Measured() {
			bars = append(bars, r)
		}
	}
	slices.SortStableFunc(bars, func(a, b *harness.Result) int {
		return int(math.Copysign(1, a.Median(harness.P50)-b.Median(harness.P50)))
	})
	axis := axisOf(bars)
	bottom := chartHead + len(bars)*rowHeight
	height := bottom + chartFoot

	var svg bytes.Buffer
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">`+"\n",
		chartWidth, height, chartWidth, height)
	const title = "Round trip of a small message, one caller"
	fmt.Fprintf(&svg, "<title>%s</title>\n<style>%s</style>\n", title, chartStyle)
	fmt.Fprintf(&svg, `<rect class="ground" width="%d" height="%d" rx="8"/>`+"\n", chartWidth, height)
	fmt.Fprintf(&svg, `<text class="title" x="16" y="28">%s</text>`+"\n", title)
	for us := axis.from; us <= axis.to; us *= 10 {
		x := axis.x(us * 1000)
		fmt.Fprintf(&svg, `<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`+"\n", x, x, chartHead-6, bottom)
		fmt.Fprintf(&svg, `<text class="small" x="%.1f" y="%d" text-anchor="middle">%g µs</text>`+"\n", x, chartHead-12, us)
	}
	for i, r := range bars {
		drawBar(&svg, axis, r, chartHead+i*rowHeight)
	}
	fmt.Fprintf(&svg, `<text class="small" x="16" y="%d">Bar: p50, line: up to p99; logarithmic. Hollow: within one process. Faint: a floor, which does nothing but the round trip. *: somebody spins.</text>`+"\n", bottom+26)
	fmt.Fprintf(&svg, `<text class="small" x="16" y="%d">%s</text>`+"\n", bottom+44, html.EscapeString(rep.about()))
	fmt.Fprintln(&svg, "</svg>")
	_, err := out.Write(svg.Bytes())
	return err
}

// drawBar draws a row whose upper edge is at y.
func drawBar(svg *bytes.Buffer, axis axis, r *harness.Result, y int) {
	p50, p99 := r.Median(harness.P50), r.Median(harness.P99)
	label, label99 := axis.x(p50), axis.x(p99)
	class, bar := "", "bar-peer"
	switch r.Role {
	case harness.Ours:
		class, bar = "us", "bar-us"
	case harness.Floor:
		bar = "bar-floor"
	}
	if r.Processes == 1 {
		bar += " hollow"
	}
	title := r.Title
	if r.Spins != "" {
		title += " *"
	}
	top := y + (rowHeight-barHeight)/2
	text, middle := top+barHeight-3, float64(top)+barHeight/2.0
	fmt.Fprintf(svg, `<text class="%s" x="%d" y="%d" text-anchor="end">%s</text>`+"\n", class, barsLeft-10, text, html.EscapeString(title))
	fmt.Fprintf(svg, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`+"\n", bar, barsLeft, top, label-barsLeft, barHeight)
	fmt.Fprintf(svg, `<line class="tail" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`+"\n", label, label99, middle, middle)
	fmt.Fprintf(svg, `<text class="%s" x="%.1f" y="%d">%s</text>`+"\n", class, label99+8, text, micro(p50))
}

// micro is a duration in microseconds, which all bars have in common.
func micro(ns float64) string { return number(ns/1000) + " µs" }

// axis is a logarithmic one, in microseconds, from and to powers of ten. It
// begins early enough for the shortest bar to be seen.
type axis struct{ from, to float64 }

func axisOf(bars []*harness.Result) axis {
	a := axis{1, 10}
	for _, r := range bars {
		a.from = min(a.from, math.Pow(10, math.Floor(math.Log10(r.Median(harness.P50)/1000/1.5))))
		a.to = max(a.to, math.Pow(10, math.Ceil(math.Log10(r.Median(harness.P99)/1000))))
	}
	return a
}

// x is where a duration lies.
func (a axis) x(ns float64) float64 {
	at := math.Log10(ns/1000/a.from) / math.Log10(a.to/a.from)
	return barsLeft + max(0, at)*(barsRight-barsLeft)
}
