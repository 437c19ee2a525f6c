package actor_test

import (
	"testing"

	"github.com/understudy-go/understudy/actor/actortest"
	"github.com/understudy-go/understudy/supervisor"
)

// A test of an actor without processes: the whole of a file's TestGreeter.
func ExampleDefine_test() {
	_ = func(t *testing.T) {
		tree := actortest.Start(t, supervisor.Spec{
			Children: []supervisor.Child{{Name: "it", Run: greeters.With("hello")}},
		}, actortest.Config{InProcess: true})
		got, err := greet.Call(t.Context(), greeters.Ref(tree, "it"), "world")
		if got != "hello, world" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
}
