package supervisor

import (
	"errors"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// instance is one incarnation of a child, as the runner sees it:
// [*actor.Instance], or a nested supervisor.
type instance interface {
	Ready() <-chan struct{} // closed when the outcome of the start is known
	StartErr() error        // after Ready: nil if it is ready; otherwise it is being reaped
	Done() <-chan struct{}  // closed when it is gone and reaped
	Exit() actor.ExitStatus // after Done
	// Stop asks it to end, to be killed after the timeout (actor.Forever: never),
	// and returns at once. It works in every state; a shorter later timeout wins.
	Stop(timeout time.Duration)
	Kill()    // ends it by force, as if it had crashed; it works in every state
	PID() int // 0: none of its own
	Incarnation() actor.Incarnation
}

var _ instance = (*actor.Instance)(nil)

// actorBody is a child that is an actor.
type actorBody struct{ blueprint actor.Blueprint }

func (b actorBody) kind() string { return b.blueprint.Kind() }

func (b actorBody) prepare(_ string, defaults, opts []actor.Option) (launcher, actor.Settings, error) {
	bp := b.blueprint.With(defaults, opts)
	return actorLauncher{bp}, *bp.Settings(), bp.Validate()
}

type actorLauncher struct{ blueprint actor.Blueprint }

func (l actorLauncher) launch(parent *Tree, path string) instance {
	return parent.System().Launch(path, l.blueprint)
}

func (l actorLauncher) tell(h host, path string, st actor.PathState) { h.SetState(path, st) }

// nestedBody is a child that is a supervisor in the same process.
type nestedBody struct{ spec Spec }

// KindSupervisor is the kind of a nested supervisor in [ChildInfo] and events.
const KindSupervisor = "supervisor"

func (b nestedBody) kind() string { return KindSupervisor }

func (b nestedBody) prepare(path string, defaults, opts []actor.Option) (launcher, actor.Settings, error) {
	settings := apply(opts)
	errs := []error{settings.Check(), b.spec.checkNotRoot(path)}
	if settings.InProcess || settings.Dir != "" || len(settings.Env) > 0 || settings.Limits != (actor.Limits{}) ||
		settings.Capacity != 0 || settings.CapacityBytes != 0 {
		errs = append(errs, errors.New("options of processes and mailboxes belong in the Defaults of the nested spec"))
	}
	if b.spec.Name != "" {
		errs = append(errs, errors.New("a nested supervisor is named by its id and can have no Name"))
	}
	p, err := makePlan(path, b.spec, defaults)
	errs = append(errs, err)
	return nestedLauncher{p, settings.StartTimeout}, settings, errors.Join(errs...)
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
func (l nestedLauncher) tell(h host, path string, st actor.PathState) {
	h.SetState(path, st)
	if st != actor.PathRunning {
		l.plan.tell(h, path, st)
	}
}
