package actor_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/supervisor"
)

// selfish calls itself while it is made: by a call, or by one that is awaited later.
type selfish struct{}

var (
	Selfish     *actor.Kind[selfish, bool]
	SelfishEcho *actor.Method[selfish, int, int]
)

func init() {
	Selfish = actor.Define("selfish", func(ctx context.Context, later bool) (*selfish, error) {
		scope, _ := actor.ScopeOf(ctx)
		ref := Selfish.Ref(scope, scope.Path())
		var err error
		if later {
			_, err = SelfishEcho.Go(ctx, ref, 1).Result()
		} else {
			_, err = SelfishEcho.Call(ctx, ref, 1)
		}
		return nil, err
	})
	SelfishEcho = actor.DefineMethod(Selfish, "echo", func(_ *selfish, _ context.Context, n int) (int, error) { return n, nil })
}

// A constructor that calls its own actor fails at once, not when its start times out.
func TestConstructorCallsItself(t *testing.T) {
	leaktest.Check(t)
	for _, inProcess := range []bool{true, false} {
		for _, later := range []bool{true, false} {
			_, err := supervisor.Start(t.Context(), supervisor.Spec{Children: []supervisor.Child{
				{Name: "a", Run: Selfish.With(later), InProcess: inProcess, StartTimeout: time.Hour}}})
			if !errors.Is(err, actor.ErrCallCycle) {
				t.Errorf("in-process %v, later %v: %v", inProcess, later, err)
			}
		}
	}
}
