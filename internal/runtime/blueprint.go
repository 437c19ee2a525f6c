package runtime

import (
	"errors"
	"fmt"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/port"
)

// Blueprint is a kind with its arguments and settings: all that is needed to
// start one incarnation after the other. Supervisors work with it.
type Blueprint struct {
	port.Role
	Settings actor.Settings
}

// NewBlueprint returns the blueprint of a role. The later options count.
func NewBlueprint(r port.Role, opts ...actor.Option) Blueprint {
	b := Blueprint{Role: r}
	for _, o := range opts {
		o(&b.Settings)
	}
	return b
}

// Validate reports every fault that is known without starting.
func (b *Blueprint) Validate() error {
	if b.Kind == nil {
		return errors.New("no kind")
	}
	errs := []error{b.Settings.Check()}
	if b.Kind.Backend == nil && b.Kind.External == nil {
		errs = append(errs, fmt.Errorf("kind %q has no backend in this program: import the package that implements it", b.Kind.Name))
	}
	if b.Settings.InProcess && b.Kind.External != nil {
		errs = append(errs, fmt.Errorf("kind %q is another executable and cannot run in-process", b.Kind.Name))
	}
	return errors.Join(errs...)
}

// With returns a copy whose settings start from the given defaults.
func (b Blueprint) With(defaults, opts []actor.Option) Blueprint {
	return NewBlueprint(b.Role, append(defaults[:len(defaults):len(defaults)], opts...)...)
}
