package supervisor

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// "Strategy OneForOne; intensity 1 in 5 s; auto-shutdown never. Child:
// permanent; stop timeout 5 s for an actor, none for a nested supervisor; not
// significant."
func TestDefaults(t *testing.T) {
	st := newStage()
	p, err := makePlan("/", Spec{Children: []Child{st.actor("a"), {Name: "m", Run: Spec{}}}}, Child{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := (rules{strategy: OneForOne, intensity: 1, period: 5 * time.Second, auto: autoShutdownNever}); p.rules != want {
		t.Fatalf("%+v, want %+v", p.rules, want)
	}
	want := policy{id: "a", kind: "fake", restart: Permanent, stopTimeout: 5 * time.Second}
	if got := ofTheSpec(p.specs[0].policy); got != want {
		t.Fatalf("%+v, want %+v", got, want)
	}
	want = policy{id: "m", kind: kindSupervisor, supervisor: true, restart: Permanent, stopTimeout: Forever}
	if got := ofTheSpec(p.specs[1].policy); got != want {
		t.Fatalf("%+v, want %+v", got, want)
	}
}

// "Stop timeout 0 is legal; Forever is legal for both." Options override the
// tree's defaults, which hold for nested trees' actors, not for the supervisors.
func TestOptions(t *testing.T) {
	st := newStage()
	p, err := makePlan("/", Spec{
		Intensity: NoRestarts, Period: time.Hour, Strategy: RestForOne, AutoShutdown: AutoShutdownAll,
		Defaults: Child{Restart: Transient, StopTimeout: time.Second},
		Children: []Child{
			st.actor("a", Child{StopTimeout: KillAtOnce}),
			st.actor("b", Child{StopTimeout: Forever, Significant: true}),
			st.actor("c", Child{Backoff: Backoff{Min: 1}}),
			{Name: "m", Run: Spec{Children: []Child{st.actor("d")}, Defaults: Child{Restart: Temporary}}, StopTimeout: Forever},
			{Name: "n", Run: Spec{}, StopTimeout: KillAtOnce, Restart: Transient},
		},
	}, Child{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if p.intensity != 0 || p.period != time.Hour || p.strategy != RestForOne || p.auto != AutoShutdownAll {
		t.Fatalf("%+v", p.rules)
	}
	for i, want := range []policy{
		{id: "a", kind: "fake", restart: Transient},
		{id: "b", kind: "fake", restart: Transient, stopTimeout: Forever, significant: true},
		{id: "c", kind: "fake", restart: Transient, stopTimeout: time.Second, backoff: Backoff{Min: 1}},
		{id: "m", kind: kindSupervisor, supervisor: true, stopTimeout: Forever},
		{id: "n", kind: kindSupervisor, supervisor: true, restart: Transient},
	} {
		got := p.specs[i].policy
		if got.series, got.readyGrace = "", 0; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	d := p.specs[3].launch.(nestedLauncher).plan.specs[0].policy
	d.series, d.readyGrace = "", 0
	if want := (policy{id: "d", kind: "fake", restart: Temporary, stopTimeout: time.Second}); d != want {
		t.Errorf("%+v, want %+v", d, want)
	}
}

// "All specs are checked before any child starts; every fault is reported
// together (errors.Join). Rejected: duplicate or empty id, negative values,
// period <= 0, significant with permanent, significant with auto-shutdown never."
// (A period of 0 is the default.)
func TestFaultySpecs(t *testing.T) {
	st := newStage()
	for _, tc := range []struct {
		name string
		spec Spec
		want []string
	}{
		{"duplicate name", Spec{Children: []Child{st.actor("a"), st.actor("a")}}, []string{`"a": name taken`}},
		{"empty name", Spec{Children: []Child{st.actor("")}}, []string{"name is needed"}},
		{"name that is not UTF-8", Spec{Children: []Child{st.actor("caf\xe9")}}, []string{`"caf\xe9"`, "UTF-8"}},
		{"tree that is not UTF-8", Spec{Name: "\xff"}, []string{`"\xff"`, "UTF-8"}},
		{"name with a slash", Spec{Children: []Child{st.actor("a/b")}}, []string{`"a/b"`}},
		{"dots", Spec{Children: []Child{st.actor("."), st.actor("..")}}, []string{`"."`, `".."`}},
		{"control character", Spec{Children: []Child{st.actor("a\n")}}, []string{`"a\n"`}},
		{"nothing to run", Spec{Children: []Child{{Name: "a"}}}, []string{"Run is <nil>"}},
		{"a pointer", Spec{Children: []Child{{Name: "a", Run: &Spec{}}}}, []string{"Run is *supervisor.Spec"}},
		{"negative intensity", Spec{Intensity: -3}, []string{"intensity -3"}},
		{"negative period", Spec{Period: -1}, []string{"period -1ns"}},
		{"unknown strategy", Spec{Strategy: 9}, []string{"strategy 9"}},
		{"unknown auto-shutdown", Spec{AutoShutdown: 9}, []string{"auto-shutdown 9"}},
		{"negative stop timeout", Spec{Children: []Child{st.actor("a", Child{StopTimeout: -3})}}, []string{"stop timeout"}},
		{"negative start timeout", Spec{Children: []Child{st.actor("a", Child{StartTimeout: -1})}}, []string{"start timeout"}},
		{"negative back-off", Spec{Children: []Child{st.actor("a", Child{Backoff: Backoff{Min: -1}})}}, []string{"back-off"}},
		{"significant and permanent", Spec{AutoShutdown: AutoShutdownAny, Children: []Child{st.actor("a", Child{Significant: true})}}, []string{"significant"}},
		{"significant and never", Spec{Children: []Child{st.actor("a", Child{Restart: Transient, Significant: true})}}, []string{"auto-shutdown is never"}},
		{"name", Spec{Name: "a/b"}, []string{`"a/b"`}},
		{"in-process, for a supervisor", Spec{Children: []Child{{Name: "m", Run: Spec{}, InProcess: true}}}, []string{"Defaults"}},
		{"drain, for a supervisor", Spec{Children: []Child{{Name: "m", Run: Spec{}, Drain: true}}}, []string{"Defaults"}},
		{"watchdog, for a supervisor", Spec{Children: []Child{{Name: "m", Run: Spec{}, Watchdog: 1}}}, []string{"Defaults"}},
		{"mailbox, for a supervisor", Spec{Children: []Child{{Name: "m", Run: Spec{}, Mailbox: actor.Mailbox{Bytes: 1}}}}, []string{"Defaults"}},
		{"environment, for a supervisor", Spec{Children: []Child{{Name: "m", Run: Spec{}, Process: actor.Process{Env: []string{"A=b"}}}}}, []string{"Defaults"}},
		{"directory, for a supervisor", Spec{Children: []Child{{Name: "m", Run: Spec{}, Process: actor.Process{Dir: "/"}}}}, []string{"Defaults"}},
		{"nice, for a supervisor", Spec{Children: []Child{{Name: "m", Run: Spec{}, Process: actor.Process{Nice: 1}}}}, []string{"Defaults"}},
		{"unknown restart type", Spec{Children: []Child{st.actor("a", Child{Restart: 3})}}, []string{"restart type 3"}},
		{"negative watchdog", Spec{Children: []Child{st.actor("a", Child{Watchdog: -1})}}, []string{"watchdog interval -1ns"}},
		{"negative mailbox", Spec{Children: []Child{st.actor("a", Child{Mailbox: actor.Mailbox{Messages: -1}})}}, []string{"-1 messages"}},
		{"negative limit", Spec{Children: []Child{st.actor("a", Child{Process: actor.Process{Files: -1}})}}, []string{"files -1"}},
		{"limits in-process", Spec{Children: []Child{st.actor("a", Child{InProcess: true, Process: actor.Process{Nice: 1}})}}, []string{"in-process"}},
		{"limits in-process by default", Spec{Defaults: Child{InProcess: true}, Children: []Child{st.actor("a", Child{Process: actor.Process{Nice: 1}})}}, []string{"in-process"}},
		{"default name", Spec{Defaults: Child{Name: "a"}}, []string{"Defaults", "Name"}},
		{"default run", Spec{Defaults: Child{Run: Spec{}}}, []string{"Defaults", "Run"}},
		{"default significance", Spec{Defaults: Child{Significant: true, Restart: Transient}}, []string{"Defaults", "Significant"}},
		{"bad default", Spec{Defaults: Child{StopTimeout: -3}}, []string{"Defaults: negative stop timeout"}},
		{"bad nested default", Spec{Children: []Child{{Name: "m", Run: Spec{Defaults: Child{Watchdog: -1}}}}}, []string{"/m: Defaults: negative watchdog"}},
		{"a Role of no kind", Spec{Children: []Child{{Name: "a", Run: actor.Role{}}}}, []string{"Kind.With"}},
		{"name of a nested one", Spec{Children: []Child{{Name: "m", Run: Spec{Name: "n"}}}}, []string{"no Name"}},
		{"all together, and deep", Spec{Period: -1, Children: []Child{
			st.actor(""), st.actor("a"), st.actor("a"),
			{Name: "m", Run: Spec{Intensity: -7, Children: []Child{{Name: "n", Run: Spec{Children: []Child{st.actor("x", Child{StopTimeout: -3})}}}}}},
		}}, []string{"period", "name is needed", "name taken", "/m: negative intensity -7", `/m/n: child "x": negative stop timeout`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := st.start(context.Background(), tc.spec)
			if !errors.Is(err, ErrBadSpec) {
				t.Fatalf("error %v, want ErrBadSpec", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if did := st.did(); did != "" {
				t.Fatalf("started something: %s", did)
			}
		})
	}
}

// Each field that is zero is taken from the defaults of the tree, then from
// those of the trees around it.
func TestDefaultsFillZeroFields(t *testing.T) {
	outer := Child{
		Restart: Transient, StartTimeout: 1, StopTimeout: KillAtOnce, Backoff: Backoff{Min: 1}, Drain: true, Watchdog: 1, InProcess: true, ReadyGrace: 1,
		Mailbox: actor.Mailbox{Messages: 1, Bytes: 1},
		Process: actor.Process{Env: []string{"A=1", "B=1"}, Dir: "/1", Memory: 1, Files: 1, CPUs: 1, Nice: 1},
	}
	inner := Child{StopTimeout: 2, Mailbox: actor.Mailbox{Messages: 2}, Process: actor.Process{Env: []string{"B=2"}, Files: 2, Nice: -2}}
	own := Child{Restart: Temporary, StopTimeout: Forever, Watchdog: 3, Process: actor.Process{Env: []string{"C=3"}, Memory: 3}}
	want := Child{
		Restart: Temporary, StartTimeout: 1, StopTimeout: Forever, Backoff: Backoff{Min: 1}, Drain: true, Watchdog: 3, InProcess: true, ReadyGrace: 1,
		Mailbox: actor.Mailbox{Messages: 2, Bytes: 1},
		Process: actor.Process{Env: []string{"A=1", "B=1", "B=2", "C=3"}, Dir: "/1", Memory: 3, Files: 2, CPUs: 1, Nice: -2},
	}
	if got := own.or(inner.or(outer)); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := (Child{}).or(outer); !reflect.DeepEqual(got, outer) { // no field is forgotten
		t.Errorf("%+v, want %+v", got, outer)
	}
	for i, f := range reflect.VisibleFields(reflect.TypeFor[Child]()) {
		if v := reflect.ValueOf(outer).Field(i); f.IsExported() && v.IsZero() && f.Name != "Name" && f.Name != "Run" && f.Name != "Significant" {
			t.Errorf("%s is not tested", f.Name)
		}
	}
	st := newStage()
	p, err := makePlan("/", Spec{Defaults: Child{Restart: Transient, StopTimeout: 1}, Children: []Child{
		{Name: "m", Run: Spec{Defaults: Child{StopTimeout: 2}, Children: []Child{st.actor("a")}}}}}, Child{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	a := ofTheSpec(p.specs[0].launch.(nestedLauncher).plan.specs[0].policy)
	if want := (policy{id: "a", kind: "fake", restart: Transient, stopTimeout: 2}); a != want {
		t.Errorf("%+v, want %+v", a, want)
	}
}

// What instances are told: 0 kills at once, a negative time has no end.
func TestStopTimeouts(t *testing.T) {
	for _, c := range []struct{ given, ifZero, want time.Duration }{
		{0, defaultStopTimeout, 5 * time.Second}, {0, Forever, Forever},
		{KillAtOnce, defaultStopTimeout, 0}, {Forever, defaultStopTimeout, Forever}, {7, Forever, 7},
	} {
		if got := (Child{StopTimeout: c.given}).stopTimeout(c.ifZero); got != c.want {
			t.Errorf("%v or %v: %v, want %v", c.given, c.ifZero, got, c.want)
		}
	}
}

// Unlimited puts up with every number of restarts at one moment.
func TestUnlimited(t *testing.T) {
	st := newStage()
	p, err := makePlan("/", Spec{Intensity: Unlimited, Children: []Child{st.actor("a")}}, Child{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := startedWorld(t, p.rules, kid("a"))
	for range 1000 {
		w.crash("a")
	}
	w.expectLives()
	w.expect("a:running")
}

// The same rules hold for a child that is added.
func TestFaultyStartChild(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		tree := mustStart(t, st, Spec{})
		for _, c := range []Child{{}, st.actor(""), st.actor("a", Child{Restart: Transient, Significant: true}), st.actor("a", Child{StopTimeout: -3})} {
			if err := tree.StartChild(context.Background(), c); !errors.Is(err, ErrBadSpec) {
				t.Errorf("%+v: error %v, want ErrBadSpec", c, err)
			}
		}
		mustDid(t, st, "")
		mustStop(t, st, tree)
	})
}

// "Stop timeout ... none for a ... supervisor": the tree's defaults for actors
// concern only the process of a supervisor that has one.
func TestDefaultsOfOwnProcess(t *testing.T) {
	defaults := Child{Restart: Transient, StopTimeout: time.Second, StartTimeout: time.Second, Process: actor.Process{Dir: "/"}}
	p, err := makePlan("/", Spec{Defaults: defaults, Children: []Child{{Name: "s", Run: soloists.With(0)}}}, Child{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.specs[0].policy, (policy{id: "s", kind: "soloist", series: "/s", readyGrace: defaultReadyGrace, supervisor: true, stopTimeout: Forever}); got != want {
		t.Fatalf("%+v, want %+v", got, want)
	}
	bp := p.specs[0].launch.(ownLauncher).role
	if s := bp.Settings(); *s.StopTimeout != Forever || s.StartTimeout < 24*time.Hour || s.Process.Dir != "/" {
		t.Fatalf("%+v", s)
	}
}

var soloists = Define("soloist", func(context.Context, int) (Spec, error) { return Spec{}, nil })

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		Transient.String():                   "transient",
		Restart(9).String():                  "Restart(9)",
		verbDelete.String():                  "delete child",
		(&StartError{"/a", errBoom}).Error(): "start /a: boom",
		(&StartError{"/a", &StartError{"/a", errBoom}}).Error():         "start /a: boom",
		(&GaveUpError{Path: "/m", Child: "/m/a", Err: errBoom}).Error(): "supervisor /m gave up: more than 0 restarts within 0s, the last one of /m/a (boom)",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// ofTheSpec is a policy without what observers use.
func ofTheSpec(p policy) policy {
	p.series, p.readyGrace = "", 0
	return p
}
