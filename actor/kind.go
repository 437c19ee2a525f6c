package actor

import (
	"context"
	"fmt"
	"iter"
	"os/exec"
	"reflect"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/wire"
)

// Kind is a kind of actor: a name, the type A of its constructor's argument,
// and methods. K tags the kind in the types of its references and methods, so
// that a method of one kind on a reference of another does not compile.
type Kind[K, A any] struct{ kind *port.Kind }

// Name returns the name of the kind.
func (k *Kind[K, A]) Name() string { return k.kind.Name }

// None is no argument, no request and no response: on the wire an empty argument
// list, or nil. Any struct type without fields is.
type None struct{}

// Args, embedded in a struct, spreads its exported fields over the argument
// list of the wire: one element each. Peers in other languages expect that. As
// the type of a field named _ it leaves the name Args to an argument.
type Args struct{}

func init() { codec.RegisterArgs(reflect.TypeFor[Args]()) }

// KindOptions are what a kind may be told besides its name. The zero value is
// the default.
type KindOptions struct {
	// Concurrent is how many handlers of one actor may run at a time, at most
	// 256. Messages are still begun in order. 0 is 1.
	Concurrent int
	// Errors are found by errors.Is on the caller's side when a handler, the
	// constructor or Run returns or wraps them. Both sides know them by the kind's
	// name and their text: two of one kind with the same text are refused.
	Errors []error
	// OnRequest serves what an [External] actor itself requests, one request
	// after the other, with a context that ends with the actor. The result or the
	// error goes back to it. Without it requests are answered with an error, and
	// notifications are dropped.
	OnRequest func(ctx context.Context, r Request) (any, error)
}

// register makes the kind known. opts has at most one element.
func register(name string, opts []KindOptions) *port.Kind {
	var o KindOptions
	switch len(opts) {
	case 0:
	case 1:
		o = opts[0]
	default:
		panic(fmt.Sprintf("actor: kind %q: %d KindOptions, want one", name, len(opts)))
	}
	if o.Concurrent < 0 || o.Concurrent > wire.MaxSlots {
		panic(fmt.Sprintf("actor: kind %q: Concurrent is %d, want 1 to %d", name, o.Concurrent, wire.MaxSlots))
	}
	k := &port.Kind{Name: name, Concurrent: max(o.Concurrent, 1), Sentinels: o.Errors}
	if serve := o.OnRequest; serve != nil {
		k.Requests = func(ctx context.Context, path, method string, params []any, call bool) (any, error) {
			return serve(ctx, Request{Path: path, Method: method, Params: params, Call: call})
		}
	}
	port.Register(k)
	return k
}

// Define defines a kind whose backend is S, in one package: the short form.
// new runs in the actor's process; the actor is ready when it returns. Its ctx
// ends when the actor is asked to stop while it still starts.
//
// S may have a method Run(ctx) error, its own loop beside the handlers, whose
// return ends the actor, and Stop(ctx) error, called at its end unless it
// panicked. At most one KindOptions may be given.
func Define[S, A any](name string, new func(context.Context, A) (*S, error), opts ...KindOptions) *Kind[S, A] {
	k := Declare[S, A](name, opts...)
	Implement(k, new)
	return k
}

// Declare declares the frontend of a kind: the split form, for packages that
// do not link the backend. K is a type that the frontend's package owns. At most
// one KindOptions may be given. Declare panics if values of type A cannot travel.
func Declare[K, A any](name string, opts ...KindOptions) *Kind[K, A] {
	mustTravel[A]("kind %q: the constructor's argument", name)
	return &Kind[K, A]{register(name, opts)}
}

// Binding connects a declared method with the backend's function.
type Binding[K, S any] struct {
	method string
	h      port.Handler
}

// Implement gives a declared kind its backend.
func Implement[K, A, S any](k *Kind[K, A], new func(context.Context, A) (*S, error), bindings ...Binding[K, S]) {
	k.kind.Implement(&port.Backend{
		Construct: func(ctx context.Context, src *codec.Source) (any, error) {
			var args A
			if err := codec.DecodeArgs(src, &args); err != nil {
				return nil, fmt.Errorf("arguments of kind %q: %w", k.kind.Name, err)
			}
			s, err := new(ctx, args)
			if err == nil && s == nil {
				err = fmt.Errorf("constructor of kind %q returned neither an actor nor an error", k.kind.Name)
			}
			return s, err
		},
		Handlers: make(map[string]port.Handler),
	})
	for _, b := range bindings {
		k.kind.Bind(b.method, b.h)
	}
}

// External says that another executable runs the kind: command makes it from
// the arguments for each incarnation. It speaks MessagePack-RPC on descriptor
// 3; one that answers "$/hello" with an error is spoken to in plain mode.
//
// command gets its own copy of the arguments each time, decoded from what was
// encoded when the child was checked. Arrays among them are released when it
// returns, unless it keeps them.
func External[K, A any](k *Kind[K, A], command func(A) *exec.Cmd) {
	k.kind.ImplementExternal(func(src *codec.Source) (*exec.Cmd, error) {
		var args A
		defer src.AutoRelease()
		if err := codec.DecodeArgs(src, &args); err != nil {
			return nil, fmt.Errorf("arguments of kind %q: %w", k.kind.Name, err)
		}
		return command(args), nil
	})
}

// DefineMethod declares a method and binds it, in one: the short form.
//
// If the handler calls methods of its own kind, Go reports an initialization
// cycle between the method's variable and fn. Declare the kind and its methods
// then ([Declare], [DeclareMethod]), and call [Implement] in an init function:
// see the example of a handler that calls its own kind.
func DefineMethod[S, A, Req, Resp any](k *Kind[S, A], name string, fn func(*S, context.Context, Req) (Resp, error)) *Method[S, Req, Resp] {
	m := DeclareMethod[Req, Resp](k, name)
	k.kind.Bind(name, ImplementMethod(m, fn).h)
	return m
}

// DefineStream declares a stream and binds it, in one. A running stream
// occupies one handler slot.
func DefineStream[S, A, Req, Item any](k *Kind[S, A], name string, fn func(*S, context.Context, Req) iter.Seq2[Item, error]) *Stream[S, Req, Item] {
	m := DeclareStream[Req, Item](k, name)
	k.kind.Bind(name, ImplementStream(m, fn).h)
	return m
}

// ImplementMethod binds a declared method to the backend's function.
func ImplementMethod[K, S, Req, Resp any](m *Method[K, Req, Resp], fn func(*S, context.Context, Req) (Resp, error)) Binding[K, S] {
	return Binding[K, S]{method: m.name, h: func(ctx context.Context, inv port.Invocation, state any, src *codec.Source) {
		var req Req
		if err := m.req.DecodeArgs(src, &req); err != nil {
			inv.Fail(&decodeError{err})
			return
		}
		resp, err := fn(state.(*S), ctx, req)
		if err != port.ErrPending && answer(inv, &m.resp, &resp, err) == ErrDuplicate {
			discard(&m.resp, &resp)
		}
	}}
}

// ImplementStream binds a declared stream to the backend's function.
func ImplementStream[K, S, Req, Item any](m *Stream[K, Req, Item], fn func(*S, context.Context, Req) iter.Seq2[Item, error]) Binding[K, S] {
	return Binding[K, S]{method: m.name, h: func(ctx context.Context, inv port.Invocation, state any, src *codec.Source) {
		var req Req
		if err := m.as.req.DecodeArgs(src, &req); err != nil {
			inv.Fail(&decodeError{err})
			return
		}
		for item, err := range fn(state.(*S), ctx, req) {
			if err != nil {
				discard(&m.as.resp, &item)
			} else if !emit(inv, &m.as.resp, &item) {
				err = context.Cause(ctx)
			}
			if err != nil {
				inv.Fail(err)
				return
			}
		}
		answer(inv, &nothing, new(any), nil)
	}}
}

// nothing is the response of what has nothing to say: nil.
var nothing codec.Codec[any]

// answer gives the reply to a request. What a result carries moves to the caller,
// or is discarded if there is none or it gets an error. If there was a reply
// before, answer does nothing and returns [ErrDuplicate]; any other error is why v
// could not be encoded, and the caller gets it, too.
func answer[T any](inv port.Invocation, coding *codec.Codec[T], v *T, err error) error {
	if err != nil {
		if !inv.Fail(err) {
			return ErrDuplicate
		}
		discard(coding, v)
		return nil
	}
	buf, arrays, ok := inv.Reply()
	if !ok {
		return ErrDuplicate
	}
	if buf != nil {
		err = coding.Encode(buf, v, arrays)
	}
	if buf == nil || err != nil {
		discard(coding, v)
	}
	return inv.Answer(buf, err)
}

// emit sends one item of a stream, or discards it.
func emit[T any](inv port.Invocation, coding *codec.Codec[T], v *T) bool {
	buf, arrays, ok := inv.Item()
	if !ok {
		discard(coding, v)
		return false
	}
	err := coding.Encode(buf, v, arrays)
	if err != nil {
		discard(coding, v)
	}
	return inv.Emit(buf, err)
}

// decodeError says that the message could not be decoded: the caller's fault,
// not the handler's.
type decodeError struct{ err error }

func (e *decodeError) Error() string { return "bad arguments: " + e.err.Error() }
func (e *decodeError) Unwrap() error { return e.err }
