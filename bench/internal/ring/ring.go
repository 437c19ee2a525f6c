// Package ring is the least that two Go processes need to exchange messages: a
// single-producer single-consumer ring in each direction, in memory that both
// have mapped, and readers that spin. It is a floor, not a product: nobody
// sleeps, and nobody defends itself against the other.
package ring

import (
	"sync/atomic"
	"unsafe"
)

const (
	slots    = 1024
	slotSize = 128
	dataAt   = 8 // in a slot, after its length
	slotsAt  = 256

	// Size is how much memory a ring takes.
	Size = slotsAt + slots*slotSize
	// MaxMessage is how long a message may be.
	MaxMessage = slotSize - dataAt
)

// Ring is one direction. One process pushes, another one pops.
type Ring struct {
	tail  *atomic.Uint64 // pushed so far; only the producer writes it
	head  *atomic.Uint64 // popped so far; only the consumer writes it
	slots []byte
	own   uint64 // of tail or head, this side's
	seen  uint64 // of the other side's, at least
	gone  func() bool
}

// New returns a ring in zeroed memory of Size bytes. gone reports whether the
// other side has died, so that nobody waits for it.
func New(mem []byte, gone func() bool) *Ring {
	return &Ring{
		// On cache lines of their own: each is written by one side only.
		tail:  (*atomic.Uint64)(unsafe.Pointer(&mem[0])),
		head:  (*atomic.Uint64)(unsafe.Pointer(&mem[128])),
		slots: mem[slotsAt:Size],
		gone:  gone,
	}
}

// Push sends b, waiting for room. It is false if the other side is gone.
func (r *Ring) Push(b []byte) bool {
	for spins := 1; r.own-r.seen == slots; spins++ {
		r.seen = r.head.Load()
		if spins%patience == 0 && r.tired() {
			return false
		}
	}
	slot := r.slots[r.own%slots*slotSize:][:slotSize]
	*(*uint64)(unsafe.Pointer(&slot[0])) = uint64(len(b))
	copy(slot[dataAt:], b)
	r.own++
	r.tail.Store(r.own)
	return true
}

// Pop waits for a message and copies it into buf. It is false if the other side
// is gone.
func (r *Ring) Pop(buf []byte) ([]byte, bool) {
	for spins := 1; r.own == r.seen; spins++ {
		r.seen = r.tail.Load()
		if spins%patience == 0 && r.tired() {
			return nil, false
		}
	}
	slot := r.slots[r.own%slots*slotSize:][:slotSize]
	n := copy(buf, slot[dataAt:][:*(*uint64)(unsafe.Pointer(&slot[0]))])
	r.own++
	r.head.Store(r.own)
	return buf[:n], true
}

// patience is how often a side looks before it lets others have the CPU: with
// two CPUs the other side may be waiting for this one.
const patience = 1 << 12

// tired lets others have the CPU, and reports whether there is nobody to wait for.
func (r *Ring) tired() bool {
	yield()
	return r.gone()
}
