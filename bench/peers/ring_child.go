package main

import (
	"github.com/understudy-go/understudy/bench/internal/ring"
	"github.com/understudy-go/understudy/bench/peers/internal/child"
	"github.com/understudy-go/understudy/bench/peers/internal/work"
)

func ringChild() error { return playRing(rawHandler{}) }

func ringCodecChild() error { return playRing(codecHandler{work.NewCodec()}) }

type rawHandler struct{}

func (rawHandler) Change(msg []byte) ([]byte, error) {
	work.ChangeRaw(msg)
	return msg, nil
}

func (rawHandler) Read([]byte) error { return nil }

type codecHandler struct{ *work.Codec }

func (h codecHandler) Change(msg []byte) ([]byte, error) {
	n, err := h.Decode(msg)
	if err != nil {
		return nil, err
	}
	return h.Encode(work.Change(n))
}

func (h codecHandler) Read(msg []byte) error {
	_, err := h.Decode(msg)
	return err
}

func playRing(h ring.Handler) error {
	control, err := child.Conn(child.Inherited(1))
	if err != nil {
		return err
	}
	return ring.Serve(child.Inherited(0), control, h)
}
