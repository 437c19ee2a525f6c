package main

import (
	"context"
	"net/rpc"
	"time"

	"github.com/understudy-go/understudy/bench/peers/internal/child"
	"github.com/understudy-go/understudy/bench/peers/internal/harness"
	"github.com/understudy-go/understudy/bench/peers/internal/work"
)

// Server is the other side of net/rpc, here and in go-plugin: the package wants
// an exported type.
type Server struct{}

// Change is the method that is called.
func (Server) Change(n work.Note, reply *work.Note) error {
	*reply = work.Change(n)
	return nil
}

// changer is whoever has the work done by a call.
type changer interface {
	Change(work.Note) (work.Note, error)
}

// callRound is a round of calls.
func callRound(c changer, n int, pause time.Duration) ([]time.Duration, error) {
	return harness.Loop(n, pause, func(i int) error {
		reply, err := c.Change(work.Request(i))
		if err != nil {
			return err
		}
		return work.Check(i, reply)
	})
}

// netRPC is net/rpc of the standard library over a socketpair.
type netRPC struct {
	client  *rpc.Client
	process *child.Process
}

func startNetRPC(context.Context) (harness.Peer, error) {
	near, far, err := child.SocketPair()
	if err != nil {
		return nil, err
	}
	defer far.Close()
	client := rpc.NewClient(near)
	process, err := child.Start(child.Role("netrpc", far), func() { client.Close() })
	if err != nil {
		client.Close()
		return nil, err
	}
	return &netRPC{client, process}, nil
}

func (p *netRPC) Change(n work.Note) (reply work.Note, err error) {
	err = p.client.Call("Server.Change", n, &reply)
	return reply, err
}

func (p *netRPC) Round(n int, pause time.Duration) ([]time.Duration, error) {
	took, err := callRound(p, n, pause)
	if err != nil {
		err = p.process.Err(err)
	}
	return took, err
}

func (p *netRPC) PIDs() []int { return []int{p.process.PID()} }
func (p *netRPC) Stop()       { p.process.Stop() }

// netRPCChild is the other side.
func netRPCChild() error {
	conn, err := child.Conn(child.Inherited(0))
	if err != nil {
		return err
	}
	server := rpc.NewServer()
	if err := server.Register(Server{}); err != nil {
		return err
	}
	server.ServeConn(conn)
	return nil
}
