package supervisor_test

import (
	"context"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// initialized is what a package sees that asks while it is initialized.
var initialized = actor.InChild()

func (p *player) Initialized(context.Context, actor.None) ([2]bool, error) {
	return [2]bool{initialized, actor.InChild()}, nil
}

var inChild = actor.DefineMethod(players, "in child", (*player).Initialized)

func TestInChild(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree := start(t, ctx, supervisor.Spec{Defaults: defaults, Children: []supervisor.Child{{Name: "a", Run: players.With(1)}}})
		must(t, [2]bool{!defaults.InProcess, !defaults.InProcess})(inChild.Call(ctx, ref(t, tree, "a"), actor.None{}))
		if initialized || actor.InChild() {
			t.Error("the program itself takes itself for a child")
		}
		stop(t, ctx, tree)
	})
}
