package actor

import "time"

// forever as a stop timeout has no end. Every negative one says so.
const forever time.Duration = -1

// Defaults of [Settings], and of the bounds of a mailbox.
const (
	DefaultStopTimeout   = 5 * time.Second  // OTP's worker default
	DefaultStartTimeout  = 30 * time.Second // must exist: a hung constructor would hang the tree
	DefaultCapacity      = 1024             // messages per link
	DefaultCapacityBytes = 8 << 20          // bytes per link
)

// Settings is what the launch of an actor is told. The zero value is the
// default.
type Settings struct {
	StopTimeout  *time.Duration // nil: 5 s; 0: killed at once; negative: none
	StartTimeout time.Duration  // 0: 30 s
	InProcess    bool           // in a goroutine of this process
	Drain        bool           // an orderly stop serves what is in the mailbox first
	Watchdog     time.Duration  // asked for a sign of life in this interval, killed if none comes within another; 0: not
	Mailbox      Mailbox
	Process      Process
}
