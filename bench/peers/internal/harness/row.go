// Package harness measures rows in interleaved rounds. It knows what a row must
// be able to do, and nothing of any particular one.
package harness

import (
	"context"
	"time"
)

// Row is one line of the table: one way to get a message to somebody else and
// another one back.
type Row struct {
	Name  string // what -only matches; stable, part of the JSON schema
	Title string // for people
	Facts
	// Available says why the row cannot be measured on this machine; nil if it
	// can.
	Available func() error
	// Start makes the row ready to be measured.
	Start func(ctx context.Context) (Peer, error)
}

// Facts are what a reader must know of a row before comparing it with another.
type Facts struct {
	Language  string // of the side that measures
	Processes int    // that a message travels between: 1 is a goroutine or green thread
	Codec     string // what encodes and decodes, on both sides; "" where bytes or values are passed as they are
	Spins     string // who burns a CPU while waiting; "" if nobody does
	Role      Role
}

// Role is what a row is there for.
type Role string

const (
	Floor Role = "floor" // what the machine can do at all
	Other Role = "peer"
	Ours  Role = "understudy"
)

// Peer is a row that is set up: its processes run.
type Peer interface {
	// Round makes n round trips, one after the other, and checks each reply. It
	// pauses before each, which is not counted. It returns what each took.
	Round(n int, pause time.Duration) ([]time.Duration, error)
	// PIDs are the processes that it runs in beside this one. Their descendants
	// need not be listed.
	PIDs() []int
	// Stop leaves nothing behind.
	Stop()
}

// Streamer is a Peer that can also send one way.
type Streamer interface {
	// Stream sends n messages and returns how long it took from the first sent
	// until the last was known to be handled.
	Stream(n int) (time.Duration, error)
}

// Loop is Round for whoever measures in this process.
func Loop(n int, pause time.Duration, once func(i int) error) ([]time.Duration, error) {
	took := make([]time.Duration, n)
	last := time.Now()
	for i := range took {
		if pause > 0 {
			time.Sleep(pause)
			last = time.Now()
		}
		if err := once(i); err != nil {
			return nil, err
		}
		// One look at the clock for each: where a round trip is as short as a
		// look, a second one would show.
		now := time.Now()
		took[i], last = now.Sub(last), now
	}
	return took, nil
}
