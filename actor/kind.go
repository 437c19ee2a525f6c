package actor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os/exec"
	"sort"
	"sync"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/mailbox"
)

// Kind is a kind of actor: a name, the type A of its constructor's argument,
// and methods. K tags the kind in the types of its references and methods, so
// that a method of one kind on a reference of another does not compile.
type Kind[K, A any] struct{ core *kindCore }

// Name returns the name of the kind.
func (k *Kind[K, A]) Name() string { return k.core.name }

// NoArgs is the argument of a constructor or method that takes none.
type NoArgs = codec.NoArgs

// Args, embedded in a struct, spreads its exported fields over the argument
// list of the wire: one element each. Peers in other languages expect that.
type Args = codec.Args

// kindCore is the untyped part of a kind.
type kindCore struct {
	name       string
	concurrent int
	sentinels  []error
	requests   func(context.Context, Request) (any, error) // see OnRequest

	mu       sync.Mutex
	methods  map[string]bool // declared by the frontend
	backend  *backend        // nil until defined or implemented
	external func(args any) *exec.Cmd
}

// backend is what runs in the actor's process.
type backend struct {
	construct func(ctx context.Context, args *codec.Source) (any, error)
	handlers  map[string]handler
}

// handler decodes a request, runs the user's function and returns its
// response. One that knows its types does the answer, too, so that the values
// need not be put in interfaces. A stream's items go to emit, which blocks for
// credit and is false when the reader has left.
type handler struct {
	serve  func(inv *invocation, state any)
	call   func(ctx context.Context, state any, args *codec.Source) (any, error)
	stream func(ctx context.Context, state any, args *codec.Source, emit func(item any) bool) error
}

// KindOption changes a kind.
type KindOption func(*kindCore)

// Concurrent lets up to n handlers of one actor run at a time. Messages are
// still begun in order. n is at least 1 and at most 256.
func Concurrent(n int) KindOption {
	if n < 1 || n > mailbox.MaxSlots {
		panic(fmt.Sprintf("actor.Concurrent(%d): want 1 to %d", n, mailbox.MaxSlots))
	}
	return func(k *kindCore) { k.concurrent = n }
}

// Sentinels declares errors that errors.Is shall find on the caller's side
// when a handler returns or wraps them. Both sides know them by their text.
func Sentinels(errs ...error) KindOption {
	return func(k *kindCore) { k.sentinels = append(k.sentinels, errs...) }
}

var registry = struct {
	sync.Mutex
	kinds     map[string]*kindCore
	sentinels []error
}{kinds: make(map[string]*kindCore)}

func register(name string, opts []KindOption) *kindCore {
	k := &kindCore{name: name, concurrent: 1, methods: make(map[string]bool)}
	for _, o := range opts {
		o(k)
	}
	registry.Lock()
	defer registry.Unlock()
	if name == "" {
		panic("actor: a kind needs a name")
	}
	if _, twice := registry.kinds[name]; twice {
		panic(fmt.Sprintf("actor: kind %q is defined twice", name))
	}
	registry.kinds[name] = k
	registry.sentinels = append(registry.sentinels[:len(registry.sentinels):len(registry.sentinels)], k.sentinels...)
	return k
}

// allSentinels are those of every kind of the program, for errors that travel
// outside of a kind's own calls: in the report of an actor's end, say.
func allSentinels() []error {
	registry.Lock()
	defer registry.Unlock()
	return registry.sentinels
}

func kindByName(name string) (*kindCore, error) {
	registry.Lock()
	defer registry.Unlock()
	k, ok := registry.kinds[name]
	if !ok {
		return nil, fmt.Errorf("kind %q is not linked into this program: import the package that implements it", name)
	}
	return k, nil
}

// unbound lists, for each kind that has a backend here, the methods its
// frontend declares and the backend does not serve.
func unbound() error {
	registry.Lock()
	defer registry.Unlock()
	var errs []error
	for name, k := range registry.kinds {
		if k.backend == nil {
			continue
		}
		for m := range k.methods {
			if _, ok := k.backend.handlers[m]; !ok {
				errs = append(errs, fmt.Errorf("kind %q: method %q is declared but has no binding in Implement", name, m))
			}
		}
	}
	sort.Slice(errs, func(i, j int) bool { return errs[i].Error() < errs[j].Error() })
	return errors.Join(errs...)
}

func (k *kindCore) declare(method string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if method == "" || len(method) >= 2 && method[:2] == "$/" {
		panic(fmt.Sprintf("actor: kind %q: bad method name %q", k.name, method))
	}
	if k.methods[method] {
		panic(fmt.Sprintf("actor: kind %q: method %q is declared twice", k.name, method))
	}
	k.methods[method] = true
	wire.Intern(method)
}

// bind is called during initialization, before any actor of the kind runs.
func (k *kindCore) bind(method string, h handler) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, twice := k.backend.handlers[method]; twice {
		panic(fmt.Sprintf("actor: kind %q: method %q is bound twice", k.name, method))
	}
	k.backend.handlers[method] = h
}

func (k *kindCore) implement(b *backend) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.backend != nil || k.external != nil {
		panic(fmt.Sprintf("actor: kind %q is implemented twice", k.name))
	}
	k.backend = b
}

// Define defines a kind whose backend is S, in one package: the short form.
// new runs in the actor's process; the actor is ready when it returns. Its ctx
// ends when the actor is asked to stop while it still starts.
//
// S may have a method Run(ctx) error, its own loop beside the handlers, whose
// return ends the actor, and Stop(ctx) error, called at its end unless it panicked.
func Define[S, A any](name string, new func(context.Context, A) (*S, error), opts ...KindOption) *Kind[S, A] {
	k := Declare[S, A](name, opts...)
	Implement(k, new)
	return k
}

// Declare declares the frontend of a kind: the split form, for packages that
// do not link the backend. K is a type that the frontend's package owns.
func Declare[K, A any](name string, opts ...KindOption) *Kind[K, A] {
	return &Kind[K, A]{core: register(name, opts)}
}

// Binding connects a declared method with the backend's function.
type Binding[K, S any] struct {
	method string
	h      handler
}

// Implement gives a declared kind its backend.
func Implement[K, A, S any](k *Kind[K, A], new func(context.Context, A) (*S, error), bindings ...Binding[K, S]) {
	k.core.implement(&backend{
		construct: func(ctx context.Context, src *codec.Source) (any, error) {
			var args A
			if err := codec.DecodeArgs(src, &args); err != nil {
				return nil, fmt.Errorf("arguments of kind %q: %w", k.core.name, err)
			}
			s, err := new(ctx, args)
			if err == nil && s == nil {
				err = fmt.Errorf("constructor of kind %q returned neither an actor nor an error", k.core.name)
			}
			return s, err
		},
		handlers: make(map[string]handler),
	})
	for _, b := range bindings {
		k.core.bind(b.method, b.h)
	}
}

// External says that another executable runs the kind: command makes it from
// the arguments for each incarnation. It speaks MessagePack-RPC on descriptor
// 3; one that answers "$/hello" with an error is spoken to in plain mode.
func External[K, A any](k *Kind[K, A], command func(A) *exec.Cmd) {
	k.core.mu.Lock()
	defer k.core.mu.Unlock()
	if k.core.backend != nil || k.core.external != nil {
		panic(fmt.Sprintf("actor: kind %q is implemented twice", k.core.name))
	}
	k.core.external = func(args any) *exec.Cmd { return command(args.(A)) }
}

// On binds a method to the backend's function.
func On[K, S, Req, Resp any](m *Method[K, Req, Resp], fn func(*S, context.Context, Req) (Resp, error)) Binding[K, S] {
	return Binding[K, S]{method: m.name, h: handler{
		serve: func(inv *invocation, state any) {
			var req Req
			if err := m.req.DecodeArgs(inv.src, &req); err != nil {
				inv.fail(&decodeError{err})
				return
			}
			resp, err := fn(state.(*S), &inv.ctx, req)
			if err != errPending && inv.take() {
				answer(inv, &m.resp, &resp, err)
			}
		}}}
}

// OnStream binds a stream to the backend's function.
func OnStream[K, S, Req, Item any](m *Stream[K, Req, Item], fn func(*S, context.Context, Req) iter.Seq2[Item, error]) Binding[K, S] {
	return Binding[K, S]{method: m.name, h: handler{
		stream: func(ctx context.Context, state any, src *codec.Source, emit func(any) bool) error {
			var req Req
			if err := m.as.req.DecodeArgs(src, &req); err != nil {
				return &decodeError{err}
			}
			for item, err := range fn(state.(*S), ctx, req) {
				if err != nil {
					return err
				}
				if !emit(item) {
					return context.Cause(ctx)
				}
			}
			return nil
		}}}
}

// Handle declares a method and binds it, in one: the short form.
func Handle[S, A, Req, Resp any](k *Kind[S, A], name string, fn func(*S, context.Context, Req) (Resp, error)) *Method[S, Req, Resp] {
	m := NewMethod[Req, Resp](k, name)
	k.core.bind(name, On(m, fn).h)
	return m
}

// HandleStream declares a stream and binds it, in one. A running stream
// occupies one handler slot.
func HandleStream[S, A, Req, Item any](k *Kind[S, A], name string, fn func(*S, context.Context, Req) iter.Seq2[Item, error]) *Stream[S, Req, Item] {
	m := NewStream[Req, Item](k, name)
	k.core.bind(name, OnStream(m, fn).h)
	return m
}

// decodeError says that the message could not be decoded: the caller's fault,
// not the handler's.
type decodeError struct{ err error }

func (e *decodeError) Error() string { return "bad arguments: " + e.err.Error() }
func (e *decodeError) Unwrap() error { return e.err }

// Blueprint is a kind with its arguments and settings: all that is needed to
// start one incarnation after the other. Supervisors work with it.
type Blueprint struct {
	kind     *kindCore
	settings Settings
	args     any
	encode   func(*codec.Buffer) error
}

// Blueprint returns what a supervisor starts children from. args is encoded at
// each start: what it refers to must stay valid as long as restarts may come.
func (k *Kind[K, A]) Blueprint(args A, opts ...Option) Blueprint {
	bp := Blueprint{kind: k.core, args: args, encode: func(b *codec.Buffer) error {
		return codec.EncodeArgs(b, args, false)
	}}
	bp.settings.apply(opts)
	return bp
}

// Kind returns the name of the kind.
func (b *Blueprint) Kind() string { return b.kind.name }

// Settings returns the settings, to be read or changed before a launch.
func (b *Blueprint) Settings() *Settings { return &b.settings }

// With returns a copy whose settings start from the given defaults.
func (b Blueprint) With(defaults []Option, opts []Option) Blueprint {
	b.settings = Settings{}
	b.settings.apply(defaults)
	b.settings.apply(opts)
	return b
}

// Validate reports every fault that is known without starting.
func (b *Blueprint) Validate() error {
	if b.kind == nil {
		return errors.New("no kind")
	}
	errs := []error{b.settings.Check()}
	b.kind.mu.Lock()
	defer b.kind.mu.Unlock()
	if b.kind.backend == nil && b.kind.external == nil {
		errs = append(errs, fmt.Errorf("kind %q has no backend in this program: import the package that implements it", b.kind.name))
	}
	if b.settings.InProcess && b.kind.external != nil {
		errs = append(errs, fmt.Errorf("kind %q is another executable and cannot run in-process", b.kind.name))
	}
	return errors.Join(errs...)
}
