package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/understudy-go/understudy/bench/peers/internal/harness"
)

// external completes a row whose driver the user brings: -driver name=command.
func external(o options, r harness.Row) harness.Row {
	command := o.drivers[r.Name]
	r.Available = func() error {
		if len(command) == 0 {
			return fmt.Errorf("no driver was given: -driver %s=COMMAND", r.Name)
		}
		return installed(command[0])()
	}
	r.Start = func(ctx context.Context) (harness.Peer, error) {
		return tripsAndStreams(command[0], command[1:]...)(ctx)
	}
	return r
}

// drivers is the value of -driver, by the row's name. It implements flag.Value.
type drivers map[string][]string

func (d drivers) String() string { return "" }

func (d drivers) Set(s string) error {
	name, command, ok := strings.Cut(s, "=")
	words := strings.Fields(command)
	if !ok || len(words) == 0 {
		return errors.New("want ROW=COMMAND")
	}
	d[name] = words
	return nil
}
