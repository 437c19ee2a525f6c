package actor_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/understudy-go/understudy/actor"
)

// The split form. A package that callers import declares the frontend; it is
// all they need:
type Stack struct{} // names the kind; it is not the backend

var (
	Stacks = actor.Declare[Stack, actor.None]("stack")
	Push   = actor.DeclareMethod[string, int](Stacks, "push")
	Pop    = actor.DeclareMethod[actor.None, string](Stacks, "pop")
	Len    = actor.DeclareMethod[actor.None, int](Stacks, "len")
)

// Another package, which only the program's main package imports, implements it:
type stack struct{ items []string }

var errEmpty = errors.New("empty")

func (s *stack) push(_ context.Context, item string) (int, error) {
	s.items = append(s.items, item)
	return len(s.items), nil
}

func (s *stack) pop(context.Context, actor.None) (string, error) {
	n := len(s.items) - 1
	if n < 0 {
		return "", errEmpty
	}
	defer func() { s.items = s.items[:n] }()
	return s.items[n], nil
}

func (s *stack) len(context.Context, actor.None) (int, error) { return len(s.items), nil }

func init() {
	actor.Implement(Stacks, func(context.Context, actor.None) (*stack, error) { return new(stack), nil },
		actor.ImplementMethod(Push, (*stack).push),
		actor.ImplementMethod(Pop, (*stack).pop),
		actor.ImplementMethod(Len, (*stack).len))
}

// Frontend and backend in two packages.
func ExampleDeclare() {
	ctx := context.Background()
	tree := run(ctx, Stacks.With(actor.None{}))
	defer tree.Stop(ctx)
	ref := Stacks.Ref(tree, "it")
	fmt.Println(Push.Call(ctx, ref, "plate"))
	fmt.Println(Pop.Call(ctx, ref, actor.None{}))
	fmt.Println(Len.Call(ctx, ref, actor.None{}))
	// Output:
	// 1 <nil>
	// plate <nil>
	// 0 <nil>
}
