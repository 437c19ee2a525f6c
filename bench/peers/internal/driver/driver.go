// Package driver measures with programs that are not written in Go, or that
// cannot be a part of this one: a driver is a program that makes the round trips
// itself, against a process of its own making, and takes the time itself. It
// reads lines on its standard input and answers each with a line:
//
//	round N PAUSE    N round trips, each after PAUSE microseconds (0: none):
//	                 what each took, in nanoseconds, separated by spaces
//	stream N         N messages one way: the nanoseconds from the first sent
//	                 until the last was known to be handled, 0 if it cannot
//
// It checks every reply and exits with a message on standard error if one is
// wrong. It ends at the end of its input, with everything that it started.
package driver

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-go/understudy/bench/peers/internal/child"
)

// Peer is a driver that runs.
type Peer struct {
	process *child.Process
	in      io.WriteCloser
	out     *bufio.Reader
}

// Start runs a driver.
func Start(cmd *exec.Cmd) (*Peer, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	process, err := child.Start(cmd, func() { in.Close() })
	if err != nil {
		return nil, err
	}
	return &Peer{process: process, in: in, out: bufio.NewReaderSize(out, 64<<10)}, nil
}

// Round implements harness.Peer.
func (p *Peer) Round(n int, pause time.Duration) ([]time.Duration, error) {
	return p.ask(n, "round %d %d\n", n, pause.Microseconds())
}

// PIDs implements harness.Peer.
func (p *Peer) PIDs() []int { return []int{p.process.PID()} }

// Stop implements harness.Peer.
func (p *Peer) Stop() { p.process.Stop() }

// ask sends a line and reads the n numbers of the answer.
func (p *Peer) ask(n int, format string, a ...any) ([]time.Duration, error) {
	if _, err := fmt.Fprintf(p.in, format, a...); err != nil {
		return nil, p.process.Err(err)
	}
	line, err := p.out.ReadString('\n')
	if err != nil {
		return nil, p.process.Err(err)
	}
	fields := strings.Fields(line)
	if len(fields) != n {
		return nil, fmt.Errorf("driver: %d numbers, want %d", len(fields), n)
	}
	took := make([]time.Duration, n)
	for i, f := range fields {
		ns, err := strconv.ParseInt(f, 10, 64)
		if err != nil || ns < 0 {
			return nil, fmt.Errorf("driver: %q is no number of nanoseconds", f)
		}
		took[i] = time.Duration(ns)
	}
	return took, nil
}
