package actor

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/mailbox"
)

// call is one request that awaits its response.
type call struct {
	id    uint32
	msg   *mailbox.Message
	begun bool       // guarded by the client's lock
	items *itemQueue // of a stream

	wait  mailbox.Waiter
	over  atomic.Bool   // res is there
	done  chan struct{} // has a token from then on
	res   callResult
	guest *mailbox.Guests // its client's

	peer    *mailbox.Peer // that it was first sent by, if it was sent at once
	reading atomic.Bool   // the caller reads the connection itself
}

type callResult struct {
	reply mailbox.Reply
	err   error
}

func newCall() *call {
	c := &call{done: make(chan struct{}, 1)}
	c.wait = mailbox.Waiter{For: c, Changed: c.done}
	return c
}

// Over reports whether the call has ended: see [mailbox.Waiter].
func (c *call) Over() bool { return c.over.Load() }

// end is called once, by whoever took the call out of its client's table.
func (c *call) end(r callResult) {
	c.answer(r)
	if c.reading.Load() {
		c.peer.Interrupt()
	}
}

// answer is end for the goroutine that reads the connection.
func (c *call) answer(r callResult) {
	if r.err != nil {
		r.reply.Drop()
	}
	c.res = r
	c.over.Store(true)
	c.done <- struct{}{}
	if c.items != nil {
		c.items.end()
	}
	if c.guest != nil {
		c.guest.Wake()
	}
}

// result waits for the end of a call that is known to come.
func (c *call) result() callResult {
	if !c.over.Load() {
		<-c.done
		c.done <- struct{}{}
	}
	return c.res
}

// deadlineOf is ctx's deadline on CLOCK_MONOTONIC, in nanoseconds: the same
// clock in every process of the machine. 0 is none.
func deadlineOf(ctx context.Context) int64 {
	d, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return process.MonotonicNow() + int64(time.Until(d))
}

// chainOf lists the invocations that would wait for a call made under ctx.
func chainOf(ctx context.Context) []uint64 {
	inv := invocationOf(ctx)
	if inv == nil {
		return nil
	}
	return append(inv.chain[:len(inv.chain):len(inv.chain)], inv.id)
}
