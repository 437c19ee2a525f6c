package port

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"sort"
	"strings"
	"sync"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/wire"
)

// Kind is the untyped part of a kind of actors: what its frontend declares, and
// what its backend serves.
type Kind struct {
	Name       string
	Concurrent int     // handlers that may run at a time
	Sentinels  []error // errors that both sides know by the kind's name and their text
	// Requests serves what an external actor itself requests; nil refuses.
	Requests func(ctx context.Context, path, method string, params []any, call bool) (any, error)

	Backend *Backend // nil until defined or implemented
	// External makes the command of another executable that runs the kind; likewise.
	External func(args *codec.Source) (*exec.Cmd, error)

	place string // where it is defined: file and line
	late  string // where it was defined or implemented after actor.Main, if it was

	mu      sync.Mutex
	methods map[string]bool // declared by the frontend

	repeatable sync.Map // of methods that may be begun more than once for one message
}

// Backend is what runs in the actor's process.
type Backend struct {
	Construct func(ctx context.Context, args *codec.Source) (any, error)
	Handlers  map[string]Handler
}

// Handler decodes the request in src, runs the user's function on the actor's
// state, and gives its result or its items to inv.
type Handler func(ctx context.Context, inv Invocation, state any, src *codec.Source)

// Role is a kind with the arguments of its constructor.
type Role struct {
	Kind   *Kind
	Args   any                       // for errors that name a field
	Encode func(*codec.Buffer) error // the argument list
}

var registry = struct {
	sync.Mutex
	kinds     map[string]*Kind
	sentinels []Sentinel
	complete  bool // actor.Main was called: what comes later, an actor's process does not know
}{kinds: make(map[string]*Kind)}

// Register makes a kind known by its name.
func Register(k *Kind) {
	if k.Name == "" {
		panic("actor: a kind needs a name")
	}
	registry.Lock()
	defer registry.Unlock()
	k.place = callerPlace()
	if other, twice := registry.kinds[k.Name]; twice {
		panic(fmt.Sprintf("actor: kind %q is defined twice: at %s and at %s", k.Name, other.place, k.place))
	}
	if registry.complete {
		k.late = k.place
	}
	all, err := addSentinels(registry.sentinels, k)
	if err != nil {
		panic("actor: " + err.Error())
	}
	registry.kinds[k.Name], registry.sentinels = k, all
}

// KindByName returns a kind that is linked into this program.
func KindByName(name string) (*Kind, error) {
	registry.Lock()
	defer registry.Unlock()
	k, ok := registry.kinds[name]
	if !ok {
		return nil, fmt.Errorf("kind %q is not linked into this program: import the package that implements it", name)
	}
	return k, nil
}

// Complete says that all kinds which the processes of this program know are defined.
func Complete() {
	registry.Lock()
	defer registry.Unlock()
	registry.complete = true
}

// Late returns an error if an actor's process would not know the kind.
func (k *Kind) Late() error {
	registry.Lock()
	defer registry.Unlock()
	if k.late == "" {
		return nil
	}
	return fmt.Errorf("kind %q is defined at %s, which an actor's process does not run: define it in a package variable", k.Name, k.late)
}

// callerPlace is the file and line that called package actor or supervisor.
func callerPlace() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		ours := strings.HasPrefix(f.Function, module+"actor.") || strings.HasPrefix(f.Function, module+"supervisor.") || strings.HasPrefix(f.Function, module+"internal/port.")
		if !ours || strings.HasSuffix(f.File, "_test.go") {
			return fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}

const module = "github.com/understudy-go/understudy/"

// Unbound returns an error for each method that a frontend declares and a
// backend that is linked does not serve.
func Unbound() error {
	registry.Lock()
	defer registry.Unlock()
	var errs []error
	for name, k := range registry.kinds {
		if k.Backend == nil {
			continue
		}
		for m := range k.methods {
			if _, ok := k.Backend.Handlers[m]; !ok {
				errs = append(errs, fmt.Errorf("kind %q: method %q is declared but has no binding in Implement", name, m))
			}
		}
	}
	sort.Slice(errs, func(i, j int) bool { return errs[i].Error() < errs[j].Error() })
	return errors.Join(errs...)
}

// Declare notes a method of the frontend.
func (k *Kind) Declare(method string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if method == "" || len(method) >= 2 && method[:2] == "$/" {
		panic(fmt.Sprintf("actor: kind %q: bad method name %q", k.Name, method))
	}
	if k.methods[method] {
		panic(fmt.Sprintf("actor: kind %q: method %q is declared twice", k.Name, method))
	}
	if k.methods == nil {
		k.methods = make(map[string]bool)
	}
	k.methods[method] = true
	wire.Intern(method)
}

// SetRepeatable says that a method may be begun more than once for one message.
func (k *Kind) SetRepeatable(method string) { k.repeatable.Store(method, true) }

// Repeatable reports whether SetRepeatable said so.
func (k *Kind) Repeatable(method string) bool {
	_, yes := k.repeatable.Load(method)
	return yes
}

// Bind gives a method its handler. It is called during initialization, before
// any actor of the kind runs.
func (k *Kind) Bind(method string, h Handler) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, twice := k.Backend.Handlers[method]; twice {
		panic(fmt.Sprintf("actor: kind %q: method %q is bound twice", k.Name, method))
	}
	k.Backend.Handlers[method] = h
}

// Implement gives the kind its backend.
func (k *Kind) Implement(b *Backend) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.once()
	k.Backend = b
	k.lateIfComplete()
}

// ImplementExternal says that another executable runs the kind.
func (k *Kind) ImplementExternal(command func(args *codec.Source) (*exec.Cmd, error)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.once()
	k.External = command
}

// lateIfComplete notes an implementation that comes late.
func (k *Kind) lateIfComplete() {
	registry.Lock()
	defer registry.Unlock()
	if registry.complete && k.late == "" {
		k.late = callerPlace()
	}
}

func (k *Kind) once() {
	if k.Backend != nil || k.External != nil {
		panic(fmt.Sprintf("actor: kind %q is implemented twice", k.Name))
	}
}
