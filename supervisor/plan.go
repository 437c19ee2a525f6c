package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// ErrBadSpec is wrapped by the errors of specs that cannot be meant.
var ErrBadSpec = errors.New("bad supervisor spec")

// plan is a checked Spec, ready to be run again and again.
type plan struct {
	rules
	specs    []spec
	defaults Child
	series   string // of the supervisor's events: see actor.Event
	max      int    // size in bytes of the largest message; 0: the default
}

// body is what a child is: an actor, a pool or a supervisor.
type body interface {
	// prepare checks the child at that path, and returns it with its defaults
	// filled in. All faults are joined.
	prepare(path string, p *plan, c Child) (launcher, Child, error)
	kind() string
}

// bodyOf returns the body of what a child runs, or nil.
func bodyOf(r Runnable) body {
	switch r := r.(type) {
	case actor.Role:
		return actorBody{runtime.RoleOf(r)}
	case Spec:
		return nestedBody{r}
	case Pool:
		return poolBody{r}
	case body:
		return r
	}
	return nil
}

// launcher makes instances of a child.
type launcher interface {
	launch(parent *Tree, path string) instance
	// tell sets the state of the child's path, and of those below it that its
	// spec makes for certain.
	tell(h host, path string, st runtime.PathState)
	// release lets go of what the child's arguments hold. Nothing is launched
	// afterwards. It may be called again.
	release()
}

// makePlan checks all of a spec and reports every fault of it, joined.
// defaults are those of the trees around it. max bounds the arguments of a
// child in bytes. The caller releases the plan when it will not run again.
func makePlan(at string, sp Spec, defaults Child, max int) (*plan, error) {
	p := &plan{
		rules:    rules{strategy: sp.Strategy, intensity: sp.Intensity, period: sp.Period, auto: sp.AutoShutdown, parallel: sp.Parallel},
		defaults: defaults,
		series:   cmp.Or(defaults.series, at),
		max:      max,
	}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: supervisor %s: "+format, append([]any{ErrBadSpec, at}, args...)...))
	}
	switch {
	case sp.Intensity == 0:
		p.intensity = defaultIntensity
	case sp.Intensity == NoRestarts:
		p.intensity = 0
	case sp.Intensity == Unlimited:
		p.intensity = unlimited
	case sp.Intensity < 0:
		bad("negative intensity %d", sp.Intensity)
	}
	switch {
	case sp.Period == 0:
		p.period = defaultPeriod
	case sp.Period < 0:
		bad("negative period %v", sp.Period)
	}
	if sp.Parallel < 0 {
		bad("negative number %d of starts at once", sp.Parallel)
	}
	if sp.Strategy < OneForOne || sp.Strategy > Dynamic {
		bad("unknown strategy %d", int(sp.Strategy))
	}
	if sp.AutoShutdown < autoShutdownNever || sp.AutoShutdown > AutoShutdownAll {
		bad("unknown auto-shutdown %d", int(sp.AutoShutdown))
	}
	if badName(sp.Name) {
		bad("name %q has a slash or a control character, or is not UTF-8", sp.Name)
	}
	if d := sp.Defaults; d.Name != "" || d.Run != nil || d.Significant {
		bad("Defaults: they are for many children and cannot have a Name, Run or Significant")
	} else if err := d.check(); err != nil {
		bad("Defaults: %w", err)
	} else {
		p.defaults = d.or(defaults)
	}
	seen := make(map[string]bool)
	for _, c := range sp.Children {
		if seen[c.Name] && c.Name != "" {
			bad("child %q: %w", c.Name, actor.ErrNameTaken)
		}
		seen[c.Name] = true
		s, err := p.prepare(at, c, sp.Strategy == Dynamic)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.specs = append(p.specs, s)
	}
	if err := errors.Join(errs...); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

// release lets go of all children's arguments.
func (p *plan) release() {
	for _, s := range p.specs {
		s.launch.(launcher).release()
	}
}

// prepare checks one child. comesAndGoes says that it is one of many.
func (p *plan) prepare(at string, c Child, comesAndGoes bool) (spec, error) {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: supervisor %s: child %q: "+format, append([]any{ErrBadSpec, at, c.Name}, args...)...))
	}
	switch {
	case c.Name == "":
		bad("a name is needed")
	case strings.HasPrefix(c.Name, "$"), len(c.Name) > maxName:
		bad("the name must have at most %d bytes and not begin with $", maxName)
	case c.Name == ".", c.Name == "..", badName(c.Name):
		bad("the name must be one element of a path, in UTF-8, without control characters")
	}
	run := bodyOf(c.Run)
	if run == nil {
		bad("Run is %T, want a kind's With(args), a Pool or a Spec", c.Run)
		return spec{}, errors.Join(errs...)
	}
	origin := c
	if c.series = join(p.series, c.Name); comesAndGoes {
		c.series = join(p.series, "*")
	}
	launch, filled, err := run.prepare(join(at, c.Name), p, c)
	if err != nil {
		bad("%w", err)
	}
	if c.Significant && p.auto == autoShutdownNever {
		bad("significant, but the supervisor's auto-shutdown is never")
	}
	if err := errors.Join(errs...); err != nil {
		if launch != nil {
			launch.release()
		}
		return spec{}, err
	}
	s := spec{launch: launch, origin: origin, policy: policy{
		id:          c.Name,
		kind:        run.kind(),
		series:      c.series,
		readyGrace:  cmp.Or(filled.ReadyGrace, defaultReadyGrace),
		restart:     filled.Restart,
		significant: filled.Significant,
		backoff:     filled.Backoff,
		stopTimeout: filled.stopTimeout(defaultStopTimeout),
	}}
	switch run.(type) {
	case nestedBody, ownBody:
		s.supervisor = true
		s.stopTimeout = filled.stopTimeout(Forever)
	case poolBody: // its workers have the default
		s.stopTimeout = filled.stopTimeout(Forever)
	}
	return s, nil
}

// checkFree reports paths that another tree of the same actor has.
func (p *plan) checkFree(sys *runtime.System, at string) error {
	var errs []error
	for _, s := range p.specs {
		path := join(at, s.id)
		switch sys.State(path) {
		case runtime.PathStarting, runtime.PathRunning, runtime.PathRestarting, runtime.PathStopped:
			errs = append(errs, fmt.Errorf("%w: supervisor %s: %s belongs to another tree: give one a Name: %w", ErrBadSpec, at, path, actor.ErrNameTaken))
		}
	}
	return errors.Join(errs...)
}

// maxName bounds a name in bytes, as file systems bound one.
const maxName = 255

func badName(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r == '/' || unicode.IsControl(r) })
}

// join returns the path of a child.
func join(base, id string) string { return path.Join("/", base, id) }

// tell sets the state of all paths that the plan makes for certain.
func (p *plan) tell(h host, at string, st runtime.PathState) {
	for _, s := range p.specs {
		s.launch.(launcher).tell(h, join(at, s.id), st)
	}
}
