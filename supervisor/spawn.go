package supervisor

import (
	"context"
	"crypto/rand"
	"strings"

	"github.com/understudy-go/understudy/actor"
)

// Spawn starts one more actor of a supervisor whose Defaults are the template:
// a kind and its arguments are all that it takes. It gets a name of its own below
// t, and Spawn returns the reference to it when it is ready. Errors are those of
// [Tree.StartChild]. It is meant for the strategy Dynamic, which forgets a child
// that has ended.
func Spawn[K, A any](ctx context.Context, t *Tree, k *actor.Kind[K, A], args A) (actor.Ref[K], error) {
	name := strings.ReplaceAll(k.Name(), "/", "-") + "-" + strings.ToLower(rand.Text()[:10])
	if err := t.StartChild(ctx, Child{Name: name, Run: k.With(args)}); err != nil {
		return actor.Ref[K]{}, err
	}
	return k.Ref(t, name), nil
}
