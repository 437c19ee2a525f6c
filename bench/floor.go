package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/understudy-go/understudy/internal/process"
)

// envFloor makes this program the other side of a floor instead of a
// benchmark: its value says of which, with its arguments.
const envFloor = "UNDERSTUDY_BENCH_FLOOR"

// floorFD is the descriptor by which it talks to us.
const floorFD = 3

// runFloorIfAsked comes first in main, before anything of the framework: what
// it costs to get there is what any program that links it pays.
func runFloorIfAsked() {
	v, ok := os.LookupEnv(envFloor)
	if !ok {
		return
	}
	name, args, _ := strings.Cut(v, " ")
	f := os.NewFile(floorFD, "floor")
	var err error
	switch name {
	case "byte":
		err = floorByte(f)
	case "pong":
		err = floorPong(f, args)
	case "drain":
		err = floorDrain(f, args)
	case "futex":
		err = floorFutex(f, args)
	case "ring":
		err = floorRing(f, args)
	default:
		err = fmt.Errorf("no such floor")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintf(os.Stderr, "bench: floor %q: %v\n", v, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// startFloor executes this program as the other side of a floor, with far as
// its descriptor and more behind it. It is the least that starting a process
// takes in Go.
func startFloor(far *os.File, v string, more ...*os.File) (*os.Process, error) {
	p, err := os.StartProcess("/proc/self/exe", []string{"bench-floor"}, &os.ProcAttr{
		Env:   append(os.Environ(), envFloor+"="+v),
		Files: append([]*os.File{nil, nil, os.Stderr, far}, more...),
	})
	if err != nil {
		return nil, fmt.Errorf("floor %q: %w", v, err)
	}
	return p, nil
}

// dialFloor starts a floor that is talked to by a socketpair.
func dialFloor(v string, more ...*os.File) (*net.UnixConn, *os.Process, error) {
	near, far, err := process.SocketPair()
	if err != nil {
		return nil, nil, err
	}
	defer near.Close()
	p, err := startFloor(far, v, more...)
	far.Close()
	if err != nil {
		return nil, nil, err
	}
	conn, err := unixConn(near)
	if err != nil {
		endFloor(p)
		return nil, nil, err
	}
	return conn, p, nil
}

// unixConn makes a connection of one end of a socketpair.
func unixConn(f *os.File) (*net.UnixConn, error) {
	c, err := net.FileConn(f) // on a descriptor of its own
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("%s is not a unix socket", f.Name())
	}
	return u, nil
}

func endFloor(p *os.Process) {
	_ = p.Kill() // it may be gone already
	_, _ = p.Wait()
}
