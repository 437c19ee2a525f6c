package main

import "github.com/understudy-go/understudy/supervisor"

// lane is a way between a caller and an actor. Its text is a part of the rows'
// names.
type lane string

const (
	ringLane   lane = "ring"   // the default: shared memory, readers that spin for a while
	unspunLane lane = "unspun" // shared memory, readers that sleep at once
	socketLane lane = "socket" // the socket alone
	localLane  lane = "local"  // the actor is in this process
)

// options has a tree use the lane, as far as its options decide.
func (l lane) options() supervisor.Options {
	switch l {
	case unspunLane:
		return supervisor.Options{Spin: -1}
	case socketLane:
		return supervisor.Options{Transport: "socket"}
	}
	return supervisor.Options{}
}
