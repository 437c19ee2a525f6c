// Command bench measures what actors in processes of their own cost, each
// figure beside its floor: the least that the same work can cost with nothing
// but the kernel and Go's runtime in between. Both are measured in turns in the
// same run, so that their ratio means something on a machine that is shared,
// warm or slow. README.md has the rows and the schema of -json.
//
//	go run ./bench                     everything, about two minutes
//	go run ./bench -quick              a few seconds, for a look and for CI
//	go run ./bench -only '^call|spawn' some rows
//	go run ./bench -json > bench.json
package main

import (
	"os"

	"github.com/understudy-go/understudy/actor"
)

func main() {
	runFloorIfAsked()
	actor.Main()
	os.Exit(command(os.Args[1:], os.Stdout, os.Stderr))
}
