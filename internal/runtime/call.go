package runtime

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/sys"
	"github.com/understudy-go/understudy/mailbox"
)

// call is one request that awaits its response.
type call struct {
	id     uint32
	method string
	msg    *mailbox.Message // until it is begun; guarded by the sender's lock
	begun  bool             // likewise
	items  *itemQueue       // of a stream

	wait    conn.Waiter
	over    atomic.Bool // res is there
	refused atomic.Bool // of a pool: its caller gets an error and does not wait for the end
	res     callResult
	from    *sender

	inv    *invocation  // that made it, of one that is awaited later
	pooled *PoolMessage // of a pool, whose slot it holds
}

type callResult struct {
	reply conn.Reply
	err   error
	lost  lost
}

// lost says what is known of a call that its receiver did not answer.
type lost uint8

const (
	notLost     lost = iota
	lostUnbegun      // the receiver is gone, and had not begun it
	lostBegun        // it had, or may have
)

var calls = sync.Pool{New: func() any {
	c := &call{}
	c.wait.For, c.wait.Changed = c, make(chan struct{}, 1)
	return c
}}

func newCall(from *sender, id uint32) *call {
	c := calls.Get().(*call)
	c.from, c.id = from, id
	return c
}

// recycle gives up a call that has ended and whose caller is the only one who
// still knows it. The goroutine that ended it touches nothing of it any more but
// wait, and a wake-up too many does no harm.
func (c *call) recycle() {
	if !c.over.Load() {
		return // its caller has given up: it may yet end
	}
	c.id, c.msg, c.begun, c.items, c.res, c.from, c.inv, c.pooled = 0, nil, false, nil, callResult{}, nil, nil, nil
	c.over.Store(false)
	calls.Put(c)
}

// Over reports whether the call has ended: see [conn.Waiter].
func (c *call) Over() bool { return c.over.Load() || c.refused.Load() }

// end is called once, by the goroutine that took the call out of its sender's
// table.
func (c *call) end(r callResult) {
	if r.err != nil {
		r.reply.Drop()
	}
	if c.pooled != nil {
		c.pooled.ended(c, r)
		return
	}
	items, from := c.items, c.from
	c.res = r
	c.over.Store(true) // from here on its caller may have recycled it
	if items != nil {
		items.end()
		from.poller.Done(&items.wait)
	}
	from.poller.Done(&c.wait)
}

// result waits for the end of a call that is known to come.
func (c *call) result() callResult {
	c.from.poller.Wait(context.Background(), &c.wait, nil)
	return c.res
}

// deadlineOf is ctx's deadline on CLOCK_MONOTONIC, in nanoseconds: the same
// clock in every process of the machine. 0 is none.
func deadlineOf(ctx context.Context) int64 {
	d, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return sys.MonotonicNow() + int64(time.Until(d))
}

// appendChain lists the invocations that would wait for a call made under ctx.
func appendChain(chain []uint64, ctx context.Context) []uint64 {
	if inv := invocationOf(ctx); inv != nil {
		chain = append(append(chain, inv.chain...), inv.id)
	}
	return chain
}

// Wait implements [port.Call].
func (c *call) Wait(ctx context.Context) (conn.Reply, error) { return c.from.await(ctx, c) }

// Waits implements [port.Call].
func (c *call) Waits() (done func()) {
	c.inv.waits(c)
	return func() { c.inv.waited(c) }
}
