package main

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/understudy-go/understudy/bench/peers/internal/child"
	"github.com/understudy-go/understudy/bench/peers/internal/harness"
	"github.com/understudy-go/understudy/bench/peers/internal/work"
)

// socketPeer is a round trip over a bare socketpair in Go's netpoller.
type socketPeer struct {
	conn    *net.UnixConn
	process *child.Process
	buf     []byte
}

func startSocket(context.Context) (harness.Peer, error) {
	near, far, err := child.SocketPair()
	if err != nil {
		return nil, err
	}
	defer far.Close()
	process, err := child.Start(child.Role("socketpair", far), func() { near.Close() })
	if err != nil {
		near.Close()
		return nil, err
	}
	return &socketPeer{conn: near, process: process, buf: make([]byte, work.RawSize)}, nil
}

// The last byte of a message, which its note does not need, says what to do.
const (
	socketAnswer = iota
	socketCount  // no reply
	socketEnd    // a reply to all that were counted
)

func (p *socketPeer) Round(n int, pause time.Duration) ([]time.Duration, error) {
	return harness.Loop(n, pause, func(i int) error {
		work.PutRaw(p.buf, work.Request(i))
		if err := p.send(socketAnswer); err != nil {
			return err
		}
		if _, err := io.ReadFull(p.conn, p.buf); err != nil {
			return p.process.Err(err)
		}
		return work.CheckRaw(i, p.buf)
	})
}

func (p *socketPeer) Stream(n int) (time.Duration, error) {
	begin := time.Now()
	for i := range n {
		work.PutRaw(p.buf, work.Request(i))
		if err := p.send(socketCount); err != nil {
			return 0, err
		}
	}
	if err := p.send(socketEnd); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(p.conn, p.buf); err != nil {
		return 0, p.process.Err(err)
	}
	return time.Since(begin), nil
}

func (p *socketPeer) send(what byte) error {
	p.buf[work.RawSize-1] = what
	if _, err := p.conn.Write(p.buf); err != nil {
		return p.process.Err(err)
	}
	return nil
}

func (p *socketPeer) PIDs() []int { return []int{p.process.PID()} }
func (p *socketPeer) Stop()       { p.process.Stop() }

// socketChild is the other side.
func socketChild() error {
	conn, err := child.Conn(child.Inherited(0))
	if err != nil {
		return err
	}
	in := make([]byte, 64<<10) // a stream is read in large pieces
	for have := 0; ; {
		n, err := conn.Read(in[have:])
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		have += n
		rest := in[:have]
		for ; len(rest) >= work.RawSize; rest = rest[work.RawSize:] {
			msg := rest[:work.RawSize]
			work.ChangeRaw(msg)
			if msg[work.RawSize-1] == socketCount {
				continue
			}
			if _, err := conn.Write(msg); err != nil {
				return err
			}
		}
		have = copy(in, rest)
	}
}
