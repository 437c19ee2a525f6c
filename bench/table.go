package main

import "fmt"

// The aims of the foundation: what a process may cost beyond the bare kernel.
const (
	callAim  = 1.6 // times a bare socketpair
	spawnAim = 1.3 // times a bare exec
	refAim   = 1.2 // times a small call, at any size
	idleAim  = 1.0 // percent of one CPU, for all idle actors together
)

const (
	bySocketpair = "raw socketpair, same bytes"
	byStream     = "raw socketpair, one write per message"
	byExec       = "bare exec to the first byte"
	byCall       = "small call"
	byMemfd      = "raw memfd, allocated and mapped"
	bySeal       = "raw mmap and seal"
	byBare       = "bare Go process, waiting in read"
)

// table lists everything that is measured, in the order of the report.
func table(s scale) []probe {
	probes := []probe{
		{rows: []row{
			{name: "call/p50", title: "call, round trip, p50", unit: nanoseconds, floor: bySocketpair, aim: aim{ratio: callAim}},
			{name: "call/p99", title: "call, round trip, p99", unit: nanoseconds, floor: bySocketpair},
			{name: "call/cpu", title: "call, CPU time of both sides", unit: nanoseconds, floor: bySocketpair},
		}, open: openCall},
	}
	probes = append(probes, laneProbes()...)
	probes = append(probes, loadProbes()...)
	for _, size := range []int{16, 256, 4 << 10, 64 << 10, 1 << 20, 4 << 20} {
		probes = append(probes, probe{rows: []row{
			{name: "inline/" + sizeName(size), title: "bytes there and back, " + sizeText(size), unit: nanoseconds, floor: bySocketpair},
		}, open: openInline(size)})
	}
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20, 1 << 30} {
		if size <= s.maximum {
			probes = append(probes, probe{rows: referenceRows(size), open: openReference(size)})
		}
	}
	return append(probes,
		probe{rows: []row{
			{name: "spawn/ready", title: "spawn to ready", unit: nanoseconds, floor: byExec, aim: aim{ratio: spawnAim}},
		}, open: openSpawn},
		probe{rows: []row{
			{name: "restart/reply", title: "SIGKILL to the replacement's first reply", unit: nanoseconds, floor: byExec},
		}, open: openRestart},
		probe{rows: []row{
			{name: "idle/memory", title: "memory of an idle actor (PSS)", unit: bytes, floor: byBare},
			{name: "idle/cpu", title: fmt.Sprintf("CPU of %d idle actors", s.idle), unit: percent, floor: byBare, aim: aim{value: idleAim}},
		}, alone: true, open: openIdle},
		crowdProbe(s), saturationProbe(),
	)
}

func referenceRows(size int) []row {
	name, text := "reference/"+sizeName(size), sizeText(size)
	return []row{
		{name: name + "/allocate", title: "array of " + text + ", allocate", unit: nanoseconds, floor: byMemfd},
		{name: name + "/freeze", title: "array of " + text + ", freeze", unit: nanoseconds, floor: bySeal},
		{name: name + "/first", title: "array of " + text + ", first call (maps it)", unit: nanoseconds, floor: byCall},
		{name: name + "/call", title: "array of " + text + ", call by reference", unit: nanoseconds, floor: byCall, aim: aim{ratio: refAim}},
	}
}
