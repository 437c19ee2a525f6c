package python_test

import (
	"context"
	"log/slog"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/actor/python"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/supervisor"
)

func TestMain(m *testing.M) { actor.TestMain(m) }

const (
	patience    = time.Minute
	interpreter = "/usr/bin/python3"
	library     = "../../python"
)

// worker is the tag of the kind that testdata/worker.py runs.
type worker struct{}

type workerArgs struct {
	actor.Args
	Mode string
	N    int
}

type two struct {
	actor.Args
	A, B int
}

type askArgs struct {
	actor.Args
	Other actor.Ref[worker]
	N     int
}

type askFailArgs struct {
	actor.Args
	Other actor.Ref[worker]
	What  string
}

type nested struct {
	A    shm.Array[float64]
	More []shm.Array[int32]
}

type errOutOfPaint struct{}

func (errOutOfPaint) Error() string { return "out of paint" }

var ErrOutOfPaint error = errOutOfPaint{}

var (
	Workers = python.Declare[worker, workerArgs]("python-worker", program("testdata/worker.py"),
		actor.KindOptions{Errors: []error{ErrOutOfPaint}})

	Echo        = actor.DeclareMethod[any, any](Workers, "echo")
	Add         = actor.DeclareMethod[two, int](Workers, "add")
	Nothing     = actor.DeclareMethod[actor.None, actor.None](Workers, "nothing")
	Count       = actor.DeclareMethod[actor.None, int](Workers, "count")
	MainThread  = actor.DeclareMethod[actor.None, bool](Workers, "main_thread")
	Pid         = actor.DeclareMethod[actor.None, int](Workers, "pid")
	Env         = actor.DeclareMethod[string, string](Workers, "env")
	Later       = actor.DeclareMethod[int, int](Workers, "later")
	Fail        = actor.DeclareMethod[string, string](Workers, "fail")
	Bad         = actor.DeclareMethod[string, any](Workers, "bad")
	Wait        = actor.DeclareMethod[actor.None, actor.None](Workers, "wait")
	Spin        = actor.DeclareMethod[float64, string](Workers, "spin")
	Sleep       = actor.DeclareMethod[actor.None, actor.None](Workers, "sleep")
	Deadline    = actor.DeclareMethod[actor.None, float64](Workers, "deadline")
	Missing     = actor.DeclareMethod[actor.None, actor.None](Workers, "no_such_method")
	Items       = actor.DeclareStream[int, int](Workers, "items")
	AItems      = actor.DeclareStream[int, int](Workers, "aitems")
	Broken      = actor.DeclareStream[int, int](Workers, "broken")
	Frames      = actor.DeclareStream[int, shm.Array[float32]](Workers, "frames")
	NoStream    = actor.DeclareStream[int, int](Workers, "no_stream")
	Sum         = actor.DeclareMethod[shm.Array[float64], float64](Workers, "sum")
	Shape       = actor.DeclareMethod[any, []any](Workers, "shape")
	Nested      = actor.DeclareMethod[nested, float64](Workers, "nested")
	Make        = actor.DeclareMethod[int, shm.Array[float64]](Workers, "make")
	Double      = actor.DeclareMethod[shm.Array[float64], shm.Array[float64]](Workers, "double")
	Ordinary    = actor.DeclareMethod[string, shm.Array[float64]](Workers, "ordinary")
	Part        = actor.DeclareMethod[int, shm.Array[float64]](Workers, "part")
	Scalar      = actor.DeclareMethod[actor.None, float64](Workers, "scalar")
	Write       = actor.DeclareMethod[shm.Array[float64], actor.None](Workers, "write")
	Increase    = actor.DeclareMethod[shm.Array[float64], actor.None](Workers, "increase")
	Keep        = actor.DeclareMethod[shm.Array[float64], actor.None](Workers, "keep")
	KeptSum     = actor.DeclareMethod[actor.None, float64](Workers, "kept_sum")
	Drop        = actor.DeclareMethod[actor.None, actor.None](Workers, "drop")
	Back        = actor.DeclareMethod[shm.Array[float64], shm.Array[float64]](Workers, "back")
	Mappings    = actor.DeclareMethod[actor.None, int](Workers, "mappings")
	Descriptors = actor.DeclareMethod[actor.None, int](Workers, "descriptors")
	Say         = actor.DeclareMethod[string, actor.None](Workers, "say")
	Ask         = actor.DeclareMethod[askArgs, int](Workers, "ask")
	Tell        = actor.DeclareMethod[askArgs, actor.None](Workers, "tell")
	AskFail     = actor.DeclareMethod[askFailArgs, string](Workers, "ask_fail")
	AskSum      = actor.DeclareMethod[askArgs, float64](Workers, "ask_sum")
	AskWait     = actor.DeclareMethod[askFailArgs, actor.None](Workers, "ask_wait")
	AskMe       = actor.DeclareMethod[actor.Ref[worker], any](Workers, "ask_me")
	Fork        = actor.DeclareMethod[actor.None, int](Workers, "fork")
)

func program(script string) python.Program {
	return python.Program{Script: script, Interpreter: interpreter, Path: []string{library}}
}

// needPython skips a test, by name of what is missing.
func needPython(t testing.TB) {
	t.Helper()
	out, err := exec.Command(interpreter, "-c", "import msgpack, numpy").CombinedOutput()
	if err != nil {
		t.Skipf("%s with python3-msgpack and python3-numpy is missing (apt-get install python3 python3-msgpack python3-numpy): %v\n%s", interpreter, err, out)
	}
}

// bed is a tree with one worker in it.
type bed struct {
	testing.TB
	ctx  context.Context
	tree *supervisor.Tree
	log  *records
}

// records is a logger's handler that keeps what it gets.
type records struct {
	slog.Handler
	mu   sync.Mutex
	all  []map[string]any
	more chan struct{}
}

func (r *records) Enabled(context.Context, slog.Level) bool { return true }

func (r *records) Handle(_ context.Context, rec slog.Record) error {
	m := map[string]any{"text": rec.Message, "level": rec.Level}
	rec.Attrs(func(a slog.Attr) bool { m[a.Key] = a.Value.Any(); return true })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, m)
	close(r.more)
	r.more = make(chan struct{})
	return nil
}

// await returns the first record of a text.
func (b *bed) record(text string) map[string]any {
	b.Helper()
	for {
		b.log.mu.Lock()
		more := b.log.more
		for _, m := range b.log.all {
			if m["text"] == text {
				b.log.mu.Unlock()
				return m
			}
		}
		b.log.mu.Unlock()
		select {
		case <-more:
		case <-b.ctx.Done():
			b.Fatalf("no record %q", text)
		}
	}
}

func newBed(t testing.TB, children ...supervisor.Child) *bed {
	t.Helper()
	needPython(t)
	leaktest.Check(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	b := &bed{TB: t, ctx: ctx, log: &records{more: make(chan struct{})}}
	if len(children) == 0 {
		children = []supervisor.Child{{Name: "w", Run: Workers.With(workerArgs{})}}
	}
	tree, err := supervisor.Start(ctx, supervisor.Spec{Intensity: 20, Children: children}, supervisor.Options{Logger: slog.New(b.log)})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	b.tree = tree
	t.Cleanup(func() {
		if err := tree.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
		cancel()
	})
	return b
}

func (b *bed) ref(name string) actor.Ref[worker] { return Workers.Ref(b.tree, name) }

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func equal[T comparable](t testing.TB, what string, want T) func(T, error) {
	return func(got T, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", what, got, err, want)
		}
	}
}
