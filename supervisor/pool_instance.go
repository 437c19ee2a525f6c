package supervisor

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// What a pool is to its supervisor, and what its callers are told.

func (r *poolRunner) Ready() <-chan struct{}         { return r.ready }
func (r *poolRunner) StartErr() error                { return r.startErr }
func (r *poolRunner) Done() <-chan struct{}          { return r.done }
func (r *poolRunner) PID() int                       { return 0 }
func (r *poolRunner) Incarnation() actor.Incarnation { return r.pool.Incarnation() }

// Stop asks the pool to stop its workers, and kills them after the timeout.
func (r *poolRunner) Stop(timeout time.Duration) {
	r.post(poolNote{event: poolStopAsked{drain: r.plan.drain && timeout != 0}})
	switch {
	case timeout == 0:
		r.kill()
	case timeout > 0:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.limits = append(r.limits, time.AfterFunc(timeout, r.kill))
	}
}

func (r *poolRunner) kill() {
	r.mu.Lock()
	r.killed = true
	r.mu.Unlock()
	r.post(poolNote{event: poolKillAsked{}})
}

// Kill has the workers killed, and the end reported as that of a process that
// was killed.
func (r *poolRunner) Kill() {
	r.mu.Lock()
	r.crashed = true
	r.mu.Unlock()
	r.post(poolNote{event: poolKillAsked{}})
}

// Exit reports the end of the pool, which is a shutdown as that of a supervisor
// is, unless its start failed.
func (r *poolRunner) Exit() actor.ExitStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := actor.ExitStatus{Reason: actor.ReasonShutdown}
	w, _ := r.ended.exit.(*workerEnd)
	if w != nil {
		x.DoNotRestart = w.down.DoNotRestart
	}
	switch {
	case r.crashed:
		x.Reason, x.Signal = actor.ReasonSignal, syscall.SIGKILL
	case r.ended.cause == endStartFailed && w != nil:
		x = w.down.ExitStatus
		x.Err = w.err
	case r.ended.cause == endGaveUp:
		x.Err = r.gaveUp(w)
	case r.killed:
		x.Reason = actor.ReasonKilled
	}
	return x
}

func (r *poolRunner) gaveUp(w *workerEnd) error {
	e := &GaveUpError{Path: r.path, Intensity: r.plan.rules.intensity, Period: r.plan.rules.period}
	if w != nil {
		e.Child, e.Exit, e.Err = w.down.Path, &w.down.ExitStatus, w.err
	}
	return e
}

// end is the last act.
func (r *poolRunner) end(a poolEnd) {
	r.mu.Lock()
	r.ended = a
	for _, t := range r.limits {
		t.Stop()
	}
	r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
	close(r.sample)
	r.plan.used(r.core.lastNames())
	x := r.Exit()
	if a.cause == endGaveUp {
		r.tree.host.SetCause(r.path, x.Err)
	}
	r.pool.Close(x)
	select {
	case <-r.ready:
	default:
		r.startErr = errStopped
		if w, ok := a.exit.(*workerEnd); ok {
			r.startErr = w.err
		}
		close(r.ready)
	}
	close(r.done)
}

// failure is the error of a message that fails.
func (r *poolRunner) failure(m *runtime.PoolMessage, a failMessage) error {
	w, _ := a.exit.(*workerEnd)
	var status *actor.ExitStatus
	if w != nil {
		status = &w.down.ExitStatus
	}
	switch a.why {
	case failFull:
		return actor.ErrMailboxFull
	case failCancelled:
		if w == nil {
			return runtime.ErrGivenUp
		}
		return &actor.PoolError{Path: r.path, Err: actor.ErrNoWorker, Exit: status}
	case failNoWorker:
		return &actor.PoolError{Path: r.path, Err: actor.ErrNoWorker, Exit: status}
	case failQuarantined:
		return &actor.PoolError{Path: r.path, Err: actor.ErrQuarantined, Exit: status}
	case failCycle:
		return fmt.Errorf("%s of pool %s: every slot waits for this call: %w", m.Method, r.path, actor.ErrCallCycle)
	case failDied, failDeadline, failMaxHandle, failNeighbour:
		err := &actor.ExitError{Path: r.path, Begun: actor.BegunYes}
		if w != nil {
			err.ExitStatus, err.Path, err.PID, err.Incarnation = *status, w.down.Path, w.down.PID, w.down.Incarnation
		}
		if a.why == failNeighbour {
			err.Err = fmt.Errorf("because of another message in its hands: %w", err.Err)
		}
		if status != nil && (status.Reason == actor.ReasonShutdown || status.Reason == actor.ReasonKilled) {
			return fmt.Errorf("%w: %w", actor.ErrStopped, err)
		}
		return err
	}
	return fmt.Errorf("pool %s: %w", r.path, actor.ErrStopped)
}

// infos describes the workers.
func (r *poolRunner) infos() []ChildInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	infos := make([]ChildInfo, 0, len(r.workers))
	for _, w := range r.workers {
		infos = append(infos, ChildInfo{Name: w.name, Path: join(r.path, w.name), Kind: r.plan.kind.Name, Restart: Temporary,
			PID: w.inst.PID(), Incarnation: w.inst.Incarnation(), State: w.state, Running: w.state == "running", Since: w.since})
	}
	return infos
}

// ErrRollFailed: a rolling restart was given up, as its new workers do not
// start. The old ones go on.
var ErrRollFailed = errors.New("rolling restart failed")

// Roll replaces every worker of a pool by a fresh one, one after another, each
// when its successor is ready and it has finished what it had in hand. No
// message is lost or repeated by it. It returns when all are replaced; it wraps
// [ErrRollFailed] when a few successors in a row have not started. When ctx ends
// before, the worker under way is still replaced.
func (t *Tree) Roll(ctx context.Context, name string) error {
	fail := func(err error) error { return fmt.Errorf("roll %s: %w", join(t.path, name), err) }
	c := t.state.Load().find(name)
	if c == nil {
		return fail(actor.ErrNotFound)
	}
	if _, ok := c.spec.(launcher); !ok || !isPool(c.spec) {
		return fail(fmt.Errorf("it is no pool: %w", errors.ErrUnsupported))
	}
	r, ok := t.getLive(c.inc).(*poolRunner)
	if !ok {
		return fail(actor.ErrNotRunning)
	}
	answer := make(chan error, 1)
	call := callID(r.lastRoll.Add(1))
	r.post(poolNote{what: noteRoll, event: poolRollAsked{call}, roll: answer})
	select {
	case err := <-answer:
		if err != nil {
			return fail(err)
		}
		return nil
	case <-ctx.Done():
		r.post(poolNote{what: noteRoll, event: poolRollCancelled{call}})
		return fail(context.Cause(ctx))
	}
}

func isPool(spec any) bool {
	if a, ok := spec.(*added); ok {
		spec = a.launcher
	}
	_, ok := spec.(*poolLauncher)
	return ok
}

func (r *poolRunner) roll(n poolNote) {
	switch ev := n.event.(type) {
	case poolRollAsked:
		r.rolls[ev.call] = n.roll
	case poolRollCancelled:
		delete(r.rolls, ev.call)
	}
	r.step(n.event)
}

func (r *poolRunner) rolled(a poolRolled) {
	answer := r.rolls[a.call]
	if answer == nil {
		return
	}
	delete(r.rolls, a.call)
	switch w, _ := a.failed.(*workerEnd); {
	case a.why == rollDone:
		answer <- nil
	case a.why == rollStopped:
		answer <- actor.ErrStopped
	case w != nil:
		answer <- fmt.Errorf("%w: %w", ErrRollFailed, w.err)
	default:
		answer <- ErrRollFailed
	}
}
