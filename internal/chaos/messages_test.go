package chaos_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/understudy-go/understudy/shm"
)

// fault is what the receiver of a message is to do instead of returning.
type fault uint8

const (
	faultNone fault = iota
	faultPanic
	faultExit
	faultNormal
	faultKill
	faultHang
	faultQuit
	faultFault // writes to a frozen array
	faults
)

// note is a message: its key in the journal, and what the receiver is to do.
type note struct {
	Process uint64
	Stream  uint32
	To      uint16
	Op      operation
	Seq     uint64
	Fault   fault
	Decline bool
	Nest    bool          // send something on from the handler
	Work    time.Duration // of the handler
	Count   int           // items of a stream
	Data    []byte
	Sum     uint32 // of Data
}

// ack is the answer to a note.
type ack struct {
	Process uint64
	Stream  uint32
	Seq     uint64
	Sum     uint32
}

// block is a note with an array.
type block struct {
	Note   note
	Pixels shm.Array[uint64]
}

// blockAck is the answer to a block: another array.
type blockAck struct {
	Ack    ack
	Pixels shm.Array[uint64]
}

// item is one of a stream. Every few of them bring an array.
type item struct {
	Ack    ack
	Index  int
	Pixels shm.Array[uint64]
}

func (n *note) key(e entry) record {
	return record{Entry: e, Op: n.Op, Stream: n.Stream, To: n.To, Process: n.Process, Seq: n.Seq}
}

func (n *note) ack() ack { return ack{n.Process, n.Stream, n.Seq, n.Sum} }

// fill makes an array whose elements tell which message it belongs to.
func fill(n *note, elements int) (shm.Array[uint64], error) {
	a, err := shm.New[uint64](elements)
	if err != nil {
		return a, err
	}
	for i, s := 0, a.Data(); i < len(s); i++ {
		s[i] = pixel(n, i)
	}
	return a, nil
}

func pixel(n *note, i int) uint64 {
	return n.Process ^ uint64(n.Stream)<<40 ^ uint64(n.To)<<32 ^ n.Seq*0x9e3779b97f4a7c15 + uint64(i)
}

func intact(n *note, a shm.Array[uint64]) error {
	s, err := a.Slice()
	if err != nil {
		return err
	}
	for i, v := range s {
		if v != pixel(n, i) {
			return fmt.Errorf("element %d of %d is %x, want %x", i, len(s), v, pixel(n, i))
		}
	}
	return nil
}

var errDeclined = errors.New("declined")

// panicMarker is in every panic that is wanted.
const panicMarker = "chaos:"

// released ends what hangs in goroutines of the root, which cannot be killed.
var released = make(chan struct{})
