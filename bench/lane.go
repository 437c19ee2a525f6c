package main

import (
	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// lane is a way between a caller and an actor. Its text is a part of the rows'
// names.
type lane string

const (
	ringLane   lane = "ring"   // the default: shared memory, readers that spin for a while
	unspunLane lane = "unspun" // shared memory, readers that sleep at once
	socketLane lane = "socket" // the socket alone
	localLane  lane = "local"  // the actor is in this process
)

// choose has a tree use the lane, as far as its spec decides.
func (l lane) choose(spec *supervisor.Spec) {
	switch l {
	case unspunLane:
		spec.Spin = -1
	case socketLane:
		spec.Lane = actor.SocketLane
	}
}
