package main

import (
	"github.com/hashicorp/go-plugin"

	"github.com/understudy-go/understudy/bench/peers/internal/harness"
	"github.com/understudy-go/understudy/bench/peers/internal/work"
	"github.com/understudy-go/understudy/supervisor"
)

// The rows that all others are compared with.
const (
	baseUs    = "understudy/call"
	baseFloor = "ring/raw"
)

// Everybody's codec, as the table calls it.
const (
	msgPack  = "msgpack"
	gob      = "gob"
	protobuf = "protobuf"
	pickle   = "pickle"
	erlTerm  = "erlang term"
)

const (
	bothSpin  = "both sides"
	beamSpins = "the schedulers, briefly"
)

func always() error { return nil }

// table lists everything that is measured, in the order of the report.
func table(w *workshop, o options) []harness.Row {
	rows := floors(w)
	rows = append(rows, ours(o)...)
	rows = append(rows, inGo()...)
	rows = append(rows, inOtherLanguages(w)...)
	return append(rows, elsewhere(o)...)
}

// floors are what the machine can do at all.
func floors(w *workshop) []harness.Row {
	floor := func(language, codec, spins string) harness.Facts {
		return harness.Facts{Language: language, Processes: 2, Codec: codec, Spins: spins, Role: harness.Floor}
	}
	return []harness.Row{
		{Name: "c/spin", Title: "C, shared memory", Facts: floor("C", "", bothSpin),
			Available: w.compile("spin.c"), Start: trips(w.program("spin.c"))},
		{Name: baseFloor, Title: "Go, ring in shared memory", Facts: floor("Go", "", bothSpin),
			Available: always, Start: startRing("ring", nil)},
		{Name: "ring/codec", Title: "Go, ring with a codec", Facts: floor("Go", msgPack, bothSpin),
			Available: always, Start: startRing("ring-codec", work.NewCodec())},
		{Name: "c/socketpair", Title: "C, socketpair", Facts: floor("C", "", ""),
			Available: w.compile("socketpair.c"), Start: tripsAndStreams(w.program("socketpair.c"))},
		{Name: "go/socketpair", Title: "Go, socketpair", Facts: floor("Go", "", ""),
			Available: always, Start: startSocket},
	}
}

// lane is a way between two Understudy processes. Each has its rows; those of
// the default one have the plain names.
type lane struct {
	name  string
	spins string
	lane  string
}

var lanes = []lane{
	{spins: "both sides, briefly", lane: "auto"},
	{name: "socket", lane: "socket"},
}

// ours are Understudy's rows.
func ours(o options) []harness.Row {
	var rows []harness.Row
	for _, l := range lanes {
		suffix, words := "", ""
		if l.name != "" {
			suffix, words = "/"+l.name, ", "+l.name
		}
		facts := harness.Facts{Language: "Go", Processes: 2, Codec: msgPack, Spins: l.spins, Role: harness.Ours}
		rows = append(rows,
			harness.Row{Name: baseUs + suffix, Title: "Understudy, call" + words, Facts: facts,
				Available: always, Start: startCall(l.lane, supervisor.Child{})},
			harness.Row{Name: "understudy/sibling" + suffix, Title: "Understudy, actor to actor" + words, Facts: facts,
				Available: always, Start: startSibling(l.lane)},
		)
	}
	facts := rows[0].Facts
	rows = append(rows, harness.Row{Name: "understudy/reference", Title: "Understudy, " + sizeText(o.array) + " by reference", Facts: facts,
		Available: referenceAvailable(o.array), Start: startReference(o.array)})
	facts.Processes, facts.Spins = 1, ""
	return append(rows, harness.Row{Name: "understudy/in-process", Title: "Understudy, in-process mode", Facts: facts,
		Available: always, Start: startCall("auto", supervisor.Child{InProcess: true})})
}

// inGo are the libraries that are part of this program.
func inGo() []harness.Row {
	other := func(processes int, codec string) harness.Facts {
		return harness.Facts{Language: "Go", Processes: processes, Codec: codec, Role: harness.Other}
	}
	return []harness.Row{
		{Name: "go/net-rpc", Title: "Go, net/rpc", Facts: other(2, gob),
			Available: always, Start: startNetRPC},
		{Name: "go-plugin/net-rpc", Title: "go-plugin, net/rpc", Facts: other(2, gob),
			Available: always, Start: startGoPlugin("go-plugin-net-rpc", plugin.ProtocolNetRPC, netRPCPlugin{})},
		{Name: "go-plugin/grpc", Title: "go-plugin, gRPC", Facts: other(2, protobuf),
			Available: always, Start: startGoPlugin("go-plugin-grpc", plugin.ProtocolGRPC, grpcPlugin{})},
		{Name: "protoactor/request", Title: "Proto.Actor, request", Facts: other(1, ""),
			Available: always, Start: startProtoActor},
	}
}

// inOtherLanguages are the drivers that come with this program.
func inOtherLanguages(w *workshop) []harness.Row {
	other := func(language string, processes int, codec, spins string) harness.Facts {
		return harness.Facts{Language: language, Processes: processes, Codec: codec, Spins: spins, Role: harness.Other}
	}
	return []harness.Row{
		{Name: "zeromq/ipc", Title: "ZeroMQ, ipc", Facts: other("C", 2, "", ""),
			Available: w.compile("zeromq.c", "-lzmq"), Start: trips(w.program("zeromq.c"), w.program("zeromq.sock"))},
		{Name: "python/pipe", Title: "Python, multiprocessing Pipe", Facts: other("Python", 2, pickle, ""),
			Available: installed("python3"), Start: tripsAndStreams("python3", w.source("pipe.py"))},
		{Name: "python/shared-memory", Title: "Python, Pipe and shared memory", Facts: other("Python", 2, "struct", ""),
			Available: installed("python3"), Start: trips("python3", w.source("pipe.py"), "shm")},
		{Name: "erlang/process", Title: "Erlang, process in one VM", Facts: other("Erlang", 1, "", beamSpins),
			Available: installed("escript"), Start: tripsAndStreams("escript", w.source("driver.erl"), "process")},
		{Name: "erlang/port", Title: "Erlang, port to a program in C", Facts: other("Erlang", 2, erlTerm, beamSpins),
			Available: both(installed("escript"), w.compile("port.c")),
			Start:     trips("escript", w.source("driver.erl"), "port", w.program("port.c"))},
	}
}

// elsewhere are peers whose drivers are no part of this program.
func elsewhere(o options) []harness.Row {
	inProcess := harness.Facts{Language: "Go", Processes: 1, Role: harness.Other}
	return []harness.Row{
		external(o, harness.Row{Name: "hollywood/request", Title: "Hollywood, request", Facts: inProcess}),
		external(o, harness.Row{Name: "ergo/call", Title: "Ergo, call", Facts: inProcess}),
	}
}
