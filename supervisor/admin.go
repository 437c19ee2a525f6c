package supervisor

import (
	"context"
	"fmt"
	"strings"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// StartChild adds a child at the end of the order, starts it, and returns when
// it is ready. If the start fails, or ctx ends before the child is ready, the
// child's spec is not kept, and nothing else is touched; the error wraps the
// cause. See [ErrAlreadyStarted] and [ErrAlreadyPresent]. Children added in this
// way are gone when the supervisor itself is restarted.
//
// After a constructor that returns [actor.ErrIgnore] nothing runs, and the error
// wraps it; but the spec is kept, unless the child is temporary or the strategy
// Dynamic. The same holds for RestartChild.
//
// Children start side by side, up to [Spec.Parallel] of them; StopChild of one
// that starts cuts its start off.
//
// A supervisor in another process can be given children whose arguments have no
// arrays.
func (t *Tree) StartChild(ctx context.Context, c Child) error {
	if t.away != nil {
		w, err := c.toWire(t.system.MaxMessage())
		if err != nil {
			return err
		}
		return t.doAway(ctx, verbStart, c.Name, w)
	}
	s, err := t.plan.prepare(t.path, c, true)
	if err != nil {
		return err
	}
	s.launch = &added{launcher: s.launch.(launcher), name: c.Name, offered: true}
	return t.do(ctx, called{verb: verbStart, id: c.Name, spec: s})
}

// StopChild stops a child, or ends its restarting, for good. It is nil, too, if
// the child does not run. The spec stays, unless the child is temporary or
// the strategy Dynamic. A stop that has begun goes on when ctx ends before
// the child's end; one that waits for another operation is withdrawn.
func (t *Tree) StopChild(ctx context.Context, name string) error {
	return t.do(ctx, called{verb: verbStop, id: name})
}

// RestartChild starts a child that does not run, and returns when it is ready.
// If the start fails or ctx ends before, the spec stays. See [ErrRunning] and
// [ErrRestarting].
func (t *Tree) RestartChild(ctx context.Context, name string) error {
	return t.do(ctx, called{verb: verbRestart, id: name})
}

// DeleteChild forgets a child that does not run. See [ErrRunning] and
// [ErrRestarting].
func (t *Tree) DeleteChild(ctx context.Context, name string) error {
	return t.do(ctx, called{verb: verbDelete, id: name})
}

// KillChild ends the present incarnation of a child by force, SIGKILL for a
// process, and returns when it is reaped. The supervisor then does what it does
// after a crash. Messages that the child had not begun wait for the next
// incarnation, if there is one. It is [actor.ErrNotRunning] if the child does
// not run. A kill goes on when ctx ends.
func (t *Tree) KillChild(ctx context.Context, name string) error {
	return t.do(ctx, called{verb: verbKill, id: name})
}

// do sends a call to the runner and waits for the answer, or for ctx. Calls
// queue: one that finds a restart under way waits for it.
func (t *Tree) do(ctx context.Context, c called) error {
	if t.away != nil {
		return t.doAway(ctx, c.verb, c.id, nil)
	}
	offer, _ := c.spec.launch.(*added)
	fail := func(err error) error {
		return fmt.Errorf("%v %s: %w", c.verb, join(t.path, c.id), err)
	}
	if ctx.Err() != nil {
		if offer != nil {
			offer.release()
		}
		return fail(context.Cause(ctx))
	}
	answer := make(chan error, 1)
	t.mu.Lock()
	t.last++
	c.call = t.last
	t.calls[c.call] = answer
	if offer != nil {
		t.offers[c.call] = offer
	}
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		delete(t.calls, c.call)
		t.mu.Unlock()
	}()
	if !t.inbox.post(c) {
		if offer != nil {
			offer.release()
			t.mu.Lock()
			delete(t.offers, c.call)
			t.mu.Unlock()
		}
		select {
		case <-t.done:
		case <-ctx.Done():
		}
		return fail(t.stopped())
	}
	select {
	case err := <-answer:
		if err != nil {
			return fail(err)
		}
		return nil
	case <-ctx.Done():
		err := context.Cause(ctx)
		t.inbox.post(callCancelled{call: c.call, id: c.id, err: err})
		return fail(err)
	case <-t.done:
	}
	select {
	case err := <-answer: // given just before the end
		if err != nil {
			return fail(err)
		}
		return nil
	default:
		return fail(t.stopped())
	}
}

// stopped is the error of a call to a supervisor that has ended, with the reason
// if it ended in disorder.
func (t *Tree) stopped() error {
	if err := t.Err(); err != nil {
		return fmt.Errorf("%w: %w", errStopped, err)
	}
	return errStopped
}

// answer hands a reply to its caller, who may have left.
func (t *Tree) answer(r reply) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if offer := t.offers[r.call]; offer != nil {
		delete(t.offers, r.call)
		offer.offered = false
		if !t.keeps(offer) { // it was not taken, or is not kept
			offer.release()
		}
	}
	if ch := t.calls[r.call]; ch != nil {
		ch <- r.err // it has room: one reply a call
	}
}

// Supervisor returns the supervisor of that name, or of that path of names
// ("media/decoders"), as it runs now: a nested one, or one in a process of its
// own. A later incarnation is another Tree.
func (t *Tree) Supervisor(name string) (*Tree, error) {
	at := join(t.path, name)
	var inst *runtime.Instance
	if t.away == nil {
		sub, own, err := t.nestedAt(name)
		if own == nil || err != nil {
			return sub, err
		}
		if sub, err := treeHere(t.system, at, ""); err == nil {
			return sub, nil // in-process
		}
		if own.Path() == at {
			inst = own
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	sub, err := treeAway(ctx, t.system, at, "")
	if err != nil {
		return nil, err
	}
	sub.away.inst = inst
	return sub, nil
}

// nestedAt returns the nested supervisor of that path of names, or the process of
// its own on the way there.
func (t *Tree) nestedAt(name string) (*Tree, *runtime.Instance, error) {
	for sub := t; ; {
		first, rest, more := strings.Cut(name, "/")
		c := sub.state.Load().find(first)
		if c == nil || !c.supervisor {
			return nil, nil, fmt.Errorf("supervisor %s: %w", join(sub.path, first), actor.ErrNotFound)
		}
		switch inst := sub.getLive(c.inc).(type) {
		case nested:
			if !more {
				return inst.t, nil, nil
			}
			sub, name = inst.t, rest
		case ownProcess:
			return nil, inst.Instance, nil
		default:
			return nil, nil, fmt.Errorf("supervisor %s: %w", join(sub.path, first), actor.ErrNotRunning)
		}
	}
}
