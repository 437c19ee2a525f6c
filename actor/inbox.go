package actor

import (
	"context"
	"fmt"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/port"
)

// Inbox receives messages in code that is not an actor. Its reference travels
// in messages; its channel is for a select.
type Inbox[T any] struct {
	ref   InboxRef[T]
	c     chan T
	inbox port.Inbox
	once  sync.Once
}

// InboxRef is where messages to an inbox are sent: a small value, an ordinary
// field of any message.
type InboxRef[T any] struct{ to address }

const (
	inboxKind   = "$inbox"
	inboxMethod = "put"
)

// NewInbox returns an inbox for up to capacity messages that are not
// received yet; then its senders wait. Close it when it is no longer needed.
// It panics if the scope's system is closed, or if values of type T cannot travel.
func NewInbox[T any](scope Scope, capacity int) *Inbox[T] {
	mustTravel[T]("an inbox's message")
	in := &Inbox[T]{c: make(chan T, max(capacity, 0))}
	k := &port.Kind{Name: inboxKind, Concurrent: 1}
	k.Implement(&port.Backend{
		Construct: func(context.Context, *codec.Source) (any, error) { return in, nil },
		Handlers:  map[string]port.Handler{inboxMethod: in.put},
	})
	var err error
	if in.inbox, err = scope.System().OpenInbox(scope.Path(), max(capacity, 1), k); err != nil {
		panic(fmt.Sprintf("actor.NewInbox: %v", err))
	}
	in.ref = InboxRef[T]{address{to: scope.System().Target(in.inbox.Path(), inboxKind)}}
	return in
}

// put is the inbox's one method.
func (in *Inbox[T]) put(ctx context.Context, inv port.Invocation, _ any, src *codec.Source) {
	var v T
	if err := codec.DecodeArgs(src, &v); err != nil {
		inv.Fail(&decodeError{err})
		return
	}
	src.Disown() // what is received belongs to the receiver at the channel
	select {
	case in.c <- v:
		answer(inv, &nothing, new(any), nil)
	case <-ctx.Done():
		inv.Fail(context.Cause(ctx))
	}
}

// Ref returns the reference to send to.
func (in *Inbox[T]) Ref() InboxRef[T] { return in.ref }

// C returns the channel of received messages. It is never closed.
func (in *Inbox[T]) C() <-chan T { return in.c }

// Close ends the inbox: further messages fail with ErrNotRunning. It is
// idempotent.
func (in *Inbox[T]) Close() { in.once.Do(in.inbox.Close) }

// Send sends v, waiting for room until ctx ends.
func (r InboxRef[T]) Send(ctx context.Context, v T) error {
	m := Method[T, T, None]{name: inboxMethod}
	return m.Cast(ctx, Ref[T](r), v)
}

// TrySend sends v if there is room now, else it returns [ErrMailboxFull].
func (r InboxRef[T]) TrySend(v T) error {
	m := Method[T, T, None]{name: inboxMethod}
	return m.TryCast(Ref[T](r), v)
}

// Path returns the path of the inbox.
func (r InboxRef[T]) Path() string { return r.to.target().Path() }

// EncodeMsgpack makes the reference a field of any message.
func (r InboxRef[T]) EncodeMsgpack(enc *msgpack.Encoder) error { return r.to.encode(enc) }

// DecodeMsgpack binds the reference to the system that the message came by.
func (r *InboxRef[T]) DecodeMsgpack(dec *msgpack.Decoder) error { return r.to.decode(dec) }
