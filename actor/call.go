package actor

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
	id    uint32
	msg   *mailbox.Message // until it is begun; guarded by the client's lock
	begun bool             // likewise
	items *itemQueue       // of a stream

	wait  conn.Waiter
	over  atomic.Bool   // res is there
	done  chan struct{} // has a token from then on
	res   callResult
	guest *conn.Poller // its client's

	peer    *conn.Conn  // that it was first sent by, if it was sent at once
	reading atomic.Bool // the caller reads the connection itself
}

type callResult struct {
	reply conn.Reply
	err   error
}

var calls = sync.Pool{New: func() any {
	c := &call{done: make(chan struct{}, 1)}
	c.wait = conn.Waiter{For: c, Changed: c.done}
	return c
}}

func newCall() *call { return calls.Get().(*call) }

// recycle gives up a call that has ended and whose caller is the only one who
// still knows it. Whoever ended it touches nothing of it any more but done,
// where a token too many does no harm: who finds one looks at over.
func (c *call) recycle() {
	if !c.over.Load() {
		return // its caller has given up: it may yet end
	}
	c.id, c.msg, c.begun, c.items, c.res, c.guest, c.peer = 0, nil, false, nil, callResult{}, nil, nil
	c.over.Store(false)
	select {
	case <-c.done:
	default:
	}
	calls.Put(c)
}

// Over reports whether the call has ended: see [mailbox.Waiter].
func (c *call) Over() bool { return c.over.Load() }

// end is called once, by whoever took the call out of its client's table.
func (c *call) end(r callResult) {
	peer := c.peer
	c.answer(r)
	if peer != nil && c.reading.Load() {
		peer.Interrupt()
	}
}

// answer is end for the goroutine that reads the connection.
func (c *call) answer(r callResult) {
	if r.err != nil {
		r.reply.Drop()
	}
	items, guest := c.items, c.guest
	c.res = r
	c.over.Store(true)
	c.token() // from here on its caller may have recycled it
	if items != nil {
		items.end()
	}
	if guest != nil {
		guest.Wake()
	}
}

func (c *call) token() {
	select {
	case c.done <- struct{}{}:
	default:
	}
}

// result waits for the end of a call that is known to come.
func (c *call) result() callResult {
	for !c.over.Load() {
		<-c.done
	}
	c.token()
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
