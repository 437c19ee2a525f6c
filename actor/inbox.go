package actor

import (
	"context"
	"fmt"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/codec"
)

// Inbox receives messages in code that is not an actor. Its reference travels
// in messages; its channel is for a select.
type Inbox[T any] struct {
	ref  InboxRef[T]
	c    chan T
	inst *Instance
	once sync.Once
	stop chan struct{}
}

// InboxRef is where messages to an inbox are sent: a small value, an ordinary
// field of any message.
type InboxRef[T any] struct{ to address }

const (
	inboxKind   = "$inbox"
	inboxMethod = "put"
)

// NewInbox returns an inbox for up to capacity messages that nobody has
// received yet; then its senders wait. Close it when it is no longer needed.
// It panics if the scope's system is closed.
func NewInbox[T any](sc Scope, capacity int) *Inbox[T] {
	sys := sc.System()
	in := &Inbox[T]{c: make(chan T, max(capacity, 0)), stop: make(chan struct{})}
	k := &kindCore{name: inboxKind, concurrent: 1, backend: &backend{
		construct: func(context.Context, *codec.Source) (any, error) { return in, nil },
		handlers: map[string]handler{inboxMethod: {call: func(ctx context.Context, _ any, src *codec.Source) (any, error) {
			var v T
			if err := codec.DecodeArgs(src, &v); err != nil {
				return nil, &decodeError{err}
			}
			src.Disown() // what is received belongs to whoever takes it off the channel
			select {
			case in.c <- v:
				return nil, nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}}},
	}}
	path := sys.uniqueName(sc.Path())
	bp := Blueprint{kind: k, settings: Settings{InProcess: true, Capacity: max(capacity, 1)}, encode: func(b *codec.Buffer) error {
		return codec.EncodeArgs(b, NoArgs{}, false)
	}}
	in.inst = sys.Launch(path, bp)
	<-in.inst.Ready()
	if err := in.inst.StartErr(); err != nil {
		panic(fmt.Sprintf("actor.NewInbox: %v", err))
	}
	in.ref = InboxRef[T]{address{sys: sys, path: path, kind: inboxKind}}
	return in
}

// Ref returns the reference to send to.
func (in *Inbox[T]) Ref() InboxRef[T] { return in.ref }

// C returns the channel of received messages. It is never closed.
func (in *Inbox[T]) C() <-chan T { return in.c }

// Close ends the inbox: further messages fail with ErrNotRunning. It is
// idempotent.
func (in *Inbox[T]) Close() {
	in.once.Do(func() {
		in.inst.Stop(Forever)
		<-in.inst.Done()
		in.ref.to.sys.SetState(in.ref.to.path, PathGone)
	})
}

var inboxMethods kindCore

// Send sends v, waiting for room until ctx ends.
func (r InboxRef[T]) Send(ctx context.Context, v T) error {
	m := Method[T, T, NoArgs]{kind: &inboxMethods, name: inboxMethod}
	return m.Cast(ctx, Ref[T](r), v)
}

// TrySend sends v if there is room now, else it returns [ErrMailboxFull].
func (r InboxRef[T]) TrySend(v T) error {
	m := Method[T, T, NoArgs]{kind: &inboxMethods, name: inboxMethod}
	return m.TryCast(Ref[T](r), v)
}

// Path returns the path of the inbox.
func (r InboxRef[T]) Path() string { return r.to.path }

// EncodeMsgpack makes the reference a field of any message.
func (r InboxRef[T]) EncodeMsgpack(enc *msgpack.Encoder) error { return r.to.encode(enc) }

// DecodeMsgpack binds the reference to the system that the message came by.
func (r *InboxRef[T]) DecodeMsgpack(dec *msgpack.Decoder) error { return r.to.decode(dec) }
