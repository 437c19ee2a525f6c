package main

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"github.com/understudy-go/understudy/bench/internal/ring"
)

// rawRing is the floor of what goes by shared memory: two Go processes, a ring
// in each direction, readers that spin, as many bytes.
type rawRing struct {
	mem    []byte
	conn   *net.UnixConn
	peer   *os.Process
	caller *ring.Caller
	out    []byte
	size   int // of a response
}

func newRawRing(request, response int) (*rawRing, error) {
	if longest := max(request, response); longest > ring.MaxMessage {
		return nil, fmt.Errorf("raw ring: a message of %d bytes is too long", longest)
	}
	mem, f, err := ring.Memory()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	conn, peer, err := dialFloor(fmt.Sprintf("ring %d", response), f)
	if err != nil {
		ring.Unmap(mem)
		return nil, err
	}
	gone := new(atomic.Bool)
	go func() { // who spins does not read, and its other side never writes
		_, _ = conn.Read(make([]byte, 1))
		gone.Store(true)
	}()
	return &rawRing{mem: mem, conn: conn, peer: peer, caller: ring.NewCaller(mem, conn, gone.Load), out: make([]byte, request), size: response}, nil
}

func (r *rawRing) once() error {
	reply, err := r.caller.Exchange(r.out)
	if err == nil && len(reply) != r.size {
		err = fmt.Errorf("raw ring: a response of %d bytes, not %d", len(reply), r.size)
	}
	return err
}

// side sleeps between its turns: its other half would burn the CPU that
// everybody else's other half needs.
func (r *rawRing) side() side {
	return side{op: r.once, peer: r.peer.Pid, wake: r.caller.WakeTrips, rest: r.caller.Rest}
}

// send sends n messages and returns when all were read.
func (r *rawRing) send(n int) error {
	for range n {
		if err := r.caller.Send(r.out); err != nil {
			return err
		}
	}
	return r.caller.Rest()
}

func (r *rawRing) close() {
	r.conn.Close()
	endFloor(r.peer)
	ring.Unmap(r.mem)
}

// floorRing is the other side.
func floorRing(f *os.File, args string) error {
	var response int
	if _, err := fmt.Sscan(args, &response); err != nil {
		return err
	}
	conn, err := unixConn(f)
	if err != nil {
		return err
	}
	f.Close()
	return ring.Serve(os.NewFile(floorFD+1, "ring"), conn, rawReply(make([]byte, response)))
}

// rawReply answers whatever comes.
type rawReply []byte

func (r rawReply) Change([]byte) ([]byte, error) { return r, nil }
func (r rawReply) Read([]byte) error             { return nil }
