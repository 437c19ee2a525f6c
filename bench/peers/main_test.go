package main

import (
	"io"
	"maps"
	"os"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/bench/peers/internal/child"
)

// The test program plays the other sides, as the benchmark does.
func TestMain(m *testing.M) {
	all := maps.Clone(roles)
	all["benchmark"] = func() error {
		os.Exit(command([]string{"-v", "-quick", "-rounds", "100000"}, io.Discard, os.Stderr))
		return nil
	}
	child.RunRole(all)
	actor.TestMain(m)
}
