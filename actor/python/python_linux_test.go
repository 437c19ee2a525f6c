package python_test

import (
	"context"
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

func TestCalls(t *testing.T) {
	b := newBed(t, supervisor.Child{Name: "w", Run: Workers.With(workerArgs{Mode: "m", N: 40})})
	w := b.ref("w")
	equal(t, "add", 42)(Add.Call(b.ctx, w, two{A: 2, B: 1}))
	equal(t, "main thread", true)(MainThread.Call(b.ctx, w, actor.None{}))
	equal(t, "later", 8)(Later.Call(b.ctx, w, 7))
	must[actor.None](t)(Nothing.Call(b.ctx, w, actor.None{}))
	equal(t, "scalar", 1.5)(Scalar.Call(b.ctx, w, actor.None{}))
	if err := Add.Cast(b.ctx, w, two{A: 3, B: 1}); err != nil {
		t.Error(err)
	}
	equal(t, "after a cast", 45)(Count.Call(b.ctx, w, actor.None{}))
	for name, v := range map[string]any{
		"nil": nil, "string": "Grüße", "not UTF-8": "a\xff\x80z", "bytes": []byte{0, 255}, "float": 1.5, "true": true,
		"list": []any{int64(1), "a", nil}, "map": map[string]any{"a": int64(1), "b": []any{}}, "large": uint64(1) << 63,
		"negative": int64(-1) << 63, "a list like a reference": []any{int64(0), int64(0), int64(6), int64(5), int64(6)},
		"5 MiB": strings.Repeat("x", 5<<20),
	} {
		if got, err := Echo.Call(b.ctx, w, v); err != nil || !reflect.DeepEqual(got, v) {
			t.Errorf("echo %s: %.50v, %v", name, got, err)
		}
	}
	// Pipelined, in order.
	var futures []*actor.Future[int]
	for range 500 {
		futures = append(futures, must[*actor.Future[int]](t)(Add.Go(b.ctx, w, two{A: 1, B: 1}), nil))
	}
	for i, f := range futures {
		equal(t, "pipelined", 46+i)(f.Result())
	}
}

func TestErrors(t *testing.T) {
	b := newBed(t)
	w := b.ref("w")
	remote := func(err error) *actor.RemoteError {
		t.Helper()
		var r *actor.RemoteError
		if !errors.As(err, &r) {
			t.Fatalf("%v is no RemoteError", err)
		}
		return r
	}
	_, err := Fail.Call(b.ctx, w, "value")
	r := remote(err)
	if r.Text != "ValueError: no such paint" || r.Type != "ValueError" || !strings.Contains(r.Traceback, "worker.py") || r.Path != "/w" || r.Method != "fail" {
		t.Errorf("an exception: %+v", r)
	}
	for _, what := range []string{"declared", "cause"} {
		if _, err = Fail.Call(b.ctx, w, what); !errors.Is(err, ErrOutOfPaint) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err = Fail.Call(b.ctx, w, "missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err = Missing.Call(b.ctx, w, actor.None{}); !errors.Is(err, actor.ErrUnknown) {
		t.Errorf("a missing method: %v", err)
	}
	for what, want := range map[string]error{"big int": nil, "object": nil, "object array": nil, "self": actor.ErrTooDeep, "deep": actor.ErrTooDeep,
		"many": actor.ErrTooManyElements, "naive": nil, "text array": nil, "set": nil} {
		_, err := Bad.Call(b.ctx, w, what)
		if remote(err); want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	equal(t, "the actor lives", "survived")(Fail.Call(b.ctx, w, ""))
}

func TestEnds(t *testing.T) {
	b := newBed(t)
	w := b.ref("w")
	exit := func(what string) *actor.ExitError {
		t.Helper()
		_, err := Fail.Call(b.ctx, w, what)
		var x *actor.ExitError
		if !errors.As(err, &x) {
			t.Fatalf("%s: %v is no ExitError", what, err)
		}
		return x
	}
	if x := exit("exit"); x.Reason != actor.ReasonExitCode || x.Code != 3 || x.Begun != actor.BegunYes || !strings.Contains(strings.Join(x.Stderr, "\n"), "last words") {
		t.Errorf("SystemExit: %v, begun %v", x, x.Begun)
	}
	if x := exit("exit0"); x.Reason != actor.ReasonNormal {
		t.Errorf("SystemExit(0): %v", x)
	}
	if x := exit("segfault"); x.Reason != actor.ReasonSignal || !strings.Contains(strings.Join(x.Stderr, "\n"), "Fatal Python error: Segmentation fault") {
		t.Errorf("a segfault: %v", x)
	}
	equal(t, "its replacement", 5)(Add.Call(b.ctx, w, two{A: 5, B: 1}))
}

func TestConstructor(t *testing.T) {
	needPython(t)
	start := func(r supervisor.Runnable) error {
		tree, err := supervisor.Start(context.Background(), supervisor.Spec{Children: []supervisor.Child{{Name: "w", Run: r}}})
		if err == nil {
			t.Error("it started")
			_ = tree.Stop(context.Background())
		}
		return err
	}
	var r *actor.RemoteError
	if err := start(Workers.With(workerArgs{Mode: "raise"})); !errors.As(err, &r) || r.Text != "ValueError: bad mode" {
		t.Errorf("an exception in the constructor: %v", err)
	}
	if err := start(Workers.With(workerArgs{Mode: "exit"})); err == nil || !strings.Contains(err.Error(), "5") {
		t.Errorf("exit in the constructor: %v", err)
	}
}

func TestPatience(t *testing.T) {
	b := newBed(t)
	w := b.ref("w")
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	got := must[float64](t)(Deadline.Call(ctx, w, actor.None{}))
	cancel()
	if got <= 0 || got > patience.Seconds() {
		t.Errorf("a deadline: %v", got)
	}
	for printed, m := range map[string]*actor.Method[worker, actor.None, actor.None]{"waiting": Wait, "sleeping": Sleep} {
		before := must[int](t)(Count.Call(b.ctx, w, actor.None{}))
		ctx, cancel := context.WithCancel(b.ctx)
		f := must[*actor.Future[actor.None]](t)(m.Go(ctx, w, actor.None{}), nil)
		b.record(printed)
		cancel()
		if _, err := f.Result(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", m.Name(), err)
		}
		equal(t, m.Name(), before+1)(Count.Call(b.ctx, w, actor.None{}))
	}
}
