// Pingpong: a frontend pings, a backend in a process of its own pongs.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

type player struct{} // the backend: a plain type

func newPlayer(context.Context, actor.None) (*player, error) { return &player{}, nil }
func (*player) Ping(_ context.Context, n int) (string, error) {
	return fmt.Sprintf("pong %d from process %d", n, os.Getpid()), nil
}

var Players = actor.Define("player", newPlayer)                // the frontend: a kind
var Ping = actor.DefineMethod(Players, "ping", (*player).Ping) // and its typed methods

func main() {
	actor.Main() // a child process runs its actor here
	ctx := context.Background()
	tree, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{{Name: "ada", Run: Players.With(actor.None{})}}})
	if err != nil {
		log.Fatal(err)
	}
	defer tree.Stop(ctx)
	ada := Players.Ref(tree, "ada")
	for n, pong := 1, ""; n <= 3 && err == nil; n++ {
		pong, err = Ping.Call(ctx, ada, n)
		fmt.Printf("ping %d from process %d: %s\n", n, os.Getpid(), pong)
	}
	if err != nil {
		log.Print(err)
	}
}
