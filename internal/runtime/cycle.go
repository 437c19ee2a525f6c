package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
)

// Calls that cross (a calls b while b calls a, from handlers that know nothing
// of each other) wait for ever, and no chain shows it. They are found by
// probes along the edges of the wait-for graph, after Chandy, Misra and Haas
// (Distributed Deadlock Detection, ACM TOCS 1983): an actor in whose inbox a
// call waits too long asks along the calls that its handler waits for; a probe
// that comes back to the handler it started from has found a cycle. The
// handler with the highest invocation id in the cycle is the victim: its call
// fails with ErrCallCycle. It is told by a second round, because it may have been
// reached by a call that is begun, and then no probe
// looks for it. Actors with several slots do not pass probes on: a slot may come
// free.

const (
	stallFirst = 100 * time.Millisecond // a call waits this long before one asks why
	stallAgain = time.Second
	maxHops    = 64
)

// probe is a question on its way: does the call with this id, on the connection that
// the probe comes by, wait for the origin?
type probe struct {
	Call   uint64   `msgpack:"call"`
	Origin uint64   `msgpack:"origin"`           // invocation that asks
	Max    uint64   `msgpack:"max"`              // highest invocation on the way
	Trail  []string `msgpack:"trail"`            // paths on the way
	Victim uint64   `msgpack:"victim,omitempty"` // the cycle is found: this invocation's call is to fail
}

// waits notes that the handler ctx belongs to waits for a call.
func waits(ctx context.Context, waited *call) *invocation {
	inv := invocationOf(ctx)
	inv.waits(waited)
	return inv
}

// waits is waits of a handler that is known. It may be called on nil.
func (inv *invocation) waits(waited *call) {
	if inv == nil {
		return
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.out = append(inv.out, waited)
}

// waited ends what waits began. It may be called on nil.
func (inv *invocation) waited(done *call) {
	if inv == nil {
		return
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.out = slices.DeleteFunc(inv.out, func(c *call) bool { return c == done })
}

// stalled is called when a call has to wait for a slot.
func (h *host) stalled() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.kind.Concurrent == 1 && h.stall == nil && !h.stoppingLocked() {
		h.stall = time.AfterFunc(stallFirst, h.investigate)
	}
}

func (h *host) stoppingLocked() bool { return h.self.status != nil }

// investigate asks why calls wait.
func (h *host) investigate() {
	waiting := h.inbox.HasCall()
	inv := h.active[0].Load()
	h.mu.Lock()
	h.stall = nil
	if waiting && !h.stoppingLocked() {
		h.stall = time.AfterFunc(stallAgain, h.investigate)
	}
	h.mu.Unlock()
	if waiting && inv != nil {
		h.pass(inv, probe{Origin: inv.id, Max: inv.id})
	}
}

// pass sends a probe along the calls that inv waits for.
func (h *host) pass(inv *invocation, p probe) {
	if len(p.Trail) >= maxHops {
		return
	}
	p.Trail = append(p.Trail[:len(p.Trail):len(p.Trail)], h.path)
	p.Max = max(p.Max, inv.id)
	for _, o := range inv.outgoing() {
		p.Call = uint64(o.id)
		o.from.probe(o, p)
	}
}

func (inv *invocation) outgoing() []*call {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return slices.Clone(inv.out)
}

func (s *sender) probe(call *call, p probe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.calls[call.id] == call {
		s.current.tell(ctlProbe, codec.ControlParams(p))
	}
}

// probed takes a probe about a call that came by the connection.
func (r *receiver) probed(p probe) {
	h := r.h
	inv := h.begun(r, p.Call)
	if inv == nil { // it waits for the call that holds the slot
		if h.kind.Concurrent > 1 || r.queue == nil || !r.queue.Grant(p.Call, 0, 0) {
			return
		}
		if inv = h.active[0].Load(); inv == nil {
			return
		}
	}
	switch {
	case p.Victim == inv.id || p.Victim == 0 && p.Origin == inv.id && p.Max == inv.id:
		h.resolve(inv, p)
	case p.Origin != inv.id:
		h.pass(inv, p)
	case p.Victim == 0:
		h.pass(inv, probe{Origin: inv.id, Max: p.Max, Victim: p.Max})
	}
}

// resolve fails the calls that inv waits for.
func (h *host) resolve(inv *invocation, p probe) {
	trail := strings.Join(append(p.Trail, h.path), " -> ")
	err := fmt.Errorf("calls wait for each other (%s): %w", trail, actor.ErrCallCycle)
	h.sys.Emit(actor.Event{Type: actor.EventDeadlock, Path: h.path, Kind: h.kind.Name, Incarnation: h.incarnation,
		Method: inv.method, Err: err, Detail: trail})
	for _, o := range inv.outgoing() {
		o.from.failCall(o, err)
	}
}

// failCall ends a call that would wait for ever.
func (s *sender) failCall(call *call, err error) {
	if call.pooled != nil {
		call.pooled.refuse(err)
		return
	}
	if _, ended := s.cancel(call); ended {
		return // it has just ended by itself
	}
	call.end(callResult{err: err})
}
