package actor

import (
	"time"

	"github.com/google/uuid"
)

// Incarnation names one life of an actor: a UUIDv7, never reused.
type Incarnation = uuid.UUID

// EventType says what happened.
type EventType string

const (
	EventStarting       EventType = "starting"
	EventReady          EventType = "ready"
	EventStartFailed    EventType = "start failed"
	EventIgnored        EventType = "ignored"       // its constructor returned ErrIgnore: nothing runs
	EventExited         EventType = "exited"        // an incarnation ended; Exit says how
	EventRestarting     EventType = "restarting"    // its supervisor will start it again
	EventNotRestarted   EventType = "not restarted" // its supervisor would start it again, but it said ErrDoNotRestart
	EventGaveUp         EventType = "gave up"       // a supervisor: too many restarts
	EventAutoShutdown   EventType = "auto-shutdown"
	EventStopped        EventType = "stopped"         // a supervisor, orderly, on request; of an actor EventExited says so
	EventDeadLetter     EventType = "dead letter"     // a message that will not be handled, or whose handling was cut off
	EventCastFailed     EventType = "cast failed"     // the handler of a cast returned an error: there is no caller to get it
	EventDeadlock       EventType = "deadlock"        // calls that wait for each other
	EventAbandoned      EventType = "abandoned"       // an in-process handler that did not return
	EventsDropped       EventType = "events dropped"  // to one slow reader of events: Detail says how many
	EventOutputDropped  EventType = "output dropped"  // log lines that the sink did not take in time
	EventQuarantined    EventType = "quarantined"     // a pool refuses a key from now on: Detail is the key, Exit how it ended the last worker
	EventDataRace       EventType = "data race"       // of a program built with -race: the detector found one in a process; Detail is its report
	EventConnectionLost EventType = "connection lost" // a connection ended by a fault of its peer
	EventSocketOnly     EventType = "socket only"     // a connection stays slow: this kernel, or one of its ends, cannot have rings; Err says why
)

// Event is one thing that happened in a system. Events of child processes
// travel to the root, so that one loop there sees the whole tree.
type Event struct {
	Time        time.Time
	Type        EventType
	Path        string // the actor or supervisor it is about
	Kind        string
	PID         int // 0 in-process
	Incarnation Incarnation
	Exit        *ExitStatus // exited, start failed
	Err         error       // the cause, where there is one
	Method      string      // dead letter: the message's method; exited: those in hand, as far as known
	Sender      string      // dead letter: path of the sending process's actor
	Detail      string
	Series      string // Path, with * for what was added at run time: of these there are few
}

// Down is the end of one incarnation, as a monitor sees it.
type Down struct {
	Path        string
	PID         int
	Incarnation Incarnation
	ExitStatus
}
