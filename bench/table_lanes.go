package main

// The aims of the lanes: what they may cost beyond the same bytes by the same
// way with nothing around them.
const (
	ringAim    = 2.6  // times a raw ring
	sleepAim   = 1.5  // times a bare futex, which encodes nothing
	wakeAim    = 1.3  // times a bare futex after the same pause
	socketAim  = 1.5  // times a raw socketpair
	siblingAim = 1.05 // times the parent's call
)

const (
	byRing     = "raw ring, both sides spin, same bytes"
	byChannels = "two goroutines, two channels"
	byFutex    = "bare futex, both sides sleep, same bytes"
	byPause    = "raw socketpair after the same pause"
	byNap      = "bare futex after the same pause"
	byParent   = "the parent's call"
)

// laneProbes list the small call by each lane, and by the default one between
// other parties and at other times.
func laneProbes() []probe {
	var lanes []row
	for _, l := range []struct {
		lane         lane
		title, floor string
		aim          float64
	}{
		{ringLane, "call by the ring", byRing, ringAim},
		{unspunLane, "call by the ring, no spinning", byFutex, sleepAim},
		{socketLane, "call by the socket", bySocketpair, socketAim},
		{localLane, "call in this process", byChannels, 0},
	} {
		name := "lane/" + string(l.lane)
		lanes = append(lanes,
			row{name: name + "/p50", title: l.title + ", p50", unit: nanoseconds, floor: l.floor, aim: aim{ratio: l.aim}},
			row{name: name + "/p99", title: l.title + ", p99", unit: nanoseconds, floor: l.floor},
			row{name: name + "/p99.9", title: l.title + ", p99.9", unit: nanoseconds, floor: l.floor},
			row{name: name + "/cpu", title: l.title + ", CPU time", unit: nanoseconds, floor: l.floor},
		)
	}
	return []probe{
		{rows: lanes, open: openLanes},
		{rows: []row{
			{name: "sibling/p50", title: "call of a sibling, p50", unit: nanoseconds, floor: byParent, aim: aim{ratio: siblingAim}},
		}, open: openSibling},
		{rows: []row{
			{name: "wake/ring", title: "call after 2 ms, by the ring, p50", unit: nanoseconds, floor: byNap, aim: aim{ratio: wakeAim}},
			{name: "wake/socket", title: "call after 2 ms, by the socket, p50", unit: nanoseconds, floor: byPause},
		}, open: openWake},
	}
}
