package supervisor_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// Options are the root's, and given once. All faults are reported together
// with those of the spec.
func TestFaultyOptions(t *testing.T) {
	ctx := bounded(t)
	none := supervisor.Options{}
	for want, opts := range map[string][]supervisor.Options{
		"at most one":       {none, none},
		"MaxMessage -1":     {{MaxMessage: -1}},
		"Inline -1":         {{Inline: -1}},
		`transport "Ring"`:  {{Transport: "Ring"}},
		`Cgroups "always"`:  {{Cgroups: "always"}},
		"negative period -": {none},
	} {
		spec := supervisor.Spec{Period: -5}
		tree, err := supervisor.Start(ctx, spec, opts...)
		for what, err := range map[string]error{"Start": err, "Run": supervisor.Run(ctx, spec, opts...)} {
			if !errors.Is(err, supervisor.ErrBadSpec) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "negative period") {
				t.Errorf("%s: %v, %v; want %q", what, tree, err, want)
			}
		}
	}
}

// tenant is an actor that starts a tree of its own with Options, which it
// cannot have.
type tenant struct{}

func (tenant) Start(ctx context.Context, _ actor.None) (string, error) {
	_, err := supervisor.Start(ctx, supervisor.Spec{}, supervisor.Options{})
	also := supervisor.Run(ctx, supervisor.Spec{}, supervisor.Options{Inline: 1 << 20})
	if !errors.Is(err, supervisor.ErrBadSpec) || !errors.Is(also, supervisor.ErrBadSpec) {
		return "", errors.Join(errors.New("no ErrBadSpec"), err, also)
	}
	return err.Error(), nil
}

var (
	tenants     = actor.Define("tenant", func(context.Context, int) (*tenant, error) { return &tenant{}, nil })
	startTenant = actor.DefineMethod(tenants, "start", (*tenant).Start)
)

func TestAnActorsTreeHasNoOptions(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree := start(t, ctx, supervisor.Spec{Defaults: defaults, Children: []supervisor.Child{{Name: "t", Run: tenants.With(0)}}})
		ref, err := tenants.Lookup(tree, "t")
		if err != nil {
			t.Fatal(err)
		}
		if says, err := startTenant.Call(ctx, ref, actor.None{}); err != nil || !strings.Contains(says, "supervisor /t: only the root of a system has Options") {
			t.Fatalf("%q, %v", says, err)
		}
	})
}

// Start has all that Run has: a system's root knows the limits that arguments
// have to keep.
func TestMaxMessageBoundsArguments(t *testing.T) {
	ctx := bounded(t)
	spec := supervisor.Spec{Defaults: supervisor.Child{InProcess: true}, Children: []supervisor.Child{
		{Name: "big", Run: libraries.With(shelves{Books: map[string]int{strings.Repeat("x", 100<<10): 1}})}}}
	o := supervisor.Options{Logger: quiet, MaxMessage: 64 << 10}
	if _, err := supervisor.Start(ctx, spec, o); !errors.Is(err, supervisor.ErrBadSpec) || !strings.Contains(err.Error(), `child "big"`) {
		t.Fatalf("error %v", err)
	}
	o.MaxMessage = 0
	tree, err := supervisor.Start(ctx, spec, o)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, ctx, tree)
}
