package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"regexp"
	"syscall"
)

// command is main without the process: it returns the exit status. 0: every
// row was measured or skipped for a reason; whether an aim was met is not its
// business. 1: a measurement failed. 2: it was asked for nonsense.
func command(args []string, stdout, stderr io.Writer) int {
	opts, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	progress := func(string, ...any) {}
	if opts.verbose {
		progress = func(format string, a ...any) { fmt.Fprintf(stderr, format+"\n", a...) }
	}
	rep, err := run(ctx, opts, progress)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	if opts.json {
		err = rep.writeJSON(stdout)
	} else {
		err = rep.writeText(stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench: writing the report:", err)
		return 1
	}
	if err := rep.failures(); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// options are what the command line says.
type options struct {
	json    bool
	verbose bool
	rounds  int
	only    *regexp.Regexp
	profile string
	scale
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	quick := fs.Bool("quick", false, "a short run: smaller samples, no arrays above 16 MiB, 20 idle actors instead of 200")
	only := fs.String("only", "", "measure only the rows whose names match this `regexp`")
	fs.IntVar(&o.rounds, "rounds", 0, "how many interleaved `rounds` the medians are of (default 7, with -quick 5)")
	fs.BoolVar(&o.json, "json", false, "print JSON; bench/README.md has its schema")
	fs.BoolVar(&o.verbose, "v", false, "say on standard error what is being measured")
	fs.StringVar(&o.profile, "profile", "", "write CPU profiles of this process and of the actor it calls into `dir`")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	o.scale = full
	if *quick {
		o.scale = short
	}
	if o.rounds == 0 {
		o.rounds = o.scale.rounds
	}
	if o.rounds < 1 {
		return o, fmt.Errorf("-rounds %d: want at least 1", o.rounds)
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-only: %w", err)
	}
	return o, nil
}
