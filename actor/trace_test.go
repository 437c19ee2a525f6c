package actor_test

import (
	"context"
	"maps"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

type tracer struct{}

var (
	tracers    = actor.Define("tracer", func(context.Context, actor.None) (*tracer, error) { return &tracer{}, nil })
	traceOf    = actor.DefineMethod(tracers, "trace", (*tracer).Trace)
	traceThere = actor.DefineMethod(tracers, "forward", (*tracer).Forward)
)

func (*tracer) Trace(ctx context.Context, _ actor.None) (map[string]string, error) {
	return actor.Trace(ctx), nil
}

// Forward asks another tracer under the same context.
func (*tracer) Forward(ctx context.Context, to actor.Ref[tracer]) (map[string]string, error) {
	return traceOf.Call(ctx, to, actor.None{})
}

func TestTraceTravelsAlongCalls(t *testing.T) {
	sys, err := runtime.NewSystem(runtime.SystemOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	defer sys.Close(context.Background())
	var refs []actor.Ref[tracer]
	for _, id := range []string{"a", "b"} {
		bp, err := runtime.EncodeRole(tracers.With(actor.None{}), runtime.Settings{InProcess: true}, 0)
		if err != nil {
			t.Fatal(err)
		}
		i := sys.Launch("/"+id, bp)
		<-i.Ready()
		ref, err := tracers.Lookup(sys, id)
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	want := map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	got, err := traceThere.Call(actor.WithTrace(ctx, want), refs[0], refs[1])
	if err != nil || !maps.Equal(got, want) {
		t.Fatalf("trace %v (%v), want %v", got, err, want)
	}
	if got, err := traceOf.Call(ctx, refs[0], actor.None{}); err != nil || len(got) != 0 {
		t.Fatalf("trace %v (%v) of a call without one", got, err)
	}
}
