package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/understudy-go/understudy/shm"
)

// openReference measures the life of a frozen array: it is allocated, frozen,
// sent for the first time, whereupon the receiver maps it, and then sent again
// and again. The receiver checks its first and its last element each time.
func openReference(size int) func(context.Context, *bed) (session, error) {
	return func(_ context.Context, b *bed) (session, error) {
		serial := uint64(0)
		return sessionFuncs{measure: func(ctx context.Context) (map[string]reading, error) {
			serial++
			return b.reference(ctx, size, serial)
		}}, nil
	}
}

func (b *bed) reference(ctx context.Context, size int, serial uint64) (map[string]reading, error) {
	rawAllocate, rawSeal, err := rawMemory(size)
	if err != nil {
		return nil, skip("%v", err)
	}
	start := time.Now()
	data, err := shm.New[uint64](size / 8)
	allocate := time.Since(start)
	if errors.Is(err, shm.ErrNoMemory) {
		return nil, skip("%v", err)
	}
	if err != nil {
		return nil, err
	}
	defer data.Release()
	msg := block{Data: data, First: serial, Last: ^serial}
	ends := data.Data()
	ends[len(ends)-1], ends[0] = msg.Last, msg.First

	start = time.Now()
	if err := data.Freeze(); err != nil {
		return nil, err
	}
	freeze := time.Since(start)

	byReference := func() error {
		ok, err := look.Call(ctx, b.ref, msg)
		if err == nil && !ok {
			err = fmt.Errorf("array of %s: the receiver did not look", sizeText(size))
		}
		return err
	}
	smallCall := b.smallCall(ctx)
	if err := smallCall.op(); err != nil { // so that the receiver is awake
		return nil, err
	}
	start = time.Now()
	if err := byReference(); err != nil {
		return nil, err
	}
	first := time.Since(start)

	ours, calls, err := turns(b.budget, side{byReference, b.pid}, smallCall)
	if err != nil {
		return nil, err
	}
	name, call := "reference/"+sizeName(size), calls.at(0.5)
	return map[string]reading{
		name + "/allocate": {float64(allocate), float64(rawAllocate)},
		name + "/freeze":   {float64(freeze), float64(rawSeal)},
		name + "/first":    {float64(first), call},
		name + "/call":     {ours.at(0.5), call},
	}, nil
}
