package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/understudy-go/understudy/bench/peers/internal/harness"
	"github.com/understudy-go/understudy/internal/memfd"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/supervisor"
)

// referencePeer is calls that carry a frozen array by reference. The receiver
// reads both its ends each time.
type referencePeer struct {
	*bed
	msg block
}

// spare is what an array must leave to the machine.
const spare = 256 << 20

func referenceAvailable(size int) func() error {
	return func() error {
		room, err := memfd.Available()
		if err != nil {
			return err
		}
		if room < int64(size)+spare {
			return fmt.Errorf("only %d MiB of memory are available", room>>20)
		}
		return nil
	}
}

func startReference(size int) func(context.Context) (harness.Peer, error) {
	return func(ctx context.Context) (harness.Peer, error) {
		data, err := shm.New[uint64](size / 8)
		if err != nil {
			return nil, err
		}
		msg := block{Data: data, First: 1, Last: 2}
		ends := data.Data()
		ends[0], ends[len(ends)-1] = msg.First, msg.Last
		b, err := makeBed(ctx, 1, "auto", supervisor.Child{})
		if err == nil {
			err = data.Freeze()
		}
		if err != nil {
			data.Release()
			return nil, err
		}
		return referencePeer{b, msg}, nil
	}
}

func (p referencePeer) Round(n int, pause time.Duration) ([]time.Duration, error) {
	ctx := context.Background()
	return harness.Loop(n, pause, func(int) error {
		ok, err := look.Call(ctx, p.refs[0], p.msg)
		if err == nil && !ok {
			err = errors.New("the receiver did not look at the array")
		}
		return err
	})
}

func (p referencePeer) Stop() {
	p.bed.Stop()
	p.msg.Data.Release()
}
