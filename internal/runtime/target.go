package runtime

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/mailbox"
)

// target is a path and a kind that references refer to. There is one at a time
// for each, so that two references to one path are equal; it goes with the last
// of them, and with what is under way to it.
type target struct {
	sys    *System
	path   string
	kind   string
	sender atomic.Pointer[sender] // once something was sent
	pooled atomic.Bool            // the path is known to be a pool
}

// targets are the targets of a system, by what they are.
type targets struct {
	mu sync.Mutex
	m  map[targetKey]weak.Pointer[target]
}

type targetKey struct{ path, kind string }

// Target implements [port.System].
func (s *System) Target(path, kind string) port.Target { return s.target(path, kind) }

func (s *System) target(path, kind string) *target {
	key := targetKey{path, kind}
	s.targets.mu.Lock()
	defer s.targets.mu.Unlock()
	if t := s.targets.m[key].Value(); t != nil {
		return t
	}
	t := &target{sys: s, path: path, kind: kind}
	if s.targets.m == nil {
		s.targets.m = make(map[targetKey]weak.Pointer[target])
	}
	s.targets.m[key] = weak.Make(t)
	runtime.AddCleanup(t, s.targets.forget, key)
	return t
}

// forget removes a target that is gone, unless there is a new one.
func (t *targets) forget(key targetKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m[key].Value() == nil {
		delete(t.m, key)
	}
}

// get returns what sends to the target.
func (t *target) get() *sender {
	if s := t.sender.Load(); s != nil {
		return s
	}
	t.sender.CompareAndSwap(nil, newSender(t)) // else another was quicker
	return t.sender.Load()
}

func newSender(t *target) *sender {
	s := &sender{sys: t.sys, target: t, calls: make(map[uint32]*call), casts: make(map[uint64]string)}
	s.look, s.poller.Spin = s.askToLook, t.sys.opts.Spin
	s.out.Capacity, s.out.CapacityBytes = DefaultCapacity, DefaultCapacityBytes
	return s
}

// retain keeps a sender that has something under way, whether anything refers to
// its target or not. Its lock is held.
func (s *sender) retain() {
	if s.retained {
		return
	}
	s.retained = true
	s.sys.mu.Lock()
	defer s.sys.mu.Unlock()
	s.sys.senders[s] = struct{}{}
}

// settle lets go of a sender that has nothing under way. Its lock is held.
func (s *sender) settle() {
	if !s.retained || s.current != nil || s.attempt != nil || s.out.Len()+len(s.calls)+len(s.waiters) > 0 {
		return
	}
	s.retained = false
	s.sys.mu.Lock()
	defer s.sys.mu.Unlock()
	delete(s.sys.senders, s)
}

// Path implements [port.Target].
func (t *target) Path() string { return t.path }

// Kind implements [port.Target].
func (t *target) Kind() string { return t.kind }

// System implements [port.Target].
func (t *target) System() port.System { return t.sys }

// Begin implements [port.Target].
func (t *target) Begin(ctx context.Context, method string, answered bool) (*codec.Buffer, uint32, bool, error) {
	if ctx.Err() != nil {
		return nil, 0, false, port.ContextError(ctx)
	}
	s := t.get()
	buf := t.sys.buffer()
	var id uint32
	if t.pooled.Load() {
		id = t.sys.newPoolID()
		buf.B = wire.AppendRequestHead(buf.B, uint64(id), method)
	} else if answered {
		id = s.newID()
		buf.B = wire.AppendRequestHead(buf.B, uint64(id), method)
	} else {
		buf.B = wire.AppendNotifyHead(buf.B, method)
	}
	return buf, id, s.arrays.Load(), nil
}

// Call implements [port.Target].
func (t *target) Call(ctx context.Context, method string, id uint32, buf *codec.Buffer, pin uuid.UUID) (conn.Reply, error) {
	if id >= firstPoolID {
		return t.callPool(ctx, method, id, buf, pin)
	}
	call, err := t.get().request(ctx, method, id, buf, pin, nil)
	if err == errPool {
		return t.callFound(ctx, call)
	}
	if err != nil {
		return conn.Reply{}, err
	}
	inv := waits(ctx, call)
	r, err := call.from.await(ctx, call)
	if inv != nil {
		inv.waited(call)
	} else {
		call.recycle()
	}
	return r, err
}

// Go implements [port.Target].
func (t *target) Go(ctx context.Context, method string, id uint32, buf *codec.Buffer, pin uuid.UUID) (port.Call, error) {
	if id >= firstPoolID {
		return t.goPool(ctx, method, id, buf, pin)
	}
	call, err := t.get().request(ctx, method, id, buf, pin, nil)
	if err == errPool {
		return t.goFound(ctx, call)
	}
	if err != nil {
		return nil, err
	}
	call.inv = invocationOf(ctx)
	return call, nil
}

// Open implements [port.Target].
func (t *target) Open(ctx context.Context, method string, id uint32, buf *codec.Buffer, pin uuid.UUID) (port.Stream, error) {
	if id >= firstPoolID {
		return t.openPool(ctx, method, id, buf, pin)
	}
	call, err := t.get().request(ctx, method, id, buf, pin, newItemQueue())
	if err == errPool {
		return t.openFound(ctx, call)
	}
	if err != nil {
		return nil, err
	}
	return &stream{call: call, inv: waits(ctx, call)}, nil
}

// Cast implements [port.Target].
func (t *target) Cast(ctx context.Context, method string, buf *codec.Buffer, pin uuid.UUID, try bool) error {
	if id := poolIDOf(buf.B); id != 0 {
		return t.castPool(ctx, method, id, buf, pin, try)
	}
	s := t.get()
	msg, err := s.message(ctx, method, buf, nil, pin)
	if err != nil {
		return err
	}
	if err = s.send(ctx, msg, nil, try); err == errPool {
		return t.castFound(ctx, msg, try)
	}
	return err
}

// RemoteError implements [port.Target].
func (t *target) RemoteError(method string, raw []byte) error {
	return decodeRemote(t.path, method, raw)
}

// Incarnation implements [port.Target].
func (t *target) Incarnation(ctx context.Context) (uuid.UUID, error) { return t.get().incarnation(ctx) }

// Watch waits for the ends of the target's incarnations: see [actor.Ref.Monitor].
func (t *target) Watch(ctx context.Context, cursor int) (next int, downs []actor.Down, final bool, err error) {
	a, err := t.sys.watch(ctx, watchOrder{Path: t.path, Cursor: cursor})
	for _, w := range a.Downs {
		downs = append(downs, w.down())
	}
	return a.Cursor, downs, a.Final, err
}

// Kill ends one incarnation of the target: see [actor.Ref.Kill].
func (t *target) Kill(ctx context.Context, pin uuid.UUID) error {
	o := killOrder{Path: t.path}
	if pin != uuid.Nil {
		o.Incarnation = pin.String()
	}
	return t.sys.kill(ctx, o)
}

// request sends a request whose head and arguments are in buf.
func (s *sender) request(ctx context.Context, method string, id uint32, buf *codec.Buffer, pin uuid.UUID, items *itemQueue) (*call, error) {
	if h, _ := fromContext(ctx); h != nil && h.path == s.target.path && !h.constructed.Load() {
		codec.PutBuffer(buf)
		return nil, fmt.Errorf("%s of %s: its own constructor calls it, and it is ready only after that: %w", method, h.path, actor.ErrCallCycle)
	}
	call := newCall(s, id)
	call.method = method
	call.items = items
	msg, err := s.message(ctx, method, buf, call, pin)
	if err != nil {
		return nil, err
	}
	call.msg = msg
	if err := s.send(ctx, msg, call, false); err == errPool {
		return call, err
	} else if err != nil {
		return nil, err
	}
	return call, nil
}

// maxTrace is how many entries a trace context may have: the metadata has its
// own small part of a message's elements.
const maxTrace = 128

// message makes the message of what is in buf, which it takes over: the same
// bytes whichever connection carries it.
func (s *sender) message(ctx context.Context, method string, buf *codec.Buffer, call *call, pin uuid.UUID) (*mailbox.Message, error) {
	defer codec.PutBuffer(buf)
	msg := mailbox.GetMessage()
	msg.Method, msg.Call = method, call != nil
	msg.Segments = buf.TakeSegments(msg.Segments)
	if pin != uuid.Nil {
		msg.Pin = pin.String()
	}
	var meta wire.Meta
	var chain [8]uint64
	var ids [4]uint64
	if call != nil {
		msg.ID = call.id
		if m := call.pooled; m != nil {
			meta.Chain = append(chain[:0], m.Token)
		}
	}
	if call != nil && !(call.pooled != nil && call.pooled.Cast) {
		meta.Deadline = deadlineOf(ctx)
		meta.Chain = appendChain(meta.Chain, ctx)
		if meta.Trace = actor.Trace(ctx); len(meta.Trace) > maxTrace {
			msg.Drop()
			return nil, fmt.Errorf("a trace context of %d entries, limit %d: %w", len(meta.Trace), maxTrace, actor.ErrTooManyElements)
		}
		meta.Stream, meta.Window = call.items != nil, port.StreamWindow
	}
	if len(msg.Segments) > 0 {
		meta.Segments = conn.SegmentIDs(ids[:0], msg.Segments)
	}
	if !s.foreign.Load() && (meta.Deadline != 0 || len(meta.Chain) > 0 || meta.Segments != nil || meta.Trace != nil || meta.Stream) {
		bare := len(buf.B)
		buf.B = wire.AppendMetaTo(buf.B, 0, &meta)
		msg.Meta = len(buf.B) - bare
	}
	if most := (wire.Limits{Bytes: s.sys.opts.MaxMessage}).Message().Bytes; len(buf.B) > most { // the trace is the user's
		msg.Drop()
		return nil, fmt.Errorf("%d bytes with metadata, limit %d: %w", len(buf.B), most, actor.ErrTooLarge)
	}
	if len(buf.B) <= 16<<10 {
		msg.Body = append(msg.Body, buf.B...) // and the buffer serves the next
	} else {
		msg.Body, buf.B = buf.B, nil
	}
	return msg, nil
}
