package main

import (
	"context"
	"errors"
	"time"

	"github.com/understudy-go/understudy/internal/memfd"
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

// lives is how many arrays of a size one round measures: of small ones more,
// because what is short is easily disturbed.
func lives(size int) int { return max(1, min(15, (16<<20)/size)) }

// spare is what an array must leave to the machine. The raw allocation asks
// nobody: where there is too little, the kernel would kill somebody.
const spare = 256 << 20

func (b *bed) reference(ctx context.Context, size int, serial uint64) (map[string]reading, error) {
	if room, err := memfd.Available(); err == nil && room < int64(size)+spare {
		return nil, skip("%s are available", bytes.text(float64(room)))
	}
	var allocate, freeze, first, rawAllocate, rawSeal latencies
	var last shm.Array[uint64]
	var msg block
	defer func() { last.Release() }()
	smallCall := b.smallCall(ctx)
	for i := range lives(size) {
		last.Release()
		raw := func() error {
			a, s, err := rawMemory(size)
			rawAllocate, rawSeal = append(rawAllocate, a), append(rawSeal, s)
			return err
		}
		ours := func() error {
			start := time.Now()
			data, err := shm.New[uint64](size / 8)
			if err != nil {
				return err
			}
			allocate = append(allocate, time.Since(start))
			last, msg = data, block{Data: data, First: serial, Last: ^serial}
			ends := data.Data()
			ends[len(ends)-1], ends[0] = msg.Last, msg.First
			start = time.Now()
			err = data.Freeze()
			freeze = append(freeze, time.Since(start))
			return err
		}
		// Who comes second gets the pages that the first gave back.
		both := []func() error{raw, ours}
		for k := range both {
			if err := both[(k+i+int(serial))%2](); errors.Is(err, shm.ErrNoMemory) {
				return nil, skip("%v", err)
			} else if err != nil {
				return nil, err
			}
		}
		if err := smallCall.op(); err != nil { // so that the receiver is awake
			return nil, err
		}
		start := time.Now()
		if err := b.look(ctx, msg); err != nil {
			return nil, err
		}
		first = append(first, time.Since(start))
	}
	again, calls, err := turns(b.budget, side{op: func() error { return b.look(ctx, msg) }, peer: b.pid}, smallCall)
	if err != nil {
		return nil, err
	}
	name, call := "reference/"+sizeName(size), calls.at(0.5)
	return map[string]reading{
		name + "/allocate": {allocate.at(0.5), rawAllocate.at(0.5)},
		name + "/freeze":   {freeze.at(0.5), rawSeal.at(0.5)},
		name + "/first":    {first.at(0.5), call},
		name + "/call":     {again.at(0.5), call},
	}, nil
}

// look has the actor look at an array.
func (b *bed) look(ctx context.Context, msg block) error {
	ok, err := look.Call(ctx, b.ref, msg)
	if err == nil && !ok {
		err = errors.New("the receiver did not look at the array")
	}
	return err
}
