package actor_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/supervisor"
)

// porter hands over what it is asked for, as a result and as an item.
type porter struct{ given any }

// cargo is what a porter is asked for, or gives.
type cargo struct {
	What string
	N    int
	V    any
}

// bag has arrays, and room for what cannot travel.
type bag struct {
	Arrays []shm.Array[int32]
	More   map[string]any
}

type spotted struct{ X, Y int }

// make is what a porter's order stands for.
func (p cargo) make() any {
	switch p.What {
	case "levels":
		v := any(true)
		for range p.N {
			v = []any{v}
		}
		return v
	case "elements":
		return make([]bool, p.N)
	case "bytes":
		return make([]byte, p.N)
	case "struct":
		return spotted{1, 2}
	case "structs":
		return map[string]any{"list": []spotted{{1, 2}}, "pointer": &spotted{1, 2}}
	case "func":
		return func() {}
	case "mutex":
		return []any{&sync.Mutex{}}
	}
	return p.V
}

func newPorter(_ context.Context, v any) (*porter, error) { return &porter{v}, nil }

func (p *porter) Give(_ context.Context, o cargo) (any, error)   { return o.make(), nil }
func (p *porter) Given(context.Context, actor.None) (any, error) { return p.given, nil }
func (p *porter) Echo(_ context.Context, v any) (any, error)     { return v, nil }

// Hand gives one item twice. The error that its reader gets is the cause of its ctx.
func (p *porter) Hand(ctx context.Context, o cargo) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for range 2 {
			if !yield(o.make(), nil) {
				p.given = fmt.Sprint(context.Cause(ctx))
				return
			}
		}
	}
}

// Pack answers with arrays that nobody else has, and what cannot travel.
func (p *porter) Pack(_ context.Context, o cargo) (bag, error) { return pack(o) }

func (p *porter) PackItem(_ context.Context, o cargo) iter.Seq2[bag, error] {
	return func(yield func(bag, error) bool) { yield(pack(o)) }
}

func pack(o cargo) (b bag, err error) {
	for range o.N {
		a, err := shm.New[int32](1)
		if err == nil {
			err = a.Freeze()
		}
		if err != nil {
			return b, err
		}
		b.Arrays = append(b.Arrays, a)
	}
	b.More = map[string]any{"first": b.Arrays[0], "self": nil, "v": o.make()}
	switch o.What {
	case "itself":
		b.More["self"] = b.More
	case "error":
		return b, errLeft
	}
	return b, nil
}

// Later answers after it has returned; Given says what it was told.
func (p *porter) Later(ctx context.Context, o cargo) (any, error) {
	later := actor.Later[any](ctx)
	p.given = fmt.Sprint(later.Reply(o.make(), nil))
	return later.Pending()
}

// Tell logs what is deeper or longer than a message can be.
func (p *porter) Tell(ctx context.Context, o cargo) (actor.None, error) {
	log := actor.Logger(ctx)
	for range o.N {
		log = log.WithGroup("g")
	}
	log.Info("told", "k", o.make())
	return actor.None{}, nil
}

func (p *porter) Held(context.Context, actor.None) (int, error) {
	runtime.GC()
	return shm.Stats().Handles, nil
}

var (
	Porters     = actor.Define("porter", newPorter)
	PorterGive  = actor.DefineMethod(Porters, "give", (*porter).Give)
	PorterGiven = actor.DefineMethod(Porters, "given", (*porter).Given)
	PorterEcho  = actor.DefineMethod(Porters, "echo", (*porter).Echo)
	PorterHand  = actor.DefineStream(Porters, "hand", (*porter).Hand)
	PorterPack  = actor.DefineMethod(Porters, "pack", (*porter).Pack)
	PorterItem  = actor.DefineStream(Porters, "pack item", (*porter).PackItem)
	PorterLater = actor.DefineMethod(Porters, "later", (*porter).Later)
	PorterTell  = actor.DefineMethod(Porters, "tell", (*porter).Tell)
	PorterHeld  = actor.DefineMethod(Porters, "held", (*porter).Held)
)

func (b *bed) porter(id string, v any) actor.Ref[porter] {
	b.Helper()
	b.must(b.tree.StartChild(b.ctx, supervisor.Child{Name: id, Run: Porters.With(v)}))
	return must(Porters.Lookup(b.tree, id))
}

// item is the first item of what a porter hands over, which comes twice, or the error.
func (b *bed) item(r actor.Ref[porter], o cargo) (v any, err error) {
	b.Helper()
	n := 0
	for got, e := range PorterHand.Open(b.ctx, r, o) {
		if e != nil {
			return nil, e
		}
		if n++; n == 2 && gist(got) != gist(v) {
			b.Fatalf("%s, then %s", gist(v), gist(got))
		}
		v = got
	}
	if n != 2 {
		b.Fatalf("%d items", n)
	}
	return v, nil
}

// gist tells large values apart.
func gist(v any) string {
	switch v := v.(type) {
	case []byte:
		return fmt.Sprint(len(v), " bytes")
	case []any:
		if len(v) == 1 {
			return "list of " + gist(v[0])
		}
		return fmt.Sprint(len(v), " elements")
	}
	return fmt.Sprint(v)
}

// Whatever can be a result can be an item, an argument and what a constructor is
// given; what cannot is an error that names the limit, and the actor lives.
func TestTheSameLimitsForAll(t *testing.T) {
	const most = 2 << 20
	everywhere(t, func(b *bed) {
		b.startSpec(supervisor.Spec{}, supervisor.Options{MaxMessage: most, Inline: most / 4})
		p := b.porter("p", nil)
		for i, tc := range []struct {
			o    cargo
			want error
		}{
			{cargo{What: "levels", N: 62}, nil}, {cargo{What: "levels", N: 63}, nil}, {cargo{What: "levels", N: 64}, nil},
			{cargo{What: "levels", N: 65}, actor.ErrTooDeep}, {cargo{What: "levels", N: 2000}, actor.ErrTooDeep},
			{cargo{What: "elements", N: 1<<20 + 1}, actor.ErrTooManyElements},
			// The header of bytes has five.
			{cargo{What: "bytes", N: most - 5}, nil}, {cargo{What: "bytes", N: most - 10}, nil}, {cargo{What: "bytes", N: most - 4}, actor.ErrTooLarge},
		} {
			result, err1 := PorterGive.Call(b.ctx, p, tc.o)
			item, err2 := b.item(p, tc.o)
			echo, err3 := PorterEcho.Call(b.ctx, p, tc.o.make())
			err4 := b.tree.StartChild(b.ctx, supervisor.Child{Name: fmt.Sprint("c", i), Run: Porters.With(tc.o.make()), Restart: supervisor.Temporary})
			if tc.want == nil {
				b.must(errors.Join(err1, err2, err3, err4))
				if gist(result) != gist(item) || gist(result) != gist(echo) {
					b.Errorf("%+v: %s, %s, %s", tc.o, gist(result), gist(item), gist(echo))
				}
				continue
			}
			for i, err := range []error{err1, err2, err3, err4} {
				if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), "limit") && !strings.Contains(err.Error(), "more than") || !strings.Contains(err.Error(), ";") {
					b.Errorf("%+v, way %d: %v", tc.o, i, err)
				}
			}
			given, err := PorterGiven.Call(b.ctx, p, actor.None{}) // the producer got it, too
			if err != nil || !strings.Contains(fmt.Sprint(given), tc.want.Error()) {
				b.Errorf("%+v: the producer got %v, %v", tc.o, given, err)
			}
		}
		// As many elements as can be take their time: as an item, which has the most around it.
		if got, err := b.item(p, cargo{What: "elements", N: 1 << 20}); err != nil || gist(got) != "1048576 elements" {
			b.Errorf("as many elements as can be: %s, %v", gist(got), err)
		}
		if c := b.list()[0]; c.Restarts != 0 {
			b.Errorf("the actor was restarted: %v", c.LastExit)
		}
	})
}

// What cannot travel at all is an error, and nothing else.
func TestUnsendableValues(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start()
		p := b.porter("p", nil)
		for what, name := range map[string]string{"func": "func()", "mutex": "sync.Mutex"} {
			_, err1 := PorterGive.Call(b.ctx, p, cargo{What: what})
			_, err2 := b.item(p, cargo{What: what})
			_, err3 := PorterEcho.Call(b.ctx, p, cargo{What: what}.make())
			_, err4 := PorterLater.Call(b.ctx, p, cargo{What: what})
			given, err := PorterGiven.Call(b.ctx, p, actor.None{})
			b.must(err)
			for i, err := range []error{err1, err2, err3, err4, errors.New(given.(string))} {
				if err == nil || !strings.Contains(err.Error(), name) {
					b.Errorf("%s, way %d: %v", what, i, err)
				}
			}
		}
		if c := b.list()[0]; c.Restarts != 0 {
			b.Errorf("the actor was restarted: %v", c.LastExit)
		}
	})
}

// A log record, a trace context: what goes beside values has limits of its own,
// and breaking them ends neither an actor nor a connection.
func TestWhatGoesBesideValues(t *testing.T) {
	everywhere(t, func(b *bed) {
		var mu sync.Mutex
		var out strings.Builder
		b.startSpec(supervisor.Spec{}, supervisor.Options{Logger: slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return out.Write(p)
		}), nil))})
		p := b.porter("p", nil)
		for _, n := range []int{1, 30, 31, 32, 100} {
			check(b, actor.None{})(PorterTell.Call(b.ctx, p, cargo{N: n, V: "v"}))
		}
		b.must(b.tree.StopChild(b.ctx, "p")) // its records are here
		mu.Lock()
		if n := strings.Count(out.String(), "told"); n != 5 {
			b.Errorf("%d records: %s", n, out.String())
		}
		mu.Unlock()
		b.must(b.tree.RestartChild(b.ctx, "p"))
		trace := make(map[string]string)
		for i := range 2000 {
			trace[fmt.Sprint(i)] = ""
		}
		_, err := PorterEcho.Call(actor.WithTrace(b.ctx, trace), p, 1)
		b.is(err, actor.ErrTooManyElements)
		sameAs(b, int64(1))(PorterEcho.Call(b.ctx, p, 1))
		if c := b.list()[0]; c.Restarts != 1 { // ours
			b.Errorf("the actor was restarted %d times: %v", c.Restarts, c.LastExit)
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A struct in an interface arrives the same every time and every way.
func TestOneShapeOfStructs(t *testing.T) {
	spot := map[string]any{"X": int64(1), "Y": int64(2)}
	everywhere(t, func(b *bed) {
		b.start()
		for _, tc := range []struct {
			o    cargo
			want any
		}{
			{cargo{What: "struct"}, spot},
			{cargo{What: "structs"}, map[string]any{"list": []any{spot}, "pointer": spot}},
		} {
			p := b.porter(tc.o.What, tc.o.make())
			for range 3 { // before the connection stands, and afterwards
				sameAs(b, tc.want)(PorterEcho.Call(b.ctx, p, tc.o.make()))
			}
			sameAs(b, tc.want)(PorterGiven.Call(b.ctx, p, actor.None{}))
			sameAs(b, tc.want)(PorterGive.Call(b.ctx, p, tc.o))
			sameAs(b, tc.want)(b.item(p, tc.o))
		}
	})
}

// A result or an item without a receiver holds no arrays.
func TestUnsentArraysAreReleased(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start()
		p := b.porter("p", nil)
		before := must(PorterHeld.Call(b.ctx, p, actor.None{}))
		for _, o := range []cargo{{What: "func", N: 3}, {N: codec.MaxSegments + 1}, {What: "itself", N: 2}, {What: "mutex", N: 1}, {What: "error", N: 2}} {
			if _, err := PorterPack.Call(b.ctx, p, o); err == nil {
				b.Errorf("%+v: no error", o)
			}
			for v, err := range PorterItem.Open(b.ctx, p, o) {
				if err == nil {
					b.Errorf("%+v: %v", o, v)
				}
			}
			if n := must(PorterHeld.Call(b.ctx, p, actor.None{})); n != before {
				b.Errorf("%+v: %d arrays are held, %d before", o, n, before)
			}
		}
	})
}

// declared is what a declaration panics with.
func declared(t *testing.T, declare func()) (text string) {
	t.Helper()
	defer func() { text, _ = recover().(string) }()
	declare()
	return ""
}

func TestDeclarationsThatCannotTravel(t *testing.T) {
	type hit struct{ Count atomic.Int64 }
	type jobs struct{ List []struct{ Done func() } }
	for name, tc := range map[string]struct {
		declare func()
		want    []string
	}{
		"request":     {func() { actor.DeclareMethod[hit, int](Porters, "bad request") }, []string{"bad request", "porter", "request", "hit", "Count", "atomic.Int64"}},
		"response":    {func() { actor.DeclareMethod[int, jobs](Porters, "bad response") }, []string{"response", "jobs", "List[].Done", "func()"}},
		"item":        {func() { actor.DeclareStream[int, fmt.Stringer](Porters, "bad item") }, []string{"item", "fmt.Stringer", "interface"}},
		"constructor": {func() { actor.Declare[Till, chan int]("bad constructor") }, []string{"bad constructor", "chan int"}},
		"nil":         {func() { actor.Declare[Till, int]("nil sentinel", actor.KindOptions{Errors: []error{nil}}) }, []string{"nil sentinel"}},
		"equal": {func() {
			actor.Declare[Till, int]("equal", actor.KindOptions{Errors: []error{errors.New("gone"), errors.New("gone")}})
		}, []string{"equal", `"gone"`}},
		"empty": {func() {
			actor.Declare[Till, int]("empty", actor.KindOptions{Errors: []error{errors.New(""), errors.New("")}})
		}, []string{"empty", `""`}},
	} {
		text := declared(t, tc.declare)
		for _, want := range tc.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q does not name %s", name, text, want)
			}
		}
	}
	tree, err := supervisor.Start(t.Context(), supervisor.Spec{}, supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Stop(context.Background())
	panicked := declared(t, func() { actor.NewInbox[hit](tree, 1) })
	if !strings.Contains(panicked, "atomic.Int64") {
		t.Errorf("inbox: %q", panicked)
	}
}

// careless has sentinels of texts that other kinds' have, and one of none.
type careless struct{}

var (
	errCareless = errors.New("left the building") // errLeft has the same text
	errNoText   = errors.New("")
)

// fault is an error type of its own.
type fault struct {
	Code int
	Err  error
}

func (f *fault) Error() string { return fmt.Sprint("fault ", f.Code, ": ", f.Err) }
func (f *fault) Unwrap() error { return f.Err }

func (*careless) Fail(_ context.Context, what string) (int, error) { return 0, failure(what) }

func failure(what string) error {
	switch what {
	case "same text":
		return errCareless
	case "no text":
		return errNoText
	case "undeclared, no text":
		return errors.New("")
	}
	return &fault{7, errCareless}
}

func (c *careless) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// runner ends with an error of its own type, or fails to start with that of another actor.
type runner struct{ what string }

func newRunner(ctx context.Context, what string) (*runner, error) {
	if what == "ask" {
		sc, _ := actor.ScopeOf(ctx)
		other, err := Carelesses.Lookup(sc, "/c")
		if err == nil {
			_, err = Fail.Call(ctx, other, "typed")
		}
		return nil, &fault{1, err}
	}
	return &runner{what}, nil
}

func (r *runner) Run(ctx context.Context) error {
	if r.what == "run" {
		return &fault{2, errCareless}
	}
	<-ctx.Done()
	return nil
}

var (
	Carelesses = actor.Define("careless", func(context.Context, actor.None) (*careless, error) { return &careless{}, nil }, actor.KindOptions{Errors: []error{errCareless, errNoText}})
	Fail       = actor.DefineMethod(Carelesses, "fail", (*careless).Fail)
	Runners    = actor.Define("runner", newRunner)
)

// Errors are told apart by what they are, not by their text.
func TestErrorsOfEqualText(t *testing.T) {
	if errCareless.Error() != errLeft.Error() {
		t.Fatalf("%q and %q are to be the same", errCareless, errLeft)
	}
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "c", Run: Carelesses.With(actor.None{})}, supervisor.Child{Name: "l", Run: Leavers.With("")})
		c := must(Carelesses.Lookup(b.tree, "c"))
		for what, want := range map[string]error{"same text": errCareless, "no text": errNoText, "undeclared, no text": nil, "typed": errCareless} {
			_, err := Fail.Call(b.ctx, c, what)
			var r *actor.RemoteError
			if !errors.As(err, &r) || r.Value != nil || r.Text != failure(what).Error() {
				b.Errorf("%s: %#v", what, err)
			}
			for _, s := range []error{errCareless, errNoText, errLeft} {
				if errors.Is(err, s) != (s == want) {
					b.Errorf("%s: errors.Is(%v, %q) = %v", what, err, s, s != want)
				}
			}
		}
		_, err := Leave.Call(b.ctx, b.leaver("l"), "exit")
		b.exit(err)
		if !errors.Is(err, errLeft) || errors.Is(err, errCareless) {
			b.Errorf("the other kind's: %#v", err)
		}
	})
}

// What a constructor or Run returns is the same in both modes: the text, the
// sentinels, and what another actor had answered; not the type.
func TestErrorsOfAnEndAreTheSame(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "c", Run: Carelesses.With(actor.None{})})
		same := func(err error, path, text string) *actor.RemoteError {
			b.Helper()
			var f *fault
			var r *actor.RemoteError
			if errors.As(err, &f) || !errors.As(err, &r) || r.Path != path || r.Method != "" || r.Text != text || !errors.Is(err, errCareless) || errors.Is(err, errLeft) {
				b.Fatalf("%#v (%+v)", err, r)
			}
			return r
		}
		err := b.tree.StartChild(b.ctx, supervisor.Child{Name: "r", Run: Runners.With("ask"), Restart: supervisor.Temporary})
		outer := same(err, "/r", "fault 1: fault 7: left the building")
		var inner *actor.RemoteError
		if !errors.As(errors.Join(outer.Causes...), &inner) || inner.Path != "/c" || inner.Method != "fail" || inner.Text != "fault 7: left the building" {
			b.Errorf("what /c had answered: %+v", inner)
		}
		ends := b.tree.Events(b.ctx)
		b.must(b.tree.StartChild(b.ctx, supervisor.Child{Name: "t", Run: Runners.With("run"), Restart: supervisor.Temporary}))
		for e := range ends {
			if e.Type == actor.EventExited && e.Path == "/t" {
				same(e.Exit.Err, "/t", "fault 2: left the building")
				break
			}
		}
	})
}

func sameAs(b *bed, want any) func(any, error) {
	return func(got any, err error) {
		b.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			b.Errorf("%#v, %v; want %#v", got, err, want)
		}
	}
}
