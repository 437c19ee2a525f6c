package supervisor

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// nested is a Tree as an instance of its parent.
type nested struct{ t *Tree }

var _ instance = nested{}

// errStartTimeout: the children of a nested supervisor took too long.
var errStartTimeout = errors.New("start timeout")

// startNested begins the start of a nested supervisor.
func startNested(parent *Tree, path string, l nestedLauncher) instance {
	t := newTree(path, l.plan, parent.system, parent.host)
	t.parent = parent
	if l.startTimeout > 0 {
		cut := startCut{fmt.Errorf("%w: not up within %v", errStartTimeout, l.startTimeout)}
		t.limits = append(t.limits, time.AfterFunc(l.startTimeout, func() { t.inbox.post(cut) }))
	}
	t.start()
	return nested{t}
}

func (n nested) Ready() <-chan struct{} { return n.t.ready }
func (n nested) StartErr() error        { return n.t.startErr }
func (n nested) Done() <-chan struct{}  { return n.t.done }

// Exit reports the end of the supervisor. Whatever it is, it is a shutdown,
// unless the start failed: so the parent restarts a permanent one and leaves a
// transient one.
func (n nested) Exit() actor.ExitStatus {
	n.t.mu.Lock()
	defer n.t.mu.Unlock()
	x := actor.ExitStatus{Reason: actor.ReasonShutdown, Err: n.t.ended.err}
	switch {
	case n.t.crashed:
		x.Reason, x.Signal = actor.ReasonSignal, syscall.SIGKILL
	case n.t.killed:
		x.Reason = actor.ReasonKilled
	case n.t.ended.cause == endStartFailed && errors.Is(x.Err, errStartTimeout):
		x.Reason = actor.ReasonStartTimeout
	case n.t.ended.cause == endStartFailed:
		x.Reason = actor.ReasonStartFailed
	}
	return x
}

// Stop asks the supervisor to stop its children, and kills them after the
// timeout.
func (n nested) Stop(timeout time.Duration) {
	n.t.inbox.post(stopAsked{})
	switch {
	case timeout == 0:
		n.t.kill()
	case timeout > 0:
		n.t.mu.Lock()
		defer n.t.mu.Unlock()
		n.t.limits = append(n.t.limits, time.AfterFunc(timeout, n.t.kill))
	}
}

// Kill has everything below killed, and the end reported as that of a process
// that was killed.
func (n nested) Kill() {
	n.t.mu.Lock()
	n.t.crashed = true
	n.t.mu.Unlock()
	n.t.kill()
}

func (n nested) PID() int                       { return 0 }
func (n nested) Incarnation() actor.Incarnation { return n.t.incarnation }
