package supervisor_test

import (
	"context"
	"fmt"
	"log"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

func Example() {
	// In a program, actor.Main() is the first line of main: actors are processes.
	ctx := context.Background()
	tree, err := supervisor.Start(ctx, supervisor.Spec{
		Logger: quiet,
		Children: []supervisor.Child{
			supervisor.Actor(players, "hits", 0),
			supervisor.Actor(players, "jobs", 7, supervisor.Transient),
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer tree.Stop(ctx)

	hits, err := players.Ref(tree, "hits")
	if err != nil {
		log.Fatal(err)
	}
	_, err = endBy.Call(ctx, hits, "a bug")
	exit, _ := actor.IsExit(err)
	fmt.Println("the actor ended by a", exit.Reason)

	n, err := add.Call(ctx, hits, 2) // its understudy is on stage
	fmt.Println(n, err)
	// Output:
	// the actor ended by a panic
	// 2 <nil>
}
