package main

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/understudy-go/understudy/bench/peers/internal/child"
	"github.com/understudy-go/understudy/bench/peers/internal/harness"
	"github.com/understudy-go/understudy/bench/peers/internal/ring"
	"github.com/understudy-go/understudy/bench/peers/internal/work"
)

// ringPeer is a round trip over a ring in each direction: what two Go processes
// can do at all, with or without a codec.
type ringPeer struct {
	mem     []byte
	out, in *ring.Ring
	control *net.UnixConn
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
			mem: mem, control: near, process: process, codec: codec,
			out: ring.New(mem[:ring.Size], process.Ended), in: ring.New(mem[ring.Size:], process.Ended),
			buf: make([]byte, ring.MaxMessage),
		}, nil
	}
}

var errRingGone = errors.New("ring: the other side is gone")

func (p *ringPeer) Round(n int, pause time.Duration) ([]time.Duration, error) {
	if err := p.wake(ringTrips); err != nil {
		return nil, err
	}
	once := p.raw
	if p.codec != nil {
		once = p.encoded
	}
	took, err := harness.Loop(n, pause, once)
	return took, errors.Join(err, p.rest())
}

func (p *ringPeer) raw(i int) error {
	msg := p.buf[:work.RawSize]
	work.PutRaw(msg, work.Request(i))
	if err := p.exchange(&msg); err != nil {
		return err
	}
	return work.CheckRaw(i, msg)
}

func (p *ringPeer) encoded(i int) error {
	msg, err := p.codec.Encode(work.Request(i))
	if err == nil {
		err = p.exchange(&msg)
	}
	if err != nil {
		return err
	}
	n, err := p.codec.Decode(msg)
	if err != nil {
		return err
	}
	return work.Check(i, n)
}

// exchange sends a message and replaces it by the reply.
func (p *ringPeer) exchange(msg *[]byte) error {
	if !p.out.Push(*msg) {
		return p.process.Err(errRingGone)
	}
	reply, ok := p.in.Pop(p.buf)
	if !ok {
		return p.process.Err(errRingGone)
	}
	*msg = reply
	return nil
}

func (p *ringPeer) Stream(n int) (time.Duration, error) {
	if err := p.wake(ringStream); err != nil {
		return 0, err
	}
	raw, begin := make([]byte, work.RawSize), time.Now()
	for i := range n {
		msg := raw
		if p.codec == nil {
			work.PutRaw(msg, work.Request(i))
		} else if encoded, err := p.codec.Encode(work.Request(i)); err != nil {
			return 0, err
		} else {
			msg = encoded
		}
		if !p.out.Push(msg) {
			return 0, p.process.Err(errRingGone)
		}
	}
	err := p.rest()
	return time.Since(begin), err
}

// wake has the other side spin, and waits until it does.
func (p *ringPeer) wake(mode byte) error {
	if _, err := p.control.Write([]byte{mode}); err != nil {
		return p.process.Err(err)
	}
	if _, ok := p.in.Pop(p.buf); !ok {
		return p.process.Err(errRingGone)
	}
	return nil
}

// rest has the other side sleep again, after it has handled everything.
func (p *ringPeer) rest() error {
	var empty []byte
	return p.exchange(&empty)
}

func (p *ringPeer) PIDs() []int { return []int{p.process.PID()} }

func (p *ringPeer) Stop() {
	p.process.Stop()
	ring.Unmap(p.mem)
}
