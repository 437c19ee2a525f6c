package supervisor_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/supervisor"
)

// library is an actor with arguments of every kind that can go wrong.
type library struct{ args shelves }

type shelves struct {
	Books  map[string]int
	Inner  wing
	Values shm.Array[float64]
}

type wing struct {
	Lamps []any
	Map   *shm.Array[float64]
}

func newLibrary(_ context.Context, a shelves) (*library, error) {
	if a.Books["refuses"] != 0 {
		return nil, errRefused
	}
	a.Values = a.Values.Keep()
	return &library{a}, nil
}

func (l *library) Book(_ context.Context, name string) (int, error) { return l.args.Books[name], nil }

func (l *library) Sum(context.Context, actor.None) (float64, error) {
	sum := 0.0
	for _, v := range l.args.Values.Data() {
		sum += v
	}
	return sum, nil
}

func (l *library) Stop(context.Context) error { l.args.Values.Release(); return nil }

func (l *library) Burn(ctx context.Context, _ actor.None) (int, error) {
	actor.Exit(ctx, errRefused)
	return 0, nil
}

var (
	libraries = actor.Define("library", newLibrary)
	book      = actor.DefineMethod(libraries, "book", (*library).Book)
	sum       = actor.DefineMethod(libraries, "sum", (*library).Sum)
	burn      = actor.DefineMethod(libraries, "burn", (*library).Burn)
)

// branches are supervisors of libraries.
var branches = supervisor.Define("branch", func(_ context.Context, a shelves) (supervisor.Spec, error) {
	return supervisor.Spec{Intensity: supervisor.Unlimited, Children: []supervisor.Child{{Name: "library", Run: libraries.With(a)}}}, nil
})

func libraryOf(t *testing.T, tree *supervisor.Tree, path string) actor.Ref[library] {
	t.Helper()
	r, err := libraries.Lookup(tree, path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The owner of a map goes on changing it, while actors that were started with
// it are restarted again and again: each has what was in it at the start.
func TestArgumentsAreEncodedOnce(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		books := map[string]int{"hobbit": 1}
		args := shelves{Books: books}
		tree := start(t, ctx, supervisor.Spec{Intensity: supervisor.Unlimited, Defaults: defaults, Children: []supervisor.Child{
			{Name: "direct", Run: libraries.With(args)},
			{Name: "nested", Run: supervisor.Spec{Intensity: supervisor.Unlimited, Children: []supervisor.Child{{Name: "library", Run: libraries.With(args)}}}},
			{Name: "own", Run: branches.With(args)},
		}})
		if err := tree.StartChild(ctx, supervisor.Child{Name: "added", Run: libraries.With(args)}); err != nil {
			t.Fatal(err)
		}
		over := make(chan struct{})
		var owner sync.WaitGroup
		owner.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				default:
					books["hobbit"]++
					books[string(rune('a'+n%26))] = n
					delete(books, string(rune('a'+(n+13)%26)))
					runtime.Gosched()
				}
			}
		})
		defer owner.Wait()
		defer close(over)
		for range 5 {
			for _, path := range []string{"direct", "nested/library", "own/library", "added"} {
				l := libraryOf(t, tree, path)
				if _, err := burn.Call(ctx, l, actor.None{}); err == nil {
					t.Fatalf("%s did not end", path)
				}
				must(t, 1)(book.Call(ctx, l, "hobbit"))
				must(t, 0)(book.Call(ctx, l, "a"))
			}
		}
	})
}

// What cannot be encoded is a fault of the spec, which names the child and the
// field.
func TestArgumentsThatCannotBeEncoded(t *testing.T) {
	before := shm.Stats()
	ctx := bounded(t)
	released := array(t, 1)
	released.Release()
	held := array(t, 1)
	for name, c := range map[string]struct {
		args shelves
		says []string
		is   error
	}{
		"func":              {args: shelves{Inner: wing{Lamps: []any{1, func() {}}}, Values: held}, says: []string{"field Inner.Lamps[1]", "func()"}},
		"channel in a map":  {args: shelves{Inner: wing{Lamps: []any{map[string]any{"x": make(chan int)}}}}, says: []string{"field Inner.Lamps[0][x]"}},
		"released":          {args: shelves{Values: released}, says: []string{"field Values"}, is: shm.ErrReleased},
		"released, pointed": {args: shelves{Inner: wing{Map: &released}, Values: held}, says: []string{"field Inner.Map"}, is: shm.ErrReleased},
	} {
		t.Run(name, func(t *testing.T) {
			bad := supervisor.Child{Name: "bad", Run: libraries.With(c.args), InProcess: true}
			good := supervisor.Child{Name: "good", Run: libraries.With(shelves{Values: held}), InProcess: true}
			check := func(what string, err error) {
				t.Helper()
				if !errors.Is(err, supervisor.ErrBadSpec) || c.is != nil && !errors.Is(err, c.is) {
					t.Errorf("%s: error %v", what, err)
					return
				}
				for _, want := range append(c.says, `child "bad"`) {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%s: %q does not say %q", what, err, want)
					}
				}
			}
			_, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{good, bad}})
			check("Start", err)
			_, err = supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{good,
				{Name: "m", Run: supervisor.Spec{Children: []supervisor.Child{good, bad}}}}})
			check("Start, nested", err)
			_, err = supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{good, {Name: "bad", Run: branches.With(c.args)}}})
			check("Start, of its own process", err)
			tree := start(t, ctx, supervisor.Spec{})
			check("StartChild", tree.StartChild(ctx, bad))
			if n := tree.Count().Specs; n != 0 {
				t.Errorf("%d specs are kept", n)
			}
			stop(t, ctx, tree)
		})
	}
	held.Release()
	if got := shm.Stats(); got.Segments != before.Segments || got.Charged != before.Charged {
		t.Errorf("left: %v", shm.Outstanding())
	}
}

// Arrays among the arguments are there for every restart, though their owner
// has released them, and go with the child's spec.
func TestArgumentArraysLiveAsLongAsTheSpec(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		before := shm.Stats()
		held := func(want int) {
			t.Helper()
			eventually(t, func() bool { return shm.Stats().Segments-before.Segments == want }, func() {
				t.Errorf("%d segments are held, want %d: %v", shm.Stats().Segments-before.Segments, want, shm.Outstanding())
			})
		}
		values := array(t, 1, 2, 3)
		child := func(name string) supervisor.Child {
			return supervisor.Child{Name: name, Run: libraries.With(shelves{Values: values})}
		}
		temporary := child("temporary")
		temporary.Restart = supervisor.Temporary
		tree := start(t, ctx, supervisor.Spec{Intensity: supervisor.Unlimited, Defaults: defaults, Children: []supervisor.Child{
			child("direct"), temporary,
			{Name: "m", Run: supervisor.Spec{Intensity: supervisor.NoRestarts, Children: []supervisor.Child{child("nested")}}},
		}})
		if err := tree.StartChild(ctx, child("added")); err != nil {
			t.Fatal(err)
		}
		values.Release()
		for range 3 {
			for _, path := range []string{"direct", "m/nested", "added"} {
				l := libraryOf(t, tree, path)
				if got, err := sum.Call(ctx, l, actor.None{}); err != nil || got != 6 {
					t.Fatalf("%s: sum %v, %v", path, got, err)
				}
				if _, err := burn.Call(ctx, l, actor.None{}); err == nil {
					t.Fatalf("%s did not end", path)
				}
			}
		}
		held(1)
		stop(t, ctx, tree)
		held(0)
	})
}

// A child that is not kept, or not any more, holds no arrays.
func TestArgumentArraysGoWithTheSpec(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		before := shm.Stats()
		none := func(when string) {
			t.Helper()
			eventually(t, func() bool { return shm.Stats().Segments == before.Segments }, func() {
				t.Errorf("%s: left %v", when, shm.Outstanding())
			})
		}
		// add adds a child with an array that nobody else holds.
		tree := start(t, ctx, supervisor.Spec{Defaults: defaults})
		add := func(ctx context.Context, tree *supervisor.Tree, c supervisor.Child, args shelves) error {
			args.Values = array(t, 1)
			defer args.Values.Release()
			c.Run = libraries.With(args)
			return tree.StartChild(ctx, c)
		}
		none("at the beginning")
		if err := add(ctx, tree, supervisor.Child{Name: "a"}, shelves{}); err != nil {
			t.Fatal(err)
		}
		if shm.Stats().Segments == before.Segments {
			t.Fatal("a running child's array is not held")
		}
		if err := errors.Join(tree.StopChild(ctx, "a"), tree.DeleteChild(ctx, "a")); err != nil {
			t.Fatal(err)
		}
		none("deleted")
		if err := add(ctx, tree, supervisor.Child{Name: "a", Restart: supervisor.Temporary}, shelves{}); err != nil {
			t.Fatal(err)
		}
		_, _ = burn.Call(ctx, libraryOf(t, tree, "a"), actor.None{})
		none("a temporary child has ended")
		if err := add(ctx, tree, supervisor.Child{Name: "a"}, shelves{Books: map[string]int{"refuses": 1}}); err == nil {
			t.Fatal("it started")
		}
		none("a start failed")
		if err := tree.StartChild(ctx, supervisor.Child{Name: "a", Run: libraries.With(shelves{})}); err != nil {
			t.Fatal(err)
		}
		if err := add(ctx, tree, supervisor.Child{Name: "a"}, shelves{}); !errors.Is(err, supervisor.ErrAlreadyStarted) {
			t.Fatal(err)
		}
		none("already started")
		if err := add(ctx, tree, supervisor.Child{Name: "b", StopTimeout: -7}, shelves{}); !errors.Is(err, supervisor.ErrBadSpec) {
			t.Fatal(err)
		}
		none("a bad spec")
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if err := add(ended, tree, supervisor.Child{Name: "b"}, shelves{}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		none("a ctx that has ended")
		if err := tree.StartChild(ctx, supervisor.Child{Name: "m", Run: supervisor.Spec{}}); err != nil {
			t.Fatal(err)
		}
		sub, err := tree.Supervisor("m")
		if err != nil {
			t.Fatal(err)
		}
		if err := add(ctx, sub, supervisor.Child{Name: "x"}, shelves{}); err != nil {
			t.Fatal(err)
		}
		if err := tree.StopChild(ctx, "m"); err != nil {
			t.Fatal(err)
		}
		none("added to a supervisor that was stopped")
		stop(t, ctx, tree)
		for _, t2 := range []*supervisor.Tree{tree, sub} {
			if err := add(ctx, t2, supervisor.Child{Name: "late"}, shelves{}); !errors.Is(err, actor.ErrStopped) {
				t.Fatal(err)
			}
		}
		none("a tree that has ended")
		values := array(t, 1)
		spec := supervisor.Spec{Defaults: defaults, Children: []supervisor.Child{
			{Name: "a", Run: libraries.With(shelves{Values: values})},
			{Name: "b", Run: players.With(refuses)},
		}}
		if _, err := supervisor.Start(ctx, spec, supervisor.Options{Logger: quiet}); err == nil {
			t.Fatal("it started")
		}
		if _, err := supervisor.Start(ended, spec, supervisor.Options{Logger: quiet}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if _, err := supervisor.Start(ctx, spec, supervisor.Options{}, supervisor.Options{}); !errors.Is(err, supervisor.ErrBadSpec) {
			t.Fatal(err)
		}
		values.Release()
		none("a tree that did not start")
	})
}

func array(t *testing.T, values ...float64) shm.Array[float64] {
	t.Helper()
	a, err := shm.New[float64](len(values))
	if err != nil {
		t.Fatal(err)
	}
	copy(a.Data(), values)
	return a
}

// eventually polls for what no event tells: that a goroutine has let go.
func eventually(t *testing.T, ok func() bool, fail func()) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			fail()
			return
		}
	}
}
