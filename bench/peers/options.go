package main

import (
	"flag"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-go/understudy/bench/peers/internal/harness"
)

// options are what the command line says.
type options struct {
	harness.Options
	quick   bool
	verbose bool
	only    *regexp.Regexp
	array   int // bytes
	json    string
	svg     string
	drivers drivers
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{drivers: make(drivers)}
	fs := flag.NewFlagSet("peers", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.BoolVar(&o.quick, "quick", false, "a short run: smaller samples, and 16 MiB instead of 1 GiB by reference")
	fs.BoolVar(&o.verbose, "v", false, "say on standard error what is being measured")
	only := fs.String("only", "", "measure only the rows whose names match this `regexp`")
	fs.IntVar(&o.Rounds, "rounds", 0, "how many interleaved `rounds` the medians are of (default 7, with -quick 5)")
	array := fs.String("array", "", "`size` of the array that is sent by reference, such as 1GiB or 64MiB")
	fs.StringVar(&o.json, "json", "", "write the figures to `file`; README.md has the schema")
	fs.StringVar(&o.svg, "svg", "", "draw the chart into `file`")
	fs.Var(o.drivers, "driver", "`ROW=COMMAND` that measures a row whose peer is no part of this program; may be repeated")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	rounds := o.scale()
	if o.Rounds == 0 {
		o.Rounds = rounds
	}
	if o.Rounds < 1 {
		return o, fmt.Errorf("-rounds %d: want at least 1", o.Rounds)
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-only: %w", err)
	}
	if *array != "" {
		if o.array, err = parseSize(*array); err != nil {
			return o, fmt.Errorf("-array: %w", err)
		}
	}
	return o, nil
}

// scale sets how much is measured, and returns how many rounds that takes.
func (o *options) scale() (rounds int) {
	o.Pause = 2 * time.Millisecond
	if o.quick {
		o.Budget, o.Wakes, o.array = 10*time.Millisecond, 5, 16<<20
		return 5
	}
	o.Budget, o.Wakes, o.array = 200*time.Millisecond, 25, 1<<30
	return 7
}

var sizes = []struct {
	unit  string
	shift int
}{{"GiB", 30}, {"MiB", 20}, {"KiB", 10}}

func parseSize(s string) (int, error) {
	for _, z := range sizes {
		if number, ok := strings.CutSuffix(s, z.unit); ok {
			n, err := strconv.Atoi(number)
			if err != nil || n < 1 || n > 1<<40>>z.shift {
				break
			}
			return n << z.shift, nil
		}
	}
	return 0, fmt.Errorf("%q is no size such as 64MiB", s)
}

func sizeText(n int) string {
	for _, z := range sizes {
		if n%(1<<z.shift) == 0 {
			return fmt.Sprintf("%d %s", n>>z.shift, z.unit)
		}
	}
	return fmt.Sprintf("%d B", n)
}
