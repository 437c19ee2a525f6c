package segment_test

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/shm"
)

// A parcel is the least that carries arrays: a buffer that keeps the segments.
type parcel struct {
	bytes.Buffer
	segments []*segment.Segment
	received []segment.Received
}

func (p *parcel) Carry(s *segment.Segment) (int, error) {
	s.Retain()
	p.segments = append(p.segments, s)
	return len(p.segments) - 1, nil
}

func (p *parcel) Segment(i int) (*segment.Segment, error) {
	if i >= len(p.segments) {
		return nil, errors.New("no such segment")
	}
	return p.segments[i], nil
}

func (p *parcel) Received(h segment.Received) { p.received = append(p.received, h) }

// How a runtime sends arrays.
func ExampleCarrier() {
	a, _ := shm.New[uint16](3)
	copy(a.Data(), []uint16{7, 8, 9})

	var p parcel
	if err := msgpack.NewEncoder(&p).Encode(map[string]any{"samples": a}); err != nil {
		fmt.Println(err)
	}
	a.Release() // the parcel has a reference to the memory

	var message struct {
		Samples shm.Array[uint16] `msgpack:"samples"`
	}
	if err := msgpack.NewDecoder(&p).Decode(&message); err != nil {
		fmt.Println(err)
	}
	for _, s := range p.segments {
		s.Release() // begun
	}
	fmt.Println(message.Samples.Data()) // the handler
	for _, h := range p.received {
		h.AutoRelease() // it returned
	}
	fmt.Println(shm.Stats().Segments)
	// Output:
	// [7 8 9]
	// 0
}
