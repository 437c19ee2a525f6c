package python_test

import (
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/actor/python"
	"github.com/understudy-go/understudy/supervisor"
)

// many is the tag of the kind that testdata/many.py runs, function of functions.py.
type (
	many     struct{}
	function struct{}
)

var (
	Manys      = python.Declare[many, actor.None]("python-many", program("testdata/many.py"))
	Meet       = actor.DeclareMethod[actor.None, bool](Manys, "meet")
	AMeet      = actor.DeclareMethod[actor.None, int](Manys, "ameet")
	ManyItems  = actor.DeclareStream[int, int](Manys, "items")
	ManyAItems = actor.DeclareStream[int, int](Manys, "aitems")
	End        = actor.DeclareMethod[string, actor.None](Manys, "end")
	Leave      = actor.DeclareMethod[int, actor.None](Manys, "leave")

	Functions = python.Declare[function, actor.None]("python-functions", program("testdata/functions.py"))
	Misbehave = actor.DeclareMethod[string, any](Functions, "misbehave")
	Length    = actor.DeclareMethod[any, int](Functions, "length")
	Hang      = actor.DeclareMethod[actor.None, actor.None](Functions, "hang")
)

func TestConcurrent(t *testing.T) {
	b := newBed(t, supervisor.Child{Name: "m", Run: Manys.With(actor.None{})})
	m := Manys.Ref(b.tree, "m")
	f := must[*actor.Future[bool]](t)(Meet.Go(b.ctx, m, actor.None{}), nil)
	equal(t, "meet", false)(Meet.Call(b.ctx, m, actor.None{}))
	equal(t, "meet", false)(f.Result())
	g := must[*actor.Future[int]](t)(AMeet.Go(b.ctx, m, actor.None{}), nil)
	equal(t, "meet on the loop", 2)(AMeet.Call(b.ctx, m, actor.None{}))
	equal(t, "meet on the loop", 2)(g.Result())
	for _, s := range []*actor.Stream[many, int, int]{ManyItems, ManyAItems} {
		n := 0
		for v, err := range s.Open(b.ctx, m, 100) {
			if err != nil || v != n {
				t.Fatalf("%s: %d, %v; want %d", s.Name(), v, err, n)
			}
			n++
		}
		if n != 100 {
			t.Errorf("%s: %d items", s.Name(), n)
		}
	}
	var x *actor.ExitError
	if _, err := Leave.Call(b.ctx, m, 3); !errors.As(err, &x) || x.Code != 3 {
		t.Errorf("SystemExit of a thread: %v", err)
	}
}

// TestRun: the return of an actor's own loop ends it.
func TestRun(t *testing.T) {
	b := newBed(t, supervisor.Child{Name: "m", Run: Manys.With(actor.None{})})
	m := Manys.Ref(b.tree, "m")
	for how, want := range map[string]actor.Reason{"": actor.ReasonNormal, "raise": actor.ReasonError} {
		downs, err := m.Pin(b.ctx)
		if err != nil {
			t.Fatal(err)
		}
		ends := downs.Monitor(b.ctx)
		must[actor.None](t)(End.Call(b.ctx, m, how))
		for d, err := range ends {
			if err != nil || d.ExitStatus.Reason != want || how != "" && !strings.Contains(d.ExitStatus.Err.Error(), "the loop breaks") {
				t.Errorf("%q: %v, %v", how, d, err)
			}
			break
		}
	}
}

// TestMisbehaviour: a typed error on both sides, nothing hangs, nothing is left.
func TestMisbehaviour(t *testing.T) {
	b := newBed(t, supervisor.Child{Name: "f", Run: Functions.With(actor.None{})})
	f := Functions.Ref(b.tree, "f")
	for what, want := range map[string]actor.Reason{"print": actor.ReasonProtocol, "close": actor.ReasonLost} {
		var x *actor.ExitError
		if _, err := Misbehave.Call(b.ctx, f, what); !errors.As(err, &x) || x.Reason != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, what := range []string{"unasked", "twice", "flood", "del", "thread dies", "fine"} {
		if got, err := Misbehave.Call(b.ctx, f, what); err != nil || got != what && got != "once" {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
	if got, err := Misbehave.Call(b.ctx, f, "nan"); err != nil || !math.IsNaN(got.(float64)) {
		t.Errorf("NaN: %v, %v", got, err)
	}
	if got, err := Misbehave.Call(b.ctx, f, "large"); err != nil || len(got.(string)) != 120<<20 {
		t.Errorf("120 MiB up: %v", err)
	}
	equal(t, "120 MiB down", 120<<20)(Length.Call(b.ctx, f, make([]byte, 120<<20)))
	equal(t, "an ext type", 2)(Length.Call(b.ctx, f, msgpack.RawMessage{0xd5, 5, 1, 2}))
	equal(t, "keys that are lists", 1)(Length.Call(b.ctx, f, map[[2]int]string{{1, 2}: "a"}))
}

// TestDeafToStop: a method that does not return is killed after the stop timeout.
func TestDeafToStop(t *testing.T) {
	b := newBed(t, supervisor.Child{Name: "f", Run: Functions.With(actor.None{}), StopTimeout: 100 * time.Millisecond})
	fut := must[*actor.Future[actor.None]](t)(Hang.Go(b.ctx, Functions.Ref(b.tree, "f"), actor.None{}), nil)
	b.record("hanging")
	if err := b.tree.StopChild(b.ctx, "f"); err != nil {
		t.Error(err)
	}
	var exit *actor.ExitError
	if _, err := fut.Result(); !errors.As(err, &exit) || exit.Reason != actor.ReasonKilled || exit.Begun != actor.BegunYes {
		t.Errorf("the call: %v", err)
	}
}

func TestImport(t *testing.T) {
	needPython(t)
	tree, err := supervisor.Start(t.Context(), supervisor.Spec{Children: []supervisor.Child{{Name: "f", Run: Functions.With(actor.None{}),
		Process: actor.Process{Env: []string{"BAD_IMPORT=1"}}}}}, supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		_ = tree.Stop(t.Context())
	}
	if err == nil || !strings.Contains(err.Error(), "no_such_library") {
		t.Errorf("a missing module: %v", err)
	}
}
