package runtime

import (
	"time"

	"github.com/understudy-go/understudy/actor"
)

// forever as a stop timeout has no end. Every negative one says so.
const forever time.Duration = -1

// Defaults of [Settings], and of the bounds of a mailbox.
const (
	DefaultStopTimeout   = 5 * time.Second  // OTP's worker default
	DefaultStartTimeout  = 30 * time.Second // must exist: a hung constructor would hang the tree
	DefaultCapacity      = 1024             // messages per connection
	DefaultCapacityBytes = 8 << 20          // bytes per connection
)

// Settings is what the launch of an actor is told. The zero value is the
// default.
type Settings struct {
	StopTimeout  *time.Duration // nil: 5 s; 0: killed at once; negative: none
	StartTimeout time.Duration  // 0: 30 s
	InProcess    bool           // in a goroutine of this process
	Drain        bool           // an orderly stop serves what is in the mailbox first
	Supervisor   bool           // it is a supervisor, whose end by itself is a shutdown to its parent
	Series       string         // see actor.Event
	Watchdog     time.Duration  // asked for a sign of life in this interval, killed if none comes within another; 0: not
	Mailbox      actor.Mailbox
	Process      actor.Process
}

// Transport is a way for messages to travel between two processes.
type Transport int

const (
	// AutoTransport is shared memory (rings) for small messages of connections that are
	// used, and the socket for all else. Where the kernel cannot make rings it
	// is the socket alone, and an event of type socket only says so.
	AutoTransport Transport = iota
	// SocketTransport is the socket alone.
	SocketTransport
	// RingTransport is AutoTransport for connections that are known to be used: they get their
	// rings before the first message, and not after a few.
	RingTransport
)
