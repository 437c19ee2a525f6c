package supervisor

import "time"

// poolEvent is what can happen to a pool. The set is closed.
type poolEvent interface{ isPoolEvent() }

// Names. They are unique within a pool and never used again, also across
// restarts of the pool itself (see newPoolCore). 0 is none.
type (
	workerID  int    // the number in a worker's name
	grantID   uint64 // one hold of one slot (or of a whole worker)
	messageID uint64 // given by the runner
	senderID  uint64 // given by the runner: one process that sends
)

// poolMessage is what the core knows about one message. It waits in the core
// by name only; its bytes stay with the runner or, if it comes from another
// process, with its sender.
type poolMessage struct {
	id     messageID
	sender senderID
	bytes  int
	// try: the sender does not wait for room in the queue.
	try bool
	// order, if not empty, is the key whose messages are handled one after
	// another, in their order.
	order string
	// key, if not empty, is the quarantine key. The runner bounds its length.
	key string
	// safe: it may be begun more than once; once: it may not, whatever the pool
	// says.
	safe, once bool
	// keep: the sender can use the slot for further messages while it is not
	// recalled.
	keep bool
	// exclusive: it wants a whole worker, for a lease.
	exclusive bool
	// chain is the grants of this pool that are held by invocations that wait
	// for this message: those of its call chain.
	chain []grantID
}

// Events of the pool as a whole.
type (
	// poolBegin starts the pool. It is the first event.
	poolBegin struct{}
	// poolTick: the time that poolWake named has come. An early tick, or one
	// too many, does no harm.
	poolTick struct{}
	// poolStopAsked: stop in order. With drain, what waits is served first.
	poolStopAsked struct{ drain bool }
	// poolKillAsked: the time for an orderly stop is up.
	poolKillAsked struct{}
	// poolRollAsked: replace every worker that exists now, one after another.
	// Exactly one poolRolled answers it.
	poolRollAsked struct{ call callID }
	// poolRollCancelled: the call has been given up. There is no answer; if no
	// other call waits, the rolling restart ends with the worker under way.
	poolRollCancelled struct{ call callID }
)

// Events of workers.
type (
	// workerReady: its constructor returned nil. memory is what it then holds
	// resident, in bytes.
	workerReady struct {
		worker workerID
		memory int64
	}
	// workerFailed: it did not become ready, and is reaped. final: it said that
	// it should not be started again (or that there is nothing to run).
	workerFailed struct {
		worker workerID
		exit   any
		final  bool
	}
	// workerDying: it is ending, but not reaped. The event is optional, and lets
	// a replacement start the sooner. workerFailed or workerExited follows.
	workerDying struct{ worker workerID }
	// workerExited: it was ready, and is reaped. hands says what it had in hand,
	// by its progress page; a grant that is not listed had not been begun, or was
	// kept without a message.
	workerExited struct {
		worker workerID
		exit   any
		final  bool
		hands  []poolHand
	}
	// workerMemory: what it holds resident now, in bytes. The runner samples it
	// if Recycle.Memory is set.
	workerMemory struct {
		worker workerID
		bytes  int64
	}
)

// poolHand is what a worker that died had in hand under one grant.
type poolHand struct {
	grant grantID
	// begun: the worker had begun it. What is not known counts as begun. A
	// lease in use is begun.
	begun bool
	// next is the message, if the slot was kept and this is not the message
	// that it was granted for; the core hears of it here first.
	next *poolMessage
}

// Events of messages and slots.
type (
	// messageSent: a message wants a slot. What becomes of it is told by exactly
	// one of: slotReturned or slotKept after a grant (it is over), or failMessage.
	messageSent struct{ poolMessage }
	// messageCancelled: its ctx has ended, or its caller has given up. If it is
	// in hand, its worker has the grace to return. grant names the slot if it was
	// sent under a kept one. The sender of a message that is cancelled in hand
	// returns the slot after it, and does not keep it: so the kill for this
	// message never hits another.
	messageCancelled struct {
		message messageID
		grant   grantID
	}
	// senderGone: the process of the sender has ended. Its messages that wait
	// are dropped without a failMessage. Its slots stay in use until the runner
	// has learnt from the worker that nothing of them is in hand, and says
	// slotReturned.
	senderGone struct{ sender senderID }

	// handleBegun: the worker has begun the message. The event is needed only
	// with MaxHandle, which it starts.
	handleBegun struct{ grant grantID }
	// handleBlocked: the handler waits for a slow reader; handleResumed: it no
	// longer does.
	handleBlocked struct{ grant grantID }
	handleResumed struct{ grant grantID }

	// slotReturned: the message is over, or was not sent, and the slot is free.
	// replace: the worker cannot be used by others (a hook of the lease failed or
	// hung, its time is over, its holder died in it). It is killed.
	slotReturned struct {
		grant   grantID
		replace bool
	}
	// slotKept: the message is over, and the sender keeps the slot for its next
	// one, as grantSlot allowed. The core hears nothing of those (except when
	// they are cancelled, or the worker dies).
	slotKept struct{ grant grantID }
)

func (poolBegin) isPoolEvent()         {}
func (poolTick) isPoolEvent()          {}
func (poolStopAsked) isPoolEvent()     {}
func (poolKillAsked) isPoolEvent()     {}
func (poolRollAsked) isPoolEvent()     {}
func (poolRollCancelled) isPoolEvent() {}
func (workerReady) isPoolEvent()       {}
func (workerFailed) isPoolEvent()      {}
func (workerDying) isPoolEvent()       {}
func (workerExited) isPoolEvent()      {}
func (workerMemory) isPoolEvent()      {}
func (messageSent) isPoolEvent()       {}
func (messageCancelled) isPoolEvent()  {}
func (senderGone) isPoolEvent()        {}
func (handleBegun) isPoolEvent()       {}
func (handleBlocked) isPoolEvent()     {}
func (handleResumed) isPoolEvent()     {}
func (slotReturned) isPoolEvent()      {}
func (slotKept) isPoolEvent()          {}

// poolAction is what the core wants done. The set is closed.
type poolAction interface{ isPoolAction() }

type (
	// startWorker starts a worker, cold or by an understudy. workerReady or
	// workerFailed follows.
	startWorker struct {
		worker workerID
		why    startReason
		after  workerID // the worker that it replaces, if that still runs
	}
	// stopWorker asks a worker to end, to be killed after its stop timeout, or
	// kills it at once. workerFailed or workerExited follows. A worker may be
	// killed after it was asked. With stopDeadline and stopMaxHandle, grant and
	// message name whose deadline it was.
	stopWorker struct {
		worker  workerID
		kill    bool
		why     stopReason
		grant   grantID
		message messageID
	}
	// grantSlot gives the message a slot of the worker (all of them, if it is
	// exclusive): it is sent there. A sender in another process is told the worker
	// and talks to it directly. keep: it may keep the slot until it is recalled.
	grantSlot struct {
		message messageID
		grant   grantID
		worker  workerID
		keep    bool
	}
	// recallSlot asks for a kept slot back: slotReturned follows as soon as its
	// sender has nothing in hand there.
	recallSlot struct{ grant grantID }
	// admitMessage: the message, which did not fit when it was sent, has room in
	// the queue now. A Cast that waits for room can return.
	admitMessage struct{ message messageID }
	// failMessage: the message fails. It is the last word about it.
	failMessage struct {
		message messageID
		why     failReason
		begun   bool      // by a worker, at least once
		worker  workerID  // begun: by which last
		exit    any       // how that worker ended; how the last one did, if none can be had; how the one that the key has killed did
		culprit messageID // failNeighbour: whose deadline it was
	}
	// poolWake asks for a poolTick at that time since the begin, and replaces
	// an earlier wish: one timer is enough.
	poolWake struct{ at time.Duration }
	// poolRolled answers poolRollAsked: failed is nil, or how the last of some
	// successors failed.
	poolRolled struct {
		call   callID
		why    rollResult
		failed any
	}
	// poolStarted: Min workers are ready.
	poolStarted struct{}
	// poolQuarantined reports that a key is refused from now on.
	poolQuarantined struct {
		key  string
		exit any
	}
	// poolEnd: no worker exists any more, nothing is held; the pool is over. It
	// is the last action but for failMessage for messages that come later.
	poolEnd struct {
		cause endCause
		exit  any // of the worker whose death was one too many
	}
)

func (startWorker) isPoolAction()     {}
func (stopWorker) isPoolAction()      {}
func (grantSlot) isPoolAction()       {}
func (recallSlot) isPoolAction()      {}
func (admitMessage) isPoolAction()    {}
func (failMessage) isPoolAction()     {}
func (poolWake) isPoolAction()        {}
func (poolRolled) isPoolAction()      {}
func (poolStarted) isPoolAction()     {}
func (poolQuarantined) isPoolAction() {}
func (poolEnd) isPoolAction()         {}

// startReason is why a worker is started.
type startReason uint8

const (
	startNeeded    startReason = iota // the pool is below Min
	startGrowth                       // messages wait
	startSuccessor                    // it replaces a worker that works
)

func (r startReason) String() string { return [...]string{"needed", "growth", "successor"}[r] }

// stopReason is why a worker is stopped or killed.
type stopReason uint8

const (
	stopPool      stopReason = iota // the pool stops
	stopShrink                      // it is superfluous
	stopRecycle                     // it is used up
	stopRoll                        // a rolling restart
	stopLease                       // it was spoilt by a lease
	stopDeadline                    // it did not return after the ctx of a message had ended
	stopMaxHandle                   // it had a message in hand for too long
)

func (r stopReason) String() string {
	return [...]string{"pool stops", "superfluous", "recycled", "rolling restart", "lease", "deadline", "handled too long"}[r]
}

// failReason is why a message fails.
type failReason uint8

const (
	failFull        failReason = iota // no room in the queue
	failCancelled                     // its ctx ended while it waited; exit is set if there was no worker
	failNoWorker                      // the pool gave up
	failStopped                       // the pool stops
	failQuarantined                   // its key is refused
	failCycle                         // every slot waits for this message
	failDied                          // its worker died
	failDeadline                      // its worker was killed: its own ctx had ended
	failMaxHandle                     // its worker was killed: it took too long
	failNeighbour                     // its worker was killed for another message
)

func (r failReason) String() string {
	return [...]string{"full", "cancelled", "no worker", "stopped", "quarantined", "cycle", "died", "deadline",
		"handled too long", "neighbour"}[r]
}

// rollResult is how a rolling restart ended.
type rollResult uint8

const (
	rollDone    rollResult = iota
	rollFailed             // some successors in a row failed to start; the old workers go on
	rollStopped            // the pool stops
)
