package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/understudy-go/understudy/bench/peers/internal/harness"
	"github.com/understudy-go/understudy/bench/peers/internal/report"
)

// command is main without the process: it returns the exit status. 0: every row
// was measured or skipped for a reason. 1: one could not be measured. 2: it was
// asked for nonsense.
func command(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "peers:", err)
		return 2
	}
	rep, err := run(o, stderr)
	if err == nil {
		err = errors.Join(publish(rep, o, stdout), rep.Failures())
	}
	if err != nil {
		fmt.Fprintln(stderr, "peers:", err)
		return 1
	}
	return 0
}

// run measures until it is done or interrupted. A second interrupt ends it at
// once, and the kernel ends the children.
func run(o options, stderr io.Writer) (*report.Report, error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	w, err := openWorkshop()
	if err != nil {
		return nil, err
	}
	defer w.close()
	o.Progress = func(string, ...any) {}
	if o.verbose {
		o.Progress = func(format string, a ...any) { fmt.Fprintf(stderr, format+"\n", a...) }
	}
	rows := slices.DeleteFunc(table(w, o), func(r harness.Row) bool { return !o.only.MatchString(r.Name) })
	if len(rows) == 0 {
		return nil, fmt.Errorf("-only %v: no row has such a name", o.only)
	}
	rep := report.New(baseUs, baseFloor, o.quick)
	rep.Results = harness.Run(ctx, rows, o.Options)
	rep.Rounds, rep.Took = o.Rounds, time.Since(rep.Begun)
	return rep, context.Cause(ctx)
}

// publish prints the table and writes the files that were asked for.
func publish(rep *report.Report, o options, stdout io.Writer) error {
	err := rep.Text(stdout)
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{{o.json, rep.JSON}, {o.svg, rep.SVG}} {
		if f.name != "" {
			err = errors.Join(err, writeFile(f.name, f.write))
		}
	}
	return err
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
