package actor_test

import (
	"context"
	"fmt"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// A doorbell keeps the replies that it owes until it rings.
type doorbell struct{ waiting []*actor.Pending[string] }

func newDoorbell(context.Context, actor.None) (*doorbell, error) { return &doorbell{}, nil }

// Await answers when the bell rings: other messages are handled until then.
func (d *doorbell) Await(ctx context.Context, _ actor.None) (string, error) {
	p := actor.Later[string](ctx)
	d.waiting = append(d.waiting, p)
	return p.Pending()
}

func (d *doorbell) Ring(_ context.Context, who string) (actor.None, error) {
	for _, p := range d.waiting {
		p.Reply(who+" is at the door", nil)
	}
	d.waiting = nil
	return actor.None{}, nil
}

var (
	doorbells = actor.Define("doorbell", newDoorbell)
	await     = actor.DefineMethod(doorbells, "await", (*doorbell).Await)
	ring      = actor.DefineMethod(doorbells, "ring", (*doorbell).Ring)
)

// A reply may come after the handler has returned.
func ExampleLater() {
	ctx := context.Background()
	tree := run(ctx, doorbells.With(actor.None{}))
	defer tree.Stop(ctx)
	bell := doorbells.Ref(tree, "it")

	answer := await.Go(ctx, bell, actor.None{})
	if _, err := ring.Call(ctx, bell, "Ada"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(answer.Result())
	// Output: Ada is at the door <nil>
}

// After is a timer whose end is a message.
func ExampleAfter() {
	ctx := context.Background()
	tree := run(ctx, doorbells.With(actor.None{}))
	defer tree.Stop(ctx)
	bell := doorbells.Ref(tree, "it")

	answer := await.Go(ctx, bell, actor.None{})
	timer := actor.After(ctx, time.Millisecond, bell, ring, "Bob")
	defer timer.Stop()
	fmt.Println(answer.Result())
	// Output: Bob is at the door <nil>
}
