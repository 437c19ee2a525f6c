package supervisor

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/runtime"
)

// Tree is a running supervisor: the root of a system, a supervisor that an
// actor started, or a nested one. It is an [actor.Scope]. All its methods may
// be called from everywhere, at any time, side by side.
//
// [Tree.Supervisor] and [TreeOf] return supervisors of other processes, too.
// Their methods ask that process, and do the same; errors have lost their types
// then, and wrap the same values.
type Tree struct {
	path        string
	incarnation actor.Incarnation
	plan        *plan
	system      *runtime.System
	away        *away // not nil: it runs in another process, and has only what is above, done and err
	host        host
	parent      *Tree  // nil unless nested
	actor       string // path of the actor that it belongs to; empty for the root and nested ones
	own         bool   // it has an actor of its own, whose supervisor decides whether it comes back
	begun       time.Time
	inbox       *inbox
	state       atomic.Pointer[state] // the newest; what it points to never changes
	detach      func()                // from the actor it hangs on
	close       func() error          // of the root: closes the system

	ready    chan struct{} // closed when the children of the spec are up, or never will be
	startErr error         // after ready
	done     chan struct{} // closed when nothing is left
	err      error         // after done

	mu      sync.Mutex
	live    map[int]instance       // by incarnation, until reaped
	timers  map[string]*time.Timer // retries, by child id
	limits  []*time.Timer          // of a nested supervisor: start and stop timeouts
	calls   map[callID]chan error  // one slot each
	last    callID
	offers  map[callID]*added // children of StartChild calls that are not answered
	killed  bool
	crashed bool // by KillChild of the parent
	ended   end  // after done
}

// host is what a supervisor tells the actor system.
type host interface {
	SetState(path string, st runtime.PathState)
	SetCause(path string, err error)
	Emit(actor.Event)
}

var _ actor.Scope = (*Tree)(nil)

func newTree(path string, p *plan, sys *runtime.System, h host) *Tree {
	t := &Tree{
		path:        path,
		incarnation: uuid.Must(uuid.NewV7()),
		plan:        p,
		system:      sys,
		host:        h,
		begun:       time.Now(),
		inbox:       newInbox(),
		detach:      func() {},
		ready:       make(chan struct{}),
		done:        make(chan struct{}),
		live:        make(map[int]instance),
		timers:      make(map[string]*time.Timer),
		calls:       make(map[callID]chan error),
		offers:      make(map[callID]*added),
	}
	s := newState(path, p.rules, p.specs)
	t.state.Store(&s)
	return t
}

// start sets the supervisor going.
func (t *Tree) start() {
	t.host.SetCause(t.path, nil)
	t.inbox.post(begin{})
	go t.run(*t.state.Load())
}

// System returns the system that the tree belongs to.
func (t *Tree) System() port.System { return t.system }

// Path returns the path of the supervisor: "/" for the root of a system.
func (t *Tree) Path() string { return t.path }

// Events yields what happens in the whole system from now on, until ctx ends
// or the system is closed.
func (t *Tree) Events(ctx context.Context) iter.Seq[actor.Event] { return t.system.Events(ctx) }

// Done is closed when the supervisor has ended: all its children are reaped,
// and so is, for a root, all else that the system had.
func (t *Tree) Done() <-chan struct{} {
	if t.away != nil {
		return t.doneAway()
	}
	return t.done
}

// Err returns why the supervisor ended: a [*GaveUpError], or nil if it was
// stopped, shut down by itself because of a significant child, or has not
// ended.
func (t *Tree) Err() error {
	select {
	case <-t.Done():
		return t.err
	default:
		return nil
	}
}

// Wait waits for the end and returns [Tree.Err], or the cause of ctx's end.
func (t *Tree) Wait(ctx context.Context) error {
	select {
	case <-t.Done():
		return t.err
	case <-ctx.Done():
		return fmt.Errorf("wait for supervisor %s: %w", t.path, context.Cause(ctx))
	}
}

// Stop stops the children in reverse order, each within its stop timeout, and
// returns when all are reaped. When ctx ends before, everything that is left
// is killed; Stop still waits for the end, and returns an error that wraps
// ctx's. It may be called at any time, from anywhere, more than once.
//
// Called by an actor of the tree itself, with the ctx of its handler, it
// returns at once: the caller is among those to be stopped.
//
// The parent of a nested supervisor takes the end for what it is, a shutdown:
// it restarts a permanent one. [Tree.StopChild] of the parent stops it for good.
func (t *Tree) Stop(ctx context.Context) error {
	done := t.Done()
	if t.away != nil {
		t.stopAway(doStop)
	} else {
		t.inbox.post(stopAsked{})
	}
	if t.close != nil { // the root
		t.system.Stopping() // behind the post: what learns of it ends after it
	}
	if t.contains(ctx) {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-done:
		return nil
	default:
	}
	t.kill()
	<-done
	return fmt.Errorf("stop supervisor %s: what was left has been killed: %w", t.path, context.Cause(ctx))
}

// kill has everything killed that has not ended.
func (t *Tree) kill() {
	if t.away != nil {
		t.stopAway(doKill)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inbox.post(killAsked{}) {
		t.killed = true
	}
}

// contains reports whether ctx belongs to an actor of this tree.
func (t *Tree) contains(ctx context.Context) bool {
	s, ok := actor.ScopeOf(ctx)
	if !ok || s.System() != t.system {
		return false
	}
	return strings.HasPrefix(s.Path(), strings.TrimSuffix(t.path, "/")+"/")
}
