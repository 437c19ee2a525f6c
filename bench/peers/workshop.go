package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/understudy-go/understudy/bench/peers/internal/driver"
	"github.com/understudy-go/understudy/bench/peers/internal/harness"
)

//go:embed foreign
var foreign embed.FS

// workshop is a directory with the sources of the drivers and what is made of
// them. It is gone after the run.
type workshop struct{ dir string }

func openWorkshop() (*workshop, error) {
	dir, err := os.MkdirTemp("", "understudy-peers-")
	if err != nil {
		return nil, err
	}
	w := &workshop{dir}
	if err := os.CopyFS(dir, foreign); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *workshop) close() { _ = os.RemoveAll(w.dir) } // what cannot be removed is in the way of nobody

func (w *workshop) source(name string) string { return filepath.Join(w.dir, "foreign", name) }

// program is where compile puts what it makes of a source.
func (w *workshop) program(source string) string {
	return filepath.Join(w.dir, strings.TrimSuffix(source, filepath.Ext(source)))
}

// compile makes a program of a source in C. What it cannot do is the reason why
// a row is skipped.
func (w *workshop) compile(source string, libraries ...string) func() error {
	return func() error {
		if err := installed("gcc")(); err != nil {
			return err
		}
		args := append([]string{"-O2", "-o", w.program(source), w.source(source)}, libraries...)
		out, err := exec.Command("gcc", args...).CombinedOutput()
		if err != nil {
			line, _, _ := strings.Cut(string(out), "\n")
			return fmt.Errorf("%s does not compile: %s", source, strings.ReplaceAll(line, w.dir, ""))
		}
		return nil
	}
}

// installed says which of the programs is missing.
func installed(programs ...string) func() error {
	return func() error {
		for _, p := range programs {
			if _, err := exec.LookPath(p); err != nil {
				return fmt.Errorf("%s is not installed", p)
			}
		}
		return nil
	}
}

// both is available where both are.
func both(a, b func() error) func() error {
	return func() error { return errors.Join(a(), b()) }
}

// trips starts a driver that can only make round trips.
func trips(name string, args ...string) func(context.Context) (harness.Peer, error) {
	return func(context.Context) (harness.Peer, error) { return driver.Start(exec.Command(name, args...)) }
}

// tripsAndStreams starts a driver that can also send one way.
func tripsAndStreams(name string, args ...string) func(context.Context) (harness.Peer, error) {
	return func(context.Context) (harness.Peer, error) {
		p, err := driver.Start(exec.Command(name, args...))
		if err != nil {
			return nil, err
		}
		return driver.Streamer{Peer: p}, nil
	}
}
