// Package isolate runs one function in worker processes: a crash, a leak, a
// hang or a kill of a worker costs the call that it had in hand, and no other.
//
//	var decode = isolate.Func("decode", decodeImage, isolate.Options{Workers: 4, Memory: 256 << 20})
//
//	func main() {
//		isolate.Main() // first line: in a worker's process it runs the function and never returns
//		img, err := decode.Call(ctx, raw)
//		...
//	}
//
// A [Function] belongs in a package variable, so that the worker's process, which
// is this program executed again, knows it. It starts its workers at the first
// call and keeps them until [Close], or until the program ends. It is a pool of
// package supervisor with one kind of actor, and has that pool's errors: an
// [*actor.ExitError] says how the worker ended that had the call in hand, with
// its last lines on standard error.
//
// # In tests
//
// In a test binary no TestMain is needed, also for libraries that use isolate
// inside: there a worker runs while its package is initialized, in the
// declaration of its function. So it must not count on what is initialized
// later: init functions of its own package, package variables that it reaches
// through interfaces only, and packages that it does not import. A call from C
// into Go on a thread that C made waits for the end of all initialization, for
// ever. Coverage of workers is lost.
package isolate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/supervisor"
)

// Options of a Function. The zero value is useful.
type Options struct {
	// Workers is how many processes there are at most. 0: one for each CPU. They
	// start when calls wait, and all but one end after a minute without work.
	Workers int
	// Timeout bounds each call, besides its ctx. A worker whose function goes on
	// after that is killed, after Grace. 0: none.
	Timeout time.Duration
	// Grace is how long the function may go on after its ctx has ended, before its
	// worker is killed. 0: one second; negative: it is not killed.
	Grace time.Duration
	// Uses is how many calls a worker serves before a fresh one takes its place. 0: no
	// limit; 1: a fresh process for each call.
	Uses int
	// Growth is how many bytes of resident memory a worker may gain before a fresh
	// one takes its place. 0: no limit.
	Growth int64
	// Retry says that the function is safe to repeat: a call whose worker died is
	// tried again on another one.
	Retry bool
	// Process is what a worker's process is given: limits of memory, files and CPUs,
	// environment and directory.
	actor.Process
}

// Function is a function that runs in worker processes.
type Function[Req, Resp any] struct {
	name string
	opts Options
	kind *actor.Kind[worker[Req, Resp], actor.None]
	call *actor.Method[worker[Req, Resp], Req, Resp]
}

// worker is the actor that runs the function.
type worker[Req, Resp any] struct{}

// Func declares a function that runs in worker processes. It belongs in a
// package variable, and panics elsewhere, as a worker's process would not find
// it. The name is unique in the program. Req and Resp travel as messages of actors do;
// the function gets a ctx that ends with the caller's.
func Func[Req, Resp any](name string, f func(context.Context, Req) (Resp, error), opts ...Options) *Function[Req, Resp] {
	if f == nil {
		panic(fmt.Sprintf("isolate.Func(%q): no function", name))
	}
	if len(opts) > 1 {
		panic(fmt.Sprintf("isolate.Func(%q): more than one Options", name))
	}
	if at, ok := inPackageVariable(); !ok {
		panic(fmt.Sprintf("isolate.Func(%q) is called by %s: declare it in a package variable, so that the worker's process knows it", name, at))
	}
	fn := &Function[Req, Resp]{name: name}
	if len(opts) == 1 {
		fn.opts = opts[0]
	}
	kindName := "isolate " + name
	fn.kind = actor.Define(kindName, func(context.Context, actor.None) (*worker[Req, Resp], error) {
		return &worker[Req, Resp]{}, nil
	})
	fn.call = actor.DefineMethod(fn.kind, "run", func(_ *worker[Req, Resp], ctx context.Context, req Req) (Resp, error) {
		return f(ctx, req)
	})
	if isTest() {
		port.Installed().RunInInitializer(kindName) // does not return in a worker of this function
	}
	return fn
}

// Main is [actor.Main]: the first line of main in a program that uses this
// package. In a worker's process it does not return.
func Main() { actor.Main() }

// Call runs the function in a worker process and returns its result. It waits
// for a free worker until ctx ends. The function's error is an
// [*actor.RemoteError]; a worker that ended with the call in hand is an
// [*actor.ExitError].
func (f *Function[Req, Resp]) Call(ctx context.Context, req Req) (Resp, error) {
	var none Resp
	tree, err := f.start(ctx)
	if err != nil {
		return none, fmt.Errorf("isolate %s: %w", f.name, err)
	}
	if f.opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.opts.Timeout)
		defer cancel()
	}
	return f.call.Call(ctx, f.kind.Ref(tree, f.name), req)
}

// Tree returns the supervisor of all workers of this package, for
// observation: its children are the pools. It is nil before the first call.
func Tree() *supervisor.Tree {
	all.mu.Lock()
	defer all.mu.Unlock()
	return all.tree
}

// Close stops all workers of this package, each after the call that it has in
// hand, however long that takes, and returns when they are gone. The function's
// ctx ends with the cause [actor.ErrStopping], so that one that can may return
// early. Calls that wait for a worker fail with [actor.ErrStopped]. Timeout and
// Grace of a call hold as before. When ctx ends first, what is left is killed: those calls get an
// [*actor.ExitError], and Close an error that wraps ctx's. A later call starts
// the workers again.
func Close(ctx context.Context) error {
	all.mu.Lock()
	tree := all.tree
	all.tree, all.started = nil, nil
	all.mu.Unlock()
	if tree == nil {
		return nil
	}
	return tree.Stop(ctx)
}

// all is the one tree of the program's functions.
var all struct {
	mu      sync.Mutex
	tree    *supervisor.Tree
	started map[string]*start
}

// start is the first use of a function, which the others await.
type start struct {
	done chan struct{}
	err  error
}

// start starts the function's pool, once, and returns the tree that it is in.
func (f *Function[Req, Resp]) start(ctx context.Context) (*supervisor.Tree, error) {
	all.mu.Lock()
	if all.tree == nil {
		tree, err := supervisor.Start(context.WithoutCancel(ctx), supervisor.Spec{Name: "isolate", Intensity: supervisor.Unlimited})
		if err != nil {
			all.mu.Unlock()
			return nil, err
		}
		all.tree, all.started = tree, make(map[string]*start)
	}
	tree, s := all.tree, all.started[f.name]
	if s == nil {
		s = &start{done: make(chan struct{})}
		all.started[f.name] = s
		go f.launch(tree, s)
	}
	all.mu.Unlock()
	select {
	case <-s.done:
		return tree, s.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// launch adds the pool to the tree. After a failure the next call tries again.
func (f *Function[Req, Resp]) launch(tree *supervisor.Tree, s *start) {
	defer close(s.done)
	s.err = tree.StartChild(context.Background(), f.child())
	if s.err == nil {
		return
	}
	if errors.Is(s.err, actor.ErrNoMain) {
		s.err = fmt.Errorf("%w: make isolate.Main() (or actor.Main()) the first line of main", s.err)
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.started[f.name] == s {
		delete(all.started, f.name)
	}
}

// child is the pool that the options describe.
func (f *Function[Req, Resp]) child() supervisor.Child {
	o := f.opts
	pool := supervisor.Pool{
		Run:       f.kind.With(actor.None{}),
		Min:       1,
		Max:       o.Workers,
		KillGrace: o.Grace,
		Recycle:   supervisor.Recycle{Uses: o.Uses, Memory: o.Growth},
		Retry:     supervisor.Retry{All: o.Retry},
		Intensity: supervisor.Unlimited,
	}
	if o.Grace < 0 {
		pool.KillGrace = supervisor.Forever
	}
	if !o.Retry {
		pool.Retry.Attempts = 1
	}
	return supervisor.Child{Name: f.name, Run: pool, Process: o.Process, StopTimeout: supervisor.Forever} // Close has a ctx
}
