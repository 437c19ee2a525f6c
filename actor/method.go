package actor

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/mailbox"
)

// Method is a typed method of kind K: what callers may ask of it.
type Method[K, Req, Resp any] struct {
	kind *kindCore
	name string
	req  codec.Codec[Req]
	resp codec.Codec[Resp]
}

// NewMethod declares a method in the frontend of a kind: the split form.
func NewMethod[Req, Resp, K, A any](k *Kind[K, A], name string) *Method[K, Req, Resp] {
	mustTravel[Req]("method %q of kind %q: the request", name, k.core.name)
	mustTravel[Resp]("method %q of kind %q: the response", name, k.core.name)
	k.core.declare(name)
	return &Method[K, Req, Resp]{kind: k.core, name: name}
}

// Name returns the name of the method on the wire.
func (m *Method[K, Req, Resp]) Name() string { return m.name }

// Call sends req and waits for the response until ctx ends. ctx's deadline and
// cancellation reach the handler. A call ends in exactly one way: the
// response, the handler's error (a *[RemoteError]), an *[ExitError] at once if
// the actor ended while it handled the call, [ErrNotRunning] or [ErrStopped]
// if it will not come back, [ErrCallCycle], or ctx's error.
func (m *Method[K, Req, Resp]) Call(ctx context.Context, ref Ref[K], req Req) (Resp, error) {
	var resp Resp
	c, call, err := m.start(ctx, ref, req)
	if err != nil {
		return resp, sendError("call", m.name, ref.to.path, err)
	}
	inv := waits(ctx, c, call)
	r, err := c.await(ctx, call)
	if inv != nil {
		inv.waited(call)
	} else {
		call.recycle()
	}
	if err != nil {
		return resp, sendError("call", m.name, ref.to.path, err)
	}
	err = m.decode(c, r, &resp)
	return resp, err
}

func (m *Method[K, Req, Resp]) start(ctx context.Context, ref Ref[K], req Req) (*client, *call, error) {
	if ref.to.sys == nil {
		return nil, nil, ErrUnbound
	}
	if ctx.Err() != nil {
		return nil, nil, contextError(ctx)
	}
	c := ref.to.sys.client(ref.to)
	call := newCall()
	msg, err := encode(ctx, c, m.name, &m.req, &req, call, ref.to.pin)
	if err != nil {
		return nil, nil, err
	}
	call.msg = msg
	if err := c.send(ctx, msg, call, false); err != nil {
		return nil, nil, err
	}
	return c, call, nil
}

func (m *Method[K, Req, Resp]) decode(c *client, r conn.Reply, resp *Resp) error {
	defer r.Drop()
	if r.Err != nil {
		return decodeRemote(m.kind, c.path, m.name, r.Err)
	}
	src := codec.GetSource()
	defer codec.PutSource(src) // what was received is the caller's
	src.B, src.Segments, src.Context = r.Result, r.Segments, c.sys
	if err := m.resp.Decode(src, resp); err != nil {
		src.AutoRelease()
		return fmt.Errorf("call %s to %s: response: %w", m.name, c.path, err)
	}
	return nil
}

// Cast sends req and does not wait for its handling. It waits for room in the
// mailbox until ctx ends. nil means that the message is on its way or in the
// sender's own bounded queue; should it get lost afterwards, an event of type
// dead letter says so.
func (m *Method[K, Req, Resp]) Cast(ctx context.Context, ref Ref[K], req Req) error {
	return m.cast(ctx, ref, req, false)
}

// TryCast is Cast without waiting: [ErrMailboxFull] if there is no room now.
// Until the first link to the actor stands, the default capacity counts.
func (m *Method[K, Req, Resp]) TryCast(ref Ref[K], req Req) error {
	return m.cast(context.Background(), ref, req, true)
}

func (m *Method[K, Req, Resp]) cast(ctx context.Context, ref Ref[K], req Req, try bool) error {
	if ref.to.sys == nil {
		return sendError("cast", m.name, ref.to.path, ErrUnbound)
	}
	if ctx.Err() != nil {
		return sendError("cast", m.name, ref.to.path, contextError(ctx))
	}
	c := ref.to.sys.client(ref.to)
	msg, err := encode(ctx, c, m.name, &m.req, &req, nil, ref.to.pin)
	if err == nil {
		err = c.send(ctx, msg, nil, try)
	}
	if err != nil {
		return sendError("cast", m.name, ref.to.path, err)
	}
	return nil
}

// Go is Call without waiting for the response: requests may be pipelined. It
// waits for room in the mailbox until ctx ends; ctx also bounds the call.
func (m *Method[K, Req, Resp]) Go(ctx context.Context, ref Ref[K], req Req) *Future[Resp] {
	f := &Future[Resp]{done: make(chan struct{})}
	c, call, err := m.start(ctx, ref, req)
	if err != nil {
		f.err = sendError("call", m.name, ref.to.path, err)
		close(f.done)
		return f
	}
	f.inv, f.c, f.call = invocationOf(ctx), c, call
	go func() {
		defer close(f.done)
		r, err := c.await(ctx, call)
		if err != nil {
			f.err = sendError("call", m.name, ref.to.path, err)
			return
		}
		f.err = m.decode(c, r, &f.resp)
	}()
	return f
}

// Future is the response to come of a pipelined call.
type Future[Resp any] struct {
	done chan struct{}
	resp Resp
	err  error

	// For whom Result waits: whoever waits for that handler waits for the call.
	inv  *invocation
	c    *client
	call *call
}

// Done is closed when the call has ended.
func (f *Future[Resp]) Done() <-chan struct{} { return f.done }

// Result waits for the end of the call and returns what Call would.
func (f *Future[Resp]) Result() (Resp, error) {
	if f.inv != nil && !isDone(f.done) {
		f.inv.waits(f.c, f.call)
		defer f.inv.waited(f.call)
	}
	<-f.done
	return f.resp, f.err
}

// maxTrace is how many entries a trace context may have: the metadata has its
// own small part of a message's elements.
const maxTrace = 128

// encode makes the message: the same bytes whichever link carries it.
func encode[Req any](ctx context.Context, c *client, method string, coding *codec.Codec[Req], req *Req, call *call, pin Incarnation) (*mailbox.Message, error) {
	buf := c.sys.buffer()
	defer codec.PutBuffer(buf)
	msg := mailbox.GetMessage()
	msg.Method, msg.Call = method, call != nil
	if call != nil {
		msg.ID = c.newID()
		call.id = msg.ID
		buf.B = wire.AppendRequestHead(buf.B, uint64(msg.ID), method)
	} else {
		buf.B = wire.AppendNotifyHead(buf.B, method)
	}
	if err := coding.EncodeArgs(buf, req, c.arrays.Load()); err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	msg.TakeSegments(buf)
	if pin != uuid.Nil {
		msg.Pin = pin.String()
	}
	var meta wire.Meta
	var chain [8]uint64
	var ids [4]uint64
	if call != nil {
		meta.Deadline = deadlineOf(ctx)
		meta.Chain = appendChain(chain[:0], ctx)
		if meta.Trace = Trace(ctx); len(meta.Trace) > maxTrace {
			msg.Drop()
			return nil, fmt.Errorf("a trace context of %d entries, limit %d: %w", len(meta.Trace), maxTrace, ErrTooManyElements)
		}
		meta.Stream, meta.Window = call.items != nil, streamWindow
	}
	if len(msg.Segments) > 0 {
		meta.Segments = conn.SegmentIDs(ids[:0], msg.Segments)
	}
	if !c.foreign.Load() && (meta.Deadline != 0 || len(meta.Chain) > 0 || meta.Segments != nil || meta.Trace != nil || meta.Stream) {
		bare := len(buf.B)
		buf.B = wire.AppendMetaTo(buf.B, 0, &meta)
		msg.Meta = len(buf.B) - bare
	}
	if most := (wire.Limits{Bytes: c.sys.opts.MaxMessage}).Message().Bytes; len(buf.B) > most { // the trace is the user's
		msg.Drop()
		return nil, fmt.Errorf("%d bytes with metadata, limit %d: %w", len(buf.B), most, ErrTooLarge)
	}
	if len(buf.B) <= 16<<10 {
		msg.SetBody(buf.B) // and the buffer serves the next
	} else {
		msg.Body, buf.B = buf.B, nil
	}
	return msg, nil
}
