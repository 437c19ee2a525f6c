package main

import (
	"errors"
	"io"
	"time"

	"github.com/understudy-go/understudy/bench/peers/internal/child"
	"github.com/understudy-go/understudy/bench/peers/internal/ring"
	"github.com/understudy-go/understudy/bench/peers/internal/work"
)

// The rings' reader burns a CPU, and other rows need it. So the other side
// sleeps in a read of a socketpair between the readings; a byte there says what
// comes, an empty message in the ring answers it, and another one ends it.
const (
	ringTrips  = 't' // each message is changed and sent back
	ringStream = 's' // messages are only counted; the empty one is answered
)

func ringChild() error { return playRing(rawHandler{}) }

func ringCodecChild() error { return playRing(codecHandler{work.NewCodec()}) }

// ringHandler is what the other side does with a message.
type ringHandler interface {
	change(msg []byte) (reply []byte, err error)
	read(msg []byte) error // of a stream: there is no reply
}

type rawHandler struct{}

func (rawHandler) change(msg []byte) ([]byte, error) {
	work.ChangeRaw(msg)
	return msg, nil
}

func (rawHandler) read([]byte) error { return nil }

type codecHandler struct{ *work.Codec }

func (h codecHandler) change(msg []byte) ([]byte, error) {
	n, err := h.Decode(msg)
	if err != nil {
		return nil, err
	}
	return h.Encode(work.Change(n))
}

func (h codecHandler) read(msg []byte) error {
	_, err := h.Decode(msg)
	return err
}

func playRing(h ringHandler) error {
	mem, err := ring.Map(child.Inherited(0))
	if err != nil {
		return err
	}
	control, err := child.Conn(child.Inherited(1))
	if err != nil {
		return err
	}
	gone := func() bool { return false } // the parent's death is ours
	in, out := ring.New(mem[:ring.Size], gone), ring.New(mem[ring.Size:], gone)
	for {
		var mode [1]byte
		if _, err := control.Read(mode[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := serveRing(in, out, h, mode[0]); err != nil {
			return err
		}
	}
}

// serveRing spins until the empty message.
func serveRing(in, out *ring.Ring, h ringHandler, mode byte) error {
	// Linux puts whoever is woken by a write on the writer's CPU, because it
	// expects the writer to sleep next. This one spins: a timer wakes to a CPU
	// that is free, if there is one.
	time.Sleep(time.Millisecond)
	out.Push(nil)
	buf := make([]byte, ring.MaxMessage)
	for {
		msg, _ := in.Pop(buf)
		if len(msg) == 0 {
			out.Push(msg)
			return nil
		}
		if mode == ringStream {
			if err := h.read(msg); err != nil {
				return err
			}
			continue
		}
		reply, err := h.change(msg)
		if err != nil {
			return err
		}
		out.Push(reply)
	}
}
