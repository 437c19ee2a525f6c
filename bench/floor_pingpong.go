package main

import (
	"fmt"
	"io"
	"net"
	"os"
)

// pingPong is the floor of a call: a request of so many bytes and a response
// of so many, over a bare socketpair between two Go processes.
type pingPong struct {
	conn    *net.UnixConn
	peer    *os.Process
	out, in []byte
}

func newPingPong(request, response int) (*pingPong, error) {
	conn, peer, err := dialFloor(fmt.Sprintf("pong %d %d", request, response))
	if err != nil {
		return nil, err
	}
	return &pingPong{conn: conn, peer: peer, out: make([]byte, request), in: make([]byte, response)}, nil
}

func (p *pingPong) once() error {
	if _, err := p.conn.Write(p.out); err != nil {
		return fmt.Errorf("raw socketpair: %w", err)
	}
	if _, err := io.ReadFull(p.conn, p.in); err != nil {
		return fmt.Errorf("raw socketpair: %w", err)
	}
	return nil
}

func (p *pingPong) side() side { return side{op: p.once, peer: p.peer.Pid} }

func (p *pingPong) close() {
	p.conn.Close()
	endFloor(p.peer)
}

// floorPong is the other side.
func floorPong(f *os.File, args string) error {
	var request, response int
	if _, err := fmt.Sscan(args, &request, &response); err != nil {
		return err
	}
	conn, err := unixConn(f)
	if err != nil {
		return err
	}
	f.Close()
	in, out := make([]byte, request), make([]byte, response)
	for {
		if _, err := io.ReadFull(conn, in); err != nil {
			return err
		}
		if _, err := conn.Write(out); err != nil {
			return err
		}
	}
}
