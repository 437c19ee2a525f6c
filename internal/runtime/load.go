package runtime

import (
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/internal/segment"
)

// Load is what one actor has to do at one moment, and what its process holds.
type Load struct {
	Messages int      `msgpack:"messages"` // that wait in its inbox
	Bytes    int      `msgpack:"bytes"`    // of them
	InHand   int      `msgpack:"in_hand"`  // messages that handlers work on, and calls to be answered later
	Methods  []string `msgpack:"methods"`  // of those that handlers work on
	Frozen   int64    `msgpack:"frozen"`   // bytes of frozen arrays that its process holds
	Shared   int64    `msgpack:"shared"`   // bytes of shared arrays, likewise
}

// Load returns what the actor has to do. ok is false if it runs in another
// process, which has to be asked. Of arrays only a whole process has any.
func (i *Instance) Load() (l Load, ok bool) {
	b, ok := i.backend.(interface{ actor() *host })
	if !ok {
		return l, false
	}
	h := b.actor()
	l.Messages, l.Bytes = h.inbox.Waiting()
	for slot := range h.active {
		if inv := h.active[slot].Load(); inv != nil {
			l.InHand++
			l.Methods = append(l.Methods, inv.method)
		}
	}
	h.mu.Lock()
	l.InHand += len(h.late)
	h.mu.Unlock()
	if i.self {
		l.Frozen, l.Shared = HeldArrays()
	}
	return l, true
}

func (b hosted) actor() *host { return b.h }

// HeldArrays returns the bytes of frozen and of shared arrays that this process
// holds.
func HeldArrays() (frozen, shared int64) {
	for _, e := range segment.Outstanding() {
		if e.Shared {
			shared += e.Size
		} else {
			frozen += e.Size
		}
	}
	return frozen, shared
}

// System returns the part of the system that launched it.
func (i *Instance) System() *System { return i.sys }

// Settings returns what the incarnation was launched with.
func (i *Instance) Settings() Settings { return i.settings }

// Usage returns what the kernel counts for the incarnation's process. It is false
// if it has none of its own, or none any more.
func (i *Instance) Usage() (process.Usage, bool) {
	b, ok := i.backend.(interface{ usage() (process.Usage, bool) })
	if !ok {
		return process.Usage{}, false
	}
	return b.usage()
}

func (b *processBackend) usage() (process.Usage, bool) {
	b.mu.Lock()
	proc := b.proc
	b.mu.Unlock()
	if proc == nil {
		return process.Usage{}, false
	}
	return proc.Usage()
}
