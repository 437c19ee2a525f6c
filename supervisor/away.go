package supervisor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/runtime"
)

// A Tree whose supervisor runs in another process asks that process: its methods
// are here. What an admin call is to that process, it carries out as its own.

// away is what a Tree has instead of a runner.
type away struct {
	inst  *runtime.Instance // of the actor that is the supervisor, if it was launched here
	watch sync.Once         // awaits the end
}

// adminOrder is one call of a supervisor in another process.
type adminOrder struct {
	Do          string     `msgpack:"do"`
	Incarnation string     `msgpack:"incarnation,omitempty"` // of the supervisor; "": the present one
	Name        string     `msgpack:"name,omitempty"`        // of a child
	Child       *wireChild `msgpack:"child,omitempty"`
}

// What an adminOrder asks for, besides the verbs of calls.
const (
	doFind = "find" // the supervisor that has the child Name, if there is one
	doList = "list"
	doStop = "stop" // it returns at once
	doKill = "kill" // likewise
	doWait = "wait" // it returns when the supervisor has ended
)

type adminAnswer struct {
	Incarnation string     `msgpack:"incarnation"`
	Nodes       []wireNode `msgpack:"nodes"`
}

func init() {
	runtime.RegisterAdministrator(administer)
	runtime.RegisterError("supervisor.ErrAlreadyStarted", ErrAlreadyStarted)
	runtime.RegisterError("supervisor.ErrAlreadyPresent", ErrAlreadyPresent)
	runtime.RegisterError("supervisor.ErrRunning", ErrRunning)
	runtime.RegisterError("supervisor.ErrRestarting", ErrRestarting)
	runtime.RegisterError("supervisor.ErrBadSpec", ErrBadSpec)
}

// askTime bounds a question to another process that has no ctx of its own.
const askTime = time.Second

// treeAway returns the supervisor at a path that another process runs; child is
// one that it has, or "".
func treeAway(ctx context.Context, sys *runtime.System, at, child string) (*Tree, error) {
	t := &Tree{path: at, system: sys, away: new(away), done: make(chan struct{})}
	a, err := t.order(ctx, adminOrder{Do: doFind, Name: child})
	if err != nil {
		return nil, fmt.Errorf("supervisor %s: %w", at, err)
	}
	t.incarnation, err = uuid.Parse(a.Incarnation)
	return t, err
}

func (t *Tree) order(ctx context.Context, o adminOrder) (a adminAnswer, err error) {
	if t.incarnation != uuid.Nil {
		o.Incarnation = t.incarnation.String()
	}
	raw, err := t.system.Administer(ctx, t.path, codec.EncodeControl(o))
	if err == nil {
		err = codec.DecodeResult(raw, &a)
	}
	return a, err
}

// doAway is [Tree.do].
func (t *Tree) doAway(ctx context.Context, v verb, name string, c *wireChild) error {
	_, err := t.order(ctx, adminOrder{Do: v.String(), Name: name, Child: c})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		prefix := fmt.Sprintf("%v %s: ", v, join(t.path, name))
		if strings.HasPrefix(err.Error(), prefix) {
			return err
		}
		return fmt.Errorf("%s%w", prefix, err)
	}
	return nil
}

// childrenAway is Children; nothing after the end.
func (t *Tree) childrenAway() iter.Seq[ChildInfo] {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	a, _ := t.order(ctx, adminOrder{Do: doList})
	return func(yield func(ChildInfo) bool) {
		for _, n := range a.Nodes {
			if !yield(n.node().ChildInfo) {
				return
			}
		}
	}
}

func (t *Tree) childAway(name string) (ChildInfo, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	a, err := t.order(ctx, adminOrder{Do: doList})
	for _, n := range a.Nodes {
		if n.Name == name {
			return n.node().ChildInfo, nil
		}
	}
	if err == nil {
		err = actor.ErrNotFound
	}
	return ChildInfo{}, fmt.Errorf("child %s: %w", join(t.path, name), err)
}

// doneAway is Done.
func (t *Tree) doneAway() <-chan struct{} {
	t.away.watch.Do(func() {
		t.system.Spawn(func(ctx context.Context) {
			if inst := t.away.inst; inst != nil {
				<-inst.Done()
				t.err = inst.Exit().Err
			} else {
				_, t.err = t.order(ctx, adminOrder{Do: doWait})
			}
			close(t.done)
		})
	})
	return t.done
}

// snapshotAway is Snapshot.
func (t *Tree) snapshotAway(ctx context.Context) *Node {
	n := &Node{ChildInfo: ChildInfo{Name: path.Base(t.path), Path: t.path, Kind: kindSupervisor, Supervisor: true, Incarnation: t.incarnation}}
	a, err := t.order(ctx, adminOrder{Do: doList})
	if n.NoAnswer = err; err == nil {
		n.State, n.Running = running.String(), true
	}
	for _, c := range a.Nodes {
		n.Children = append(n.Children, c.node())
	}
	return n
}

// stopAway asks for the end.
func (t *Tree) stopAway(how string) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	_, _ = t.order(ctx, adminOrder{Do: how}) // one that cannot be asked has ended
}

// TreeOf returns the supervisor of the actor that ctx belongs to. For an actor
// in a process of its own, it is in another one: see [Tree]. The error wraps
// [actor.ErrNotFound] outside of actors.
func TreeOf(ctx context.Context) (*Tree, error) {
	scope, ok := actor.ScopeOf(ctx)
	if !ok {
		return nil, fmt.Errorf("supervisor.TreeOf: the context does not belong to an actor: %w", actor.ErrNotFound)
	}
	at, name := path.Split(scope.Path())
	at = join(at, "")
	sys := runtime.SystemOf(scope)
	if t, err := treeHere(sys, at, name); err == nil {
		return t, nil
	}
	return treeAway(ctx, sys, at, name)
}

// treeHere returns the supervisor at a path that runs in this process, and that
// has the child, if one is named.
func treeHere(sys *runtime.System, at, child string) (*Tree, error) {
	for _, t := range inside.in(sys) {
		sub := t
		if at != t.path {
			below, ok := strings.CutPrefix(at, strings.TrimSuffix(t.path, "/")+"/")
			if !ok {
				continue
			}
			var err error
			if sub, _, err = t.nestedAt(below); err != nil || sub == nil {
				continue
			}
		}
		if child == "" || sub.state.Load().find(child) != nil {
			return sub, nil
		}
	}
	return nil, fmt.Errorf("supervisor %s: %w", at, errors.Join(actor.ErrNotRunning, actor.ErrNotFound))
}

// administer carries out an order of another process.
func administer(ctx context.Context, sys *runtime.System, at string, args []byte) ([]byte, error) {
	var o adminOrder
	if err := codec.DecodeResult(args, &o); err != nil {
		return nil, err
	}
	child := ""
	if o.Do == doFind {
		child = o.Name
	}
	t, err := treeHere(sys, at, child)
	if err != nil {
		return nil, err
	}
	if o.Incarnation != "" && o.Incarnation != t.incarnation.String() {
		return nil, fmt.Errorf("supervisor %s, as it was: %w", at, actor.ErrNotRunning)
	}
	a := adminAnswer{Incarnation: t.incarnation.String()}
	switch o.Do {
	case doFind:
	case doList:
		var w wireSnapshot
		for c := range t.state.Load().all() {
			n := &Node{ChildInfo: t.info(c), Series: c.series, Significant: c.significant}
			w.add(n, 0)
		}
		a.Nodes = w.Nodes
	case doStop:
		t.inbox.post(stopAsked{})
	case doKill:
		t.kill()
	case doWait:
		err = t.Wait(ctx)
	case verbStart.String():
		var c Child
		if c, err = o.Child.child(); err == nil {
			err = t.StartChild(ctx, c)
		}
	case verbStop.String():
		err = t.StopChild(ctx, o.Name)
	case verbRestart.String():
		err = t.RestartChild(ctx, o.Name)
	case verbDelete.String():
		err = t.DeleteChild(ctx, o.Name)
	case verbKill.String():
		err = t.KillChild(ctx, o.Name)
	default:
		err = fmt.Errorf("%q: %w", o.Do, actor.ErrUnknown)
	}
	if err != nil {
		return nil, err
	}
	return codec.EncodeControl(a), nil
}
