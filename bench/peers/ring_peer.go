package main

import (
	"context"
	"errors"
	"time"

	"github.com/understudy-go/understudy/bench/internal/ring"
	"github.com/understudy-go/understudy/bench/peers/internal/child"
	"github.com/understudy-go/understudy/bench/peers/internal/harness"
	"github.com/understudy-go/understudy/bench/peers/internal/work"
)

// ringPeer is a round trip over a ring in each direction: what two Go processes
// can do at all, with or without a codec.
type ringPeer struct {
	mem     []byte
	caller  *ring.Caller
	process *child.Process
	codec   *work.Codec // nil: raw messages
	buf     []byte
}

func startRing(role string, codec *work.Codec) func(context.Context) (harness.Peer, error) {
	return func(context.Context) (harness.Peer, error) {
		mem, f, err := ring.Memory()
		if err != nil {
			return nil, err
		}
		defer f.Close()
		near, far, err := child.SocketPair()
		if err != nil {
			ring.Unmap(mem)
			return nil, err
		}
		defer far.Close()
		process, err := child.Start(child.Role(role, f, far), func() { near.Close() })
		if err != nil {
			ring.Unmap(mem)
			near.Close()
			return nil, err
		}
		return &ringPeer{
			mem: mem, caller: ring.NewCaller(mem, near, process.Ended), process: process, codec: codec,
			buf: make([]byte, work.RawSize),
		}, nil
	}
}

func (p *ringPeer) Round(n int, pause time.Duration) ([]time.Duration, error) {
	if err := p.caller.WakeTrips(); err != nil {
		return nil, p.process.Err(err)
	}
	once := p.raw
	if p.codec != nil {
		once = p.encoded
	}
	took, err := harness.Loop(n, pause, once)
	return took, errors.Join(err, p.rest())
}

func (p *ringPeer) raw(i int) error {
	work.PutRaw(p.buf, work.Request(i))
	reply, err := p.caller.Exchange(p.buf)
	if err != nil {
		return p.process.Err(err)
	}
	return work.CheckRaw(i, reply)
}

func (p *ringPeer) encoded(i int) error {
	msg, err := p.codec.Encode(work.Request(i))
	if err != nil {
		return err
	}
	reply, err := p.caller.Exchange(msg)
	if err != nil {
		return p.process.Err(err)
	}
	n, err := p.codec.Decode(reply)
	if err != nil {
		return err
	}
	return work.Check(i, n)
}

func (p *ringPeer) Stream(n int) (time.Duration, error) {
	if err := p.caller.WakeStream(); err != nil {
		return 0, p.process.Err(err)
	}
	begin := time.Now()
	for i := range n {
		msg := p.buf
		if p.codec == nil {
			work.PutRaw(msg, work.Request(i))
		} else if encoded, err := p.codec.Encode(work.Request(i)); err != nil {
			return 0, err
		} else {
			msg = encoded
		}
		if err := p.caller.Send(msg); err != nil {
			return 0, p.process.Err(err)
		}
	}
	err := p.rest()
	return time.Since(begin), err
}

// rest has the other side sleep again, after it has handled everything.
func (p *ringPeer) rest() error {
	if err := p.caller.Rest(); err != nil {
		return p.process.Err(err)
	}
	return nil
}

func (p *ringPeer) PIDs() []int { return []int{p.process.PID()} }

func (p *ringPeer) Stop() {
	p.process.Stop()
	ring.Unmap(p.mem)
}
