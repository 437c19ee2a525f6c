package main

import (
	"context"
	"fmt"
)

// The aims under load.
const (
	ownCastAim    = 2e6 // per second, of a type with its own msgpack methods
	castAim       = 1e6 // per second, of any other
	crowdAim      = 1.2 // times the call without a crowd
	saturationAim = 1.1 // times the cost without spinning
)

const (
	bySocket     = "the same by the socket"
	byRingStream = "raw ring, both sides spin, one way"
	byLonely     = "an actor that knows one other only"
	byUnspun     = "the same, no spinning"
)

// loadProbes list what many messages at once come to.
func loadProbes() []probe {
	var probes []probe
	rates := func(name, title string, l load) {
		probes = append(probes, probe{rows: []row{{name: name, title: title, unit: perSecond, floor: bySocket}}, open: openRates(name, l)})
	}
	for _, n := range []int{1, 2, 8, 64} {
		words := fmt.Sprintf("%d callers at once", n)
		if n == 1 {
			words = "1 caller"
		}
		rates(fmt.Sprintf("load/%d", n), "calls of "+words, callers(n))
	}
	rates("load/pipeline", "calls pipelined, window of 64", pipelined(64))
	rates("load/stream", "items of a stream", streamed)
	plain := floodOf("cast/rate", ringLane, false, count, small)
	for _, f := range []struct {
		flood
		title, floor string
		aim          float64
	}{
		{plain, "casts handled, plain struct", byStream, castAim},
		{floodOf("cast/own", ringLane, true, countOwn, ownNote(small)), "casts handled, own msgpack methods", byRingStream, ownCastAim},
		{floodOf("cast/list", ringLane, true, countList, listNote{N: small.N, S: small.S}), "casts handled, by reflection", byRingStream, castAim},
		{floodOf("cast/socket", socketLane, false, count, small), "casts handled, by the socket", byStream, 0},
	} {
		probes = append(probes, probe{rows: []row{{name: f.name, title: f.title, unit: perSecond, floor: f.floor, aim: aim{value: f.aim}}}, open: f.open})
	}
	return append(probes,
		costProbe("cost/call", "call", sendCalls),
		costProbe("cost/cast", "cast", plain.send),
	)
}

func costProbe(name, what string, send func(context.Context, *stage, int) error) probe {
	return probe{rows: []row{
		{name: name + "/cpu", title: "CPU of a million " + what + "s, both sides", unit: seconds, floor: bySocket},
		{name: name + "/allocs/caller", title: "allocations of a " + what + ", caller", unit: allocs, floor: bySocket},
		{name: name + "/allocs/actor", title: "allocations of a " + what + ", actor", unit: allocs, floor: bySocket},
	}, open: openCost(name, send)}
}

func crowdProbe(s scale) probe {
	return probe{rows: []row{
		{name: "crowd/p50", title: fmt.Sprintf("call beside %d idle actors, p50", s.idle), unit: nanoseconds, floor: byLonely, aim: aim{ratio: crowdAim}},
	}, alone: true, open: openCrowd}
}

func saturationProbe() probe {
	return probe{rows: []row{
		{name: "saturation/rate", title: fmt.Sprintf("calls of %d actors per CPU", actorsPerCPU), unit: perSecond, floor: byUnspun, aim: aim{ratio: saturationAim}},
	}, alone: true, open: openSaturation}
}
