package supervisor

import (
	"errors"
	"sync"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/internal/seal"
)

// instance is one incarnation of a child, as the runner sees it:
// [*runtime.Instance], a pool, or a nested supervisor.
type instance interface {
	Ready() <-chan struct{} // closed when the outcome of the start is known
	StartErr() error        // after Ready: nil if it is ready; otherwise it is being reaped
	Done() <-chan struct{}  // closed when it is gone and reaped
	Exit() actor.ExitStatus // after Done
	// Stop asks it to end, to be killed after the timeout (0: at once;
	// negative: never), and returns at once. It works in every state; a shorter
	// later timeout wins.
	Stop(timeout time.Duration)
	Kill()    // ends it by force, as if it had crashed; it works in every state
	PID() int // 0: none of its own
	Incarnation() actor.Incarnation
}

var _ instance = (*runtime.Instance)(nil)

// actorBody is a child that is an actor.
type actorBody struct{ role port.Role }

// Runnable makes an actorBody the Run of a [Child].
func (actorBody) Runnable(seal.Seal) any { return nil }

func (b actorBody) kind() string { return kindName(b.role) }

func (b actorBody) prepare(_ string, p *plan, c Child) (launcher, Child, error) {
	c = c.or(p.defaults)
	l, err := newActorLauncher(b.role, c, c.stopTimeout(defaultStopTimeout), p.max)
	if err != nil {
		return nil, c, err
	}
	return l, c, nil
}

// actorLauncher starts an actor from its encoded arguments.
type actorLauncher struct{ role runtime.EncodedRole }

func newActorLauncher(r port.Role, c Child, stopTimeout time.Duration, max int) (actorLauncher, error) {
	bp, err := runtime.EncodePort(r, c.settings(stopTimeout), max)
	if faults := c.check(); faults != nil {
		if err == nil {
			bp.Release()
		}
		err = errors.Join(faults, err)
	}
	return actorLauncher{bp}, err
}

func (l actorLauncher) launch(parent *Tree, path string) instance {
	return parent.system.Launch(path, l.role)
}

func (l actorLauncher) tell(h host, path string, st runtime.PathState) { h.SetState(path, st) }

func (l actorLauncher) release() { l.role.Release() }

// nestedBody is a child that is a supervisor in the same process.
type nestedBody struct{ spec Spec }

// kindSupervisor is the kind of a nested supervisor in ChildInfo and events.
const kindSupervisor = "supervisor"

func (b nestedBody) kind() string { return kindSupervisor }

func (b nestedBody) prepare(path string, p *plan, c Child) (launcher, Child, error) {
	errs := []error{c.check()}
	if c.concernsProcess() {
		errs = append(errs, errors.New("what concerns an actor (Drain, Watchdog, InProcess, Mailbox, Process) belongs in the Defaults of the nested spec"))
	}
	if b.spec.Name != "" {
		errs = append(errs, errors.New("a nested supervisor has its child's name and can have no Name"))
	}
	defaults := p.defaults
	defaults.series = c.series
	sub, err := makePlan(path, b.spec, defaults, p.max)
	if err := errors.Join(append(errs, err)...); err != nil {
		if sub != nil {
			sub.release()
		}
		return nil, c, err
	}
	return nestedLauncher{sub, c.StartTimeout}, c, nil
}

// nestedLauncher starts a supervisor from its spec each time: what was added
// to an earlier incarnation is not there any more.
type nestedLauncher struct {
	plan         *plan
	startTimeout time.Duration // 0: none
}

func (l nestedLauncher) launch(parent *Tree, path string) instance {
	return startNested(parent, path, l)
}

// tell: when a supervisor is up, what its children are, it says itself.
// Otherwise senders to them must be told by its parent, as it does not exist.
func (l nestedLauncher) tell(h host, path string, st runtime.PathState) {
	h.SetState(path, st)
	if st != runtime.PathRunning {
		l.plan.tell(h, path, st)
	}
}

func (l nestedLauncher) release() { l.plan.release() }

// added is the launcher of a child that was added at run time. It belongs to
// the running supervisor and not to its plan.
type added struct {
	launcher
	name    string
	offered bool // its StartChild is not answered; the runner's, once that is posted
	once    sync.Once
}

func (a *added) release() { a.once.Do(a.launcher.release) }

// kindName is the name of the role's kind, empty for the zero Role.
func kindName(r port.Role) string {
	if k := r.Kind; k != nil {
		return k.Name
	}
	return ""
}
