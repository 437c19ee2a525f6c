package actor

import (
	"context"
	"fmt"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/segment"
)

// Method is a typed method of kind K: what callers may ask of it.
type Method[K, Req, Resp any] struct {
	kind *port.Kind
	name string
	req  codec.Codec[Req]
	resp codec.Codec[Resp]
}

// DeclareMethod declares a method in the frontend of a kind: the split form. It
// panics if values of type Req or Resp cannot travel.
func DeclareMethod[Req, Resp, K, A any](k *Kind[K, A], name string) *Method[K, Req, Resp] {
	mustTravel[Req]("method %q of kind %q: the request", name, k.kind.Name)
	mustTravel[Resp]("method %q of kind %q: the response", name, k.kind.Name)
	k.kind.Declare(name)
	return &Method[K, Req, Resp]{kind: k.kind, name: name}
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
	to := ref.to.target()
	buf, id, err := m.begin(ctx, to, &req, true)
	if err != nil {
		return resp, sendError("call", m.name, to, err)
	}
	r, err := to.Call(ctx, m.name, id, buf, ref.to.pin)
	if err != nil {
		return resp, sendError("call", m.name, to, err)
	}
	err = m.decode(to, &r, &resp)
	return resp, err
}

// begin begins a message and encodes req.
func (m *Method[K, Req, Resp]) begin(ctx context.Context, to port.Target, req *Req, answered bool) (*codec.Buffer, uint32, error) {
	buf, id, arrays, err := to.Begin(ctx, m.name, answered)
	if err != nil {
		return nil, 0, err
	}
	if err := m.req.EncodeArgs(buf, req, arrays); err != nil {
		codec.PutBuffer(buf)
		return nil, 0, fmt.Errorf("encoding: %w", err)
	}
	return buf, id, nil
}

func (m *Method[K, Req, Resp]) decode(to port.Target, r *conn.Reply, resp *Resp) error {
	defer r.Drop()
	if r.Err != nil {
		return to.RemoteError(m.name, r.Err)
	}
	if err := decode(to, &m.resp, r.Result, r.Segments, resp); err != nil {
		return fmt.Errorf("call %s to %s: response: %w", m.name, to.Path(), err)
	}
	return nil
}

// decode decodes what was received: it is the caller's.
func decode[T any](to port.Target, coding *codec.Codec[T], raw []byte, segments []*segment.Segment, v *T) error {
	src := codec.GetSource()
	defer codec.PutSource(src)
	src.B, src.Segments, src.Context = raw, segments, to.System()
	err := coding.Decode(src, v)
	if err != nil {
		src.AutoRelease()
	}
	return err
}

// Cast sends req and does not wait for its handling. It waits for room in the
// mailbox until ctx ends. nil means that the message is on its way or in the
// sender's own bounded queue; should it get lost afterwards, an event of type
// dead letter says so.
func (m *Method[K, Req, Resp]) Cast(ctx context.Context, ref Ref[K], req Req) error {
	return m.cast(ctx, ref.to, &req, false)
}

// TryCast is Cast without waiting: [ErrMailboxFull] if there is no room now.
// Until the first connection to the actor stands, the default capacity counts.
func (m *Method[K, Req, Resp]) TryCast(ref Ref[K], req Req) error {
	return m.cast(context.Background(), ref.to, &req, true)
}

func (m *Method[K, Req, Resp]) cast(ctx context.Context, a address, req *Req, try bool) error {
	to := a.target()
	buf, _, err := m.begin(ctx, to, req, false)
	if err == nil {
		err = to.Cast(ctx, m.name, buf, a.pin, try)
	}
	if err != nil {
		return sendError("cast", m.name, to, err)
	}
	return nil
}

// Go is Call without waiting for the response: requests may be pipelined. It
// waits for room in the mailbox until ctx ends; ctx also bounds the call.
func (m *Method[K, Req, Resp]) Go(ctx context.Context, ref Ref[K], req Req) *Future[Resp] {
	f := &Future[Resp]{done: make(chan struct{})}
	to := ref.to.target()
	buf, id, err := m.begin(ctx, to, &req, true)
	if err == nil {
		f.call, err = to.Go(ctx, m.name, id, buf, ref.to.pin)
	}
	if err != nil {
		f.err = sendError("call", m.name, to, err)
		close(f.done)
		return f
	}
	go func() {
		defer close(f.done)
		r, err := f.call.Wait(ctx)
		if err != nil {
			f.err = sendError("call", m.name, to, err)
			return
		}
		f.err = m.decode(to, &r, &f.resp)
	}()
	return f
}

// Future is the response to come of a pipelined call.
type Future[Resp any] struct {
	done chan struct{}
	resp Resp
	err  error
	call port.Call
}

// Done is closed when the call has ended.
func (f *Future[Resp]) Done() <-chan struct{} { return f.done }

// Result waits for the end of the call and returns what Call would.
func (f *Future[Resp]) Result() (Resp, error) {
	select {
	case <-f.done:
	default:
		defer f.call.Waits()() // what waits for the handler that called waits for this call
		<-f.done
	}
	return f.resp, f.err
}

func sendError(what, method string, to port.Target, err error) error {
	return fmt.Errorf("%s %s to %s: %w", what, method, to.Path(), err)
}
