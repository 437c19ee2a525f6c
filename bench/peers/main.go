// Command peers measures Understudy and others side by side: everybody sends
// the same small message there and back, in rounds that interleave. README.md
// says how, and what may be compared with what. It needs Linux.
//
//	go run .                              everything, about two minutes
//	go run . -quick                       a look
//	go run . -only '^understudy|^ring'    some rows
//	go run . -json results.json -svg chart.svg
package main

import (
	"os"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/bench/peers/internal/child"
)

// roles are what this program can be beside a benchmark.
var roles = map[string]func() error{
	"ring":              ringChild,
	"ring-codec":        ringCodecChild,
	"socketpair":        socketChild,
	"netrpc":            netRPCChild,
	"go-plugin-net-rpc": goPluginNetRPCChild,
	"go-plugin-grpc":    goPluginGRPCChild,
}

func main() {
	child.RunRole(roles)
	actor.Main()
	os.Exit(command(os.Args[1:], os.Stdout, os.Stderr))
}
