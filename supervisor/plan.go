package supervisor

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/understudy-go/understudy/actor"
)

// ErrBadSpec is wrapped by the errors of specs that cannot be meant.
var ErrBadSpec = errors.New("bad supervisor spec")

// plan is a checked Spec, ready to be run again and again.
type plan struct {
	rules
	specs    []spec
	defaults []actor.Option
}

// body is what a child is: an actor or a supervisor.
type body interface {
	// prepare checks the child at that path. All faults are joined.
	prepare(path string, defaults, opts []actor.Option) (launcher, actor.Settings, error)
	kind() string
}

// launcher makes instances of a child.
type launcher interface {
	launch(parent *Tree, path string) instance
	// tell sets the state of the child's path, and of those below it that its
	// spec makes for certain.
	tell(h host, path string, st actor.PathState)
}

// makePlan checks all of a spec and reports every fault of it, joined.
func makePlan(at string, sp Spec, defaults []actor.Option) (*plan, error) {
	p := &plan{
		rules:    rules{strategy: sp.Strategy, intensity: sp.Intensity, period: sp.Period, auto: sp.AutoShutdown, parallel: sp.Parallel},
		defaults: slices.Concat(defaults, sp.Defaults),
	}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: supervisor %s: "+format, append([]any{ErrBadSpec, at}, args...)...))
	}
	switch {
	case sp.Intensity == 0:
		p.intensity = DefaultIntensity
	case sp.Intensity == NoRestarts:
		p.intensity = 0
	case sp.Intensity < 0:
		bad("negative intensity %d", sp.Intensity)
	}
	switch {
	case sp.Period == 0:
		p.period = DefaultPeriod
	case sp.Period < 0:
		bad("negative period %v", sp.Period)
	}
	if sp.Parallel < 0 {
		bad("negative number %d of starts at once", sp.Parallel)
	}
	if sp.Strategy < OneForOne || sp.Strategy > Dynamic {
		bad("unknown strategy %d", int(sp.Strategy))
	}
	if sp.AutoShutdown < AutoShutdownNever || sp.AutoShutdown > AutoShutdownAll {
		bad("unknown auto-shutdown %d", int(sp.AutoShutdown))
	}
	if strings.ContainsFunc(sp.Name, badRune) {
		bad("name %q has a slash or a control character", sp.Name)
	}
	seen := make(map[string]bool)
	for _, c := range sp.Children {
		if seen[c.id] && c.id != "" {
			bad("child %q: %w", c.id, actor.ErrNameTaken)
		}
		seen[c.id] = true
		s, err := p.prepare(at, c)
		errs = append(errs, err)
		p.specs = append(p.specs, s)
	}
	return p, errors.Join(errs...)
}

// prepare checks one child.
func (p *plan) prepare(at string, c Child) (spec, error) {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: supervisor %s: child %q: "+format, append([]any{ErrBadSpec, at, c.id}, args...)...))
	}
	switch {
	case c.id == "":
		bad("an id is needed")
	case strings.HasPrefix(c.id, "$"), len(c.id) > maxID:
		bad("the id must have at most %d bytes and not begin with $", maxID)
	case c.id == ".", c.id == "..", strings.ContainsFunc(c.id, badRune):
		bad("the id must be one element of a path, without control characters")
	}
	if c.body == nil {
		bad("make it with Actor or Nested")
		return spec{}, errors.Join(errs...)
	}
	launch, settings, err := c.body.prepare(join(at, c.id), p.defaults, c.opts)
	if err != nil {
		bad("%w", err)
	}
	if settings.Significant && p.auto == AutoShutdownNever {
		bad("significant, but the supervisor's auto-shutdown is never")
	}
	s := spec{launch: launch, origin: c, policy: policy{
		id:          c.id,
		kind:        c.body.kind(),
		restart:     settings.Restart,
		significant: settings.Significant,
		backoff:     settings.Backoff,
		stopTimeout: actor.DefaultStopTimeout,
	}}
	switch c.body.(type) {
	case nestedBody, ownBody:
		s.supervisor = true
		s.stopTimeout = actor.Forever
	}
	if settings.StopTimeout != nil {
		s.stopTimeout = *settings.StopTimeout
	}
	return s, errors.Join(errs...)
}

// checkNotRoot reports options of the whole system where there is one already.
func (sp Spec) checkNotRoot(at string) error {
	if sp.Logger == nil && sp.MaxMessage == 0 && sp.Inline == 0 && sp.Lane == actor.AutoLane && sp.Spin == 0 && sp.Cgroups == actor.CgroupsAuto {
		return nil
	}
	return fmt.Errorf("%w: supervisor %s: only the root of a system can have a Logger, MaxMessage, Inline, Lane, Spin or Cgroups", ErrBadSpec, at)
}

// checkFree reports paths that another tree of the same actor has.
func (p *plan) checkFree(sys *actor.System, at string) error {
	var errs []error
	for _, s := range p.specs {
		path := join(at, s.id)
		switch sys.State(path) {
		case actor.PathStarting, actor.PathRunning, actor.PathRestarting, actor.PathStopped:
			errs = append(errs, fmt.Errorf("%w: supervisor %s: %s belongs to another tree: give one a Name: %w", ErrBadSpec, at, path, actor.ErrNameTaken))
		}
	}
	return errors.Join(errs...)
}

// maxID bounds an id in bytes, as file systems bound a name.
const maxID = 255

func badRune(r rune) bool { return r == '/' || r < ' ' || r == 0x7f }

// join returns the path of a child.
func join(base, id string) string { return path.Join("/", base, id) }

// tell sets the state of all paths that the plan makes for certain.
func (p *plan) tell(h host, at string, st actor.PathState) {
	for _, s := range p.specs {
		s.launch.(launcher).tell(h, join(at, s.id), st)
	}
}

// apply returns the settings that the options make.
func apply(lists ...[]actor.Option) actor.Settings {
	var s actor.Settings
	for _, opts := range lists {
		for _, o := range opts {
			o(&s)
		}
	}
	return s
}
