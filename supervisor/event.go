package supervisor

import (
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// event is what can happen to a supervisor. The set is closed.
type event interface{ isEvent() }

type (
	// begin starts the children of the spec. It is the first event.
	begin struct{}

	// childReady: the constructor of that incarnation returned nil.
	childReady struct {
		id  string
		inc int
	}
	// childFailed: that incarnation did not become ready, and is reaped.
	childFailed struct {
		id   string
		inc  int
		err  error
		exit actor.ExitStatus
	}
	// childExited: that incarnation was ready, has ended, and is reaped.
	childExited struct {
		id   string
		inc  int
		exit actor.ExitStatus
	}
	// retryDue: the timer that armRetry asked for has fired.
	retryDue struct {
		id    string
		retry int
	}

	// called is an admin call. It is answered by exactly one reply.
	called struct {
		call callID
		verb verb
		id   string
		spec spec // verbStart

		overtaken bool // by a restart of its group, after which it begins again
	}
	// callCancelled: the caller does not wait any more. One that has not
	// begun never will; a start under way is undone.
	callCancelled struct {
		call callID
		id   string
		err  error
	}

	// stopAsked: stop in order, then end.
	stopAsked struct{}
	// startCut: the time to start the children of the spec is up. It means
	// nothing once they are up.
	startCut struct{ err error }
	// killAsked: the time for an orderly stop is up.
	killAsked struct{}

	// pinged asks whether the loop turns. It is the runner's alone.
	pinged struct{ turned chan struct{} }
)

func (begin) isEvent()         {}
func (childReady) isEvent()    {}
func (childFailed) isEvent()   {}
func (childExited) isEvent()   {}
func (retryDue) isEvent()      {}
func (called) isEvent()        {}
func (callCancelled) isEvent() {}
func (stopAsked) isEvent()     {}
func (startCut) isEvent()      {}
func (killAsked) isEvent()     {}
func (pinged) isEvent()        {}

// callID names an admin call; 0 is none.
type callID int

// verb is what an admin call asks for.
type verb uint8

const (
	verbStart verb = iota
	verbStop
	verbRestart
	verbDelete
	verbKill
)

var verbNames = [...]string{"start child", "stop child", "restart child", "delete child", "kill child"}

func (v verb) String() string { return verbNames[v] }

// action is what the core wants done. The set is closed.
type action interface{ isAction() }

type (
	// launch begins an incarnation. childReady or childFailed follows.
	launch struct {
		id   string
		inc  int
		spec any
	}
	// stop asks an incarnation to end, to be killed after timeout.
	// childFailed or childExited follows.
	stop struct {
		id      string
		inc     int
		timeout time.Duration
	}
	// kill ends an incarnation by force, as if it had crashed. childFailed or
	// childExited follows.
	kill struct {
		id  string
		inc int
	}
	// reply answers an admin call.
	reply struct {
		call callID
		err  error
	}
	// armRetry asks for retryDue after the delay, of which the share jitter
	// must be random.
	armRetry struct {
		id     string
		retry  int
		delay  time.Duration
		jitter float64
	}
	// setPath is what senders are to know about the child's path.
	setPath struct {
		id    string
		state runtime.PathState
		spec  any
	}
	// emit reports something. An empty id is the supervisor itself.
	emit struct {
		what actor.EventType
		id   string
		inc  int
		exit *actor.ExitStatus
		err  error
	}
	// started: the children of the spec are up.
	started struct{}
	// end: nothing runs any more; the supervisor is over. It is the last action.
	end struct {
		cause endCause
		err   error
	}
)

func (launch) isAction()   {}
func (stop) isAction()     {}
func (kill) isAction()     {}
func (reply) isAction()    {}
func (armRetry) isAction() {}
func (setPath) isAction()  {}
func (emit) isAction()     {}
func (started) isAction()  {}
func (end) isAction()      {}

// endCause is why a supervisor ends. To its parent each of them is a shutdown,
// except a failed start.
type endCause uint8

const (
	endStopped endCause = iota
	endStartFailed
	endGaveUp
	endAutoShutdown
)
