package actor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strings"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// A backend is a plain type with plain methods.
type greeter struct{ greeting string }

func newGreeter(_ context.Context, greeting string) (*greeter, error) {
	if greeting == "" {
		return nil, errors.New("nothing to say")
	}
	return &greeter{greeting}, nil
}

func (g *greeter) Greet(_ context.Context, name string) (string, error) {
	if name == "" {
		return "", io.ErrUnexpectedEOF
	}
	return g.greeting + ", " + name, nil
}

func (g *greeter) Letters(_ context.Context, name string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, r := range g.greeting + " " + name {
			if !yield(string(r), nil) {
				return
			}
		}
	}
}

func (g *greeter) Die(context.Context, actor.None) (actor.None, error) {
	panic("out of words")
}

// The frontend: the kind, and what callers may ask of it.
var (
	greeters = actor.Define("greeter", newGreeter)
	greet    = actor.DefineMethod(greeters, "greet", (*greeter).Greet)
	letters  = actor.DefineStream(greeters, "letters", (*greeter).Letters)
	die      = actor.DefineMethod(greeters, "die", (*greeter).Die)
)

// greeterTree starts one greeter, for the examples.
func greeterTree(ctx context.Context) (*supervisor.Tree, actor.Ref[greeter]) {
	tree := run(ctx, greeters.With("hello"))
	return tree, greeters.Ref(tree, "it")
}

// run starts one child named "it", for the examples.
func run(ctx context.Context, role actor.Role) *supervisor.Tree {
	tree, err := supervisor.Start(ctx, supervisor.Spec{
		Children: []supervisor.Child{{Name: "it", Run: role}},
	}, supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	return tree
}

// The short form: one package holds frontend and backend.
func ExampleDefine() {
	ctx := context.Background()
	tree, ref := greeterTree(ctx)
	defer tree.Stop(ctx)

	fmt.Println(greet.Call(ctx, ref, "world"))
	// Output: hello, world <nil>
}

// A handler's error crosses the boundary; the actor lives on.
func ExampleMethod_Call() {
	ctx := context.Background()
	tree, ref := greeterTree(ctx)
	defer tree.Stop(ctx)

	_, err := greet.Call(ctx, ref, "")
	fmt.Println(errors.Is(err, io.ErrUnexpectedEOF))

	// A panic ends the actor. Only the call in its hands fails, and the next
	// one finds the replacement.
	_, err = die.Call(ctx, ref, actor.None{})
	var end *actor.ExitError
	if errors.As(err, &end) {
		fmt.Println(end.Reason, end.Begun)
	}
	fmt.Println(greet.Call(ctx, ref, "again"))
	// Output:
	// true
	// panic yes
	// hello, again <nil>
}

// Pipelined calls: the requests are on their way before the first response.
func ExampleMethod_Go() {
	ctx := context.Background()
	tree, ref := greeterTree(ctx)
	defer tree.Stop(ctx)

	a, b := greet.Go(ctx, ref, "a"), greet.Go(ctx, ref, "b")
	<-b.Done()
	fmt.Println(a.Result())
	fmt.Println(b.Result())
	// Output:
	// hello, a <nil>
	// hello, b <nil>
}

// Leaving the loop cancels the handler.
func ExampleDefineStream() {
	ctx := context.Background()
	tree, ref := greeterTree(ctx)
	defer tree.Stop(ctx)

	var b strings.Builder
	for letter, err := range letters.Open(ctx, ref, "world") {
		if err != nil {
			fmt.Println(err)
			return
		}
		if letter == "w" {
			break
		}
		b.WriteString(letter)
	}
	fmt.Printf("%q\n", b.String())
	// Output: "hello "
}

// An inbox receives messages in code that is not an actor.
func ExampleNewInbox() {
	ctx := context.Background()
	tree, _ := greeterTree(ctx)
	defer tree.Stop(ctx)

	in := actor.NewInbox[string](tree, 8)
	defer in.Close()
	if err := in.Ref().Send(ctx, "news"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-in.C())
	// Output: news
}

// A monitor yields each end of an actor.
func ExampleRef_Monitor() {
	ctx := context.Background()
	tree, ref := greeterTree(ctx)
	defer tree.Stop(ctx)

	downs := ref.Monitor(ctx)
	_, err := die.Call(ctx, ref, actor.None{})
	fmt.Println(errors.As(err, new(*actor.ExitError)))
	for down, err := range downs {
		fmt.Println(down.Path, down.Reason, err)
		break
	}
	// Output:
	// true
	// /it panic <nil>
}
