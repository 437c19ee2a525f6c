package actor_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
)

func TestMain(m *testing.M) { actor.TestMain(m) }

type counter struct{ n int }

func newCounter(ctx context.Context, start int) (*counter, error) { return &counter{n: start}, nil }
func (c *counter) Add(ctx context.Context, n int) (int, error)    { c.n += n; return c.n, nil }
func (c *counter) Fail(ctx context.Context, s string) (int, error) {
	return 0, errors.Join(errors.New(s), io.EOF)
}
func (c *counter) Crash(ctx context.Context, s string) (int, error) { panic(s) }
func (c *counter) Count(ctx context.Context, n int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
	}
}

var (
	Counters     = actor.Define("counter", newCounter)
	CounterAdd   = actor.Handle(Counters, "add", (*counter).Add)
	CounterFail  = actor.Handle(Counters, "fail", (*counter).Fail)
	CounterCrash = actor.Handle(Counters, "crash", (*counter).Crash)
	CounterCount = actor.HandleStream(Counters, "count", (*counter).Count)
)

func TestSmoke(t *testing.T) {
	for name, opts := range map[string][]actor.Option{"process": nil, "in-process": {actor.InProcess()}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			sys, err := actor.NewSystem(actor.SystemOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer sys.Close(ctx)
			i := sys.Launch("/c", Counters.Blueprint(7, opts...))
			<-i.Ready()
			if err := i.StartErr(); err != nil {
				t.Fatal(err)
			}
			ref, err := Counters.Ref(sys, "c")
			if err != nil {
				t.Fatal(err)
			}
			for k := range 100 {
				n, err := CounterAdd.Call(ctx, ref, 1)
				if err != nil || n != 8+k {
					t.Fatal(n, err)
				}
			}
			for range 5000 {
				if err := CounterAdd.Cast(ctx, ref, 1); err != nil {
					t.Fatal(err)
				}
			}
			if n, err := CounterAdd.Call(ctx, ref, 0); err != nil || n != 5107 {
				t.Fatal(n, err)
			}
			_, err = CounterFail.Call(ctx, ref, "no")
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			n := 0
			for v, err := range CounterCount.Open(ctx, ref, 1000) {
				if err != nil || v != n {
					t.Fatal(v, err)
				}
				n++
			}
			if n != 1000 {
				t.Fatal(n)
			}
			_, err = CounterCrash.Call(ctx, ref, "boom")
			var x *actor.ExitError
			if !errors.As(err, &x) || x.Reason != actor.ReasonPanic || x.Begun != actor.BegunYes {
				t.Fatalf("%#v %v", x, err)
			}
			<-i.Done()
			i = sys.Launch("/c", Counters.Blueprint(1, opts...))
			if n, err := CounterAdd.Call(ctx, ref, 1); err != nil || n != 2 {
				t.Fatal(n, err)
			}
			i.Stop(4 * time.Second)
			<-i.Done()
			if i.Exit().Reason != actor.ReasonShutdown {
				t.Fatal(i.Exit())
			}
		})
	}
}
