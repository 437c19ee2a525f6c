package supervisor

import (
	"container/list"
	"slices"
	"time"
)

// The core of a pool is one state machine,
//
//	step(at, event) []poolAction
//
// without clock, goroutine or I/O: the same events at the same times make the
// same actions. Unlike a supervisor's it changes its state in place, as it is
// stepped for every message, with thousands of others waiting.
//
// The runner feeds it events one at a time, with the (monotonic) time since
// the begin, and carries out the actions in their order. A step has two parts:
// the event is entered into the books, and then the pool is settled: whatever
// can be done is done. So no event has to know what else it makes possible.
//
// The parts: pool_core_queue.go says which message is next, pool_core_grant.go
// which worker gets it, pool_core_worker.go how many workers there are, pool_core_death.go what the
// end of one means, pool_core_recycle.go how they are replaced, and
// pool_core_kill.go when one has to go at once.

// never is the time of a wake that is not wanted.
const never time.Duration = 1<<63 - 1

// poolRules is a checked Pool: defaults are filled in.
type poolRules struct {
	slots     int // messages that one worker handles at the same time
	min, max  int
	idle      time.Duration // Forever: never shrinks
	parallel  int
	intensity int // unlimited: never gives up
	period    time.Duration
	messages  int
	bytes     int
	grace     time.Duration // Forever: never kills
	maxHandle time.Duration // 0: no limit
	recycle   Recycle
	attempts  int
	safe      bool // every message may be repeated
	deaths    int  // 0: no quarantine
	refuseFor time.Duration
	keys      int
	seed      uint64 // of the jitter
}

// workerPhase is where one worker is.
type workerPhase uint8

const (
	workerStarting workerPhase = iota
	workerServing              // ready, and takes messages
	workerDraining             // takes no more, finishes what it has in hand
	workerLeaving              // asked to end, killed or dying
)

func (p workerPhase) String() string {
	return [...]string{"starting", "serving", "draining", "leaving"}[p]
}

// poolWorker is one process, from its start until it is reaped.
type poolWorker struct {
	id     workerID
	phase  workerPhase
	grants []*poolGrant

	// While it starts.
	why      startReason
	replaces workerID // 0: none, or gone
	level    int      // of the back-off when it was started

	// While it serves.
	readyAt   time.Duration
	freeAt    time.Duration // when it last had nothing in hand
	used      uint64        // names its last grant; the least is the least recently used
	uses      int
	usesLimit int
	ageLimit  time.Duration
	memory    int64
	due       bool       // to be recycled,
	dueWhy    stopReason // for this reason
	successor workerID   // which starts
	reserved  *poolItem  // the lease that it is kept free for
	leased    bool       // all of it is granted

	// condemned: a message on it is over its time. It takes no more, and is
	// killed when it has nothing else in hand, or at killAt.
	condemned bool
	killAt    time.Duration

	doomed   bool       // killed or dying: its end does not depend on its messages
	stopped  bool       // leaving because of stopWorker
	stopWhy  stopReason // likewise
	dropping stopReason // why it drains
}

// poolGrant is the hold of one slot, or of a whole worker.
type poolGrant struct {
	id      grantID
	worker  *poolWorker
	item    *poolItem // nil: kept, the message that it was granted for is over
	sender  senderID
	orphan  bool // the sender has ended
	keep    bool
	recall  bool // asked for
	message messageID
	seq     uint64 // the place of the message that it was granted for

	// When its message has to be over; never: no limit.
	ctxAt    time.Duration // after its ctx has ended
	handleAt time.Duration // by MaxHandle
	overdue  bool          // one of them is past
	budget   time.Duration // what was left of MaxHandle when the handler last began to run
	since    time.Duration // when that was
	running  bool
}

// poolCore is the state of one pool.
type poolCore struct {
	poolRules
	now     time.Duration
	armed   time.Duration // the wake that was asked for; never: none
	actions []poolAction

	workers    []*poolWorker // in the order of their start
	lastWorker workerID
	grants     map[grantID]*poolGrant
	lastGrant  grantID
	kept       int // of them, those whose message is over
	keeping    int // of them, those that may be kept and have not been recalled

	items   map[messageID]*poolItem // those that wait and those in hand
	queue   itemList                // those that could be granted, in order
	orders  map[string]*poolOrder
	lastSeq uint64
	waiting int       // those that wait: in the queue, or behind others of their order
	chained int       // of them, those with a chain
	inside  int       // of them, those that have been admitted
	bytes   int       // of those
	outside list.List // of *poolItem: those that wait for room, in order

	refused quarantine

	level      int           // failed starts in a row
	startAfter time.Duration // no start before
	owed       int           // starts below min that replace recycled workers
	deathTimes []time.Duration
	lastExit   any

	windowEnd time.Duration // when it may shrink next; 0: no window
	surplus   int           // workers not needed at any time in the window

	roll *poolRoll

	booting  bool // until Min workers have become ready
	closing  bool // takes no messages; serves those it has
	stopping bool // every worker is asked to end
	killing  bool
	ended    bool
	cause    endCause
	endExit  any
}

// newPoolCore returns the core of a pool that has not begun. Names go on
// after those that an earlier core of the same pool has used (see lastNames);
// seed varies the jitter.
func newPoolCore(r poolRules, afterWorker workerID, afterGrant grantID) *poolCore {
	return &poolCore{
		poolRules:  r,
		armed:      never,
		lastWorker: afterWorker,
		lastGrant:  afterGrant,
		grants:     make(map[grantID]*poolGrant),
		items:      make(map[messageID]*poolItem),
		orders:     make(map[string]*poolOrder),
		refused:    newQuarantine(r.deaths, r.refuseFor, r.keys),
		booting:    true,
	}
}

// lastNames returns the last names in use, for the next core of this pool.
func (p *poolCore) lastNames() (workerID, grantID) { return p.lastWorker, p.lastGrant }

// step is the pool: what it does about one event. The caller owns the slice
// until the next step.
func (p *poolCore) step(at time.Duration, ev poolEvent) []poolAction {
	p.now = max(p.now, at)
	clear(p.actions)
	p.actions = p.actions[:0]
	p.handle(ev)
	p.settle()
	return p.actions
}

func (p *poolCore) do(a poolAction) { p.actions = append(p.actions, a) }

// handle enters one event into the books.
func (p *poolCore) handle(ev poolEvent) {
	switch ev := ev.(type) {
	case poolBegin:
	case poolTick:
		p.tick()
	case poolStopAsked:
		p.closing = true
		if !ev.drain {
			p.shutdown(endStopped, nil)
		}
	case poolKillAsked:
		p.kill()
	case poolRollAsked:
		p.rollAsked(ev.call)
	case poolRollCancelled:
		p.rollCancelled(ev.call)

	case workerReady:
		p.ready(ev)
	case workerFailed:
		p.failed(ev)
	case workerDying:
		if w := p.worker(ev.worker); w != nil && w.phase != workerStarting {
			p.leave(w, workerLeaving)
			w.doomed = true
		}
	case workerExited:
		p.exited(ev)
	case workerMemory:
		p.measured(ev)

	case messageSent:
		p.sent(ev.poolMessage)
	case messageCancelled:
		p.cancelled(ev)
	case senderGone:
		p.senderGone(ev.sender)
	case handleBegun:
		p.begun(ev.grant)
	case handleBlocked:
		p.blocked(ev.grant)
	case handleResumed:
		p.resumed(ev.grant)
	case slotReturned:
		p.returned(ev.grant, ev.replace)
	case slotKept:
		p.keptSlot(ev.grant)
	}
}

// settle does whatever can be done. What is missing is started before what is
// due is replaced.
func (p *poolCore) settle() {
	if p.ended {
		return
	}
	if p.closing && len(p.items) == 0 && len(p.grants) == 0 {
		p.shutdown(endStopped, nil)
	}
	if !p.stopping {
		p.dispatch()
		p.breakCycle()
		p.admit()
		p.trimOwed()
		p.rollOn()
		p.startWanted()
		p.recycleDue()
		p.dismissDrained()
		p.dispatch() // a lease may have lost the worker that was kept free for it
		p.recallWanted()
		p.shrinkWindow()
		if p.booting && p.serving() >= p.min {
			p.booting = false
			p.do(poolStarted{})
		}
	}
	if p.stopping && len(p.workers) == 0 {
		p.ended = true
		p.do(poolEnd{cause: p.cause, exit: p.endExit})
	}
}

// wakeBy asks for a tick at that time, unless an earlier one is on its way.
func (p *poolCore) wakeBy(at time.Duration) {
	if at < p.armed {
		p.armed = at
		p.do(poolWake{at})
	}
}

// tick does what has become due, and asks for the next tick.
func (p *poolCore) tick() {
	p.armed = never
	if !p.stopping {
		p.closeWindow()
	}
	for _, w := range slices.Clone(p.workers) {
		if !p.stopping {
			p.checkAge(w)
		}
		p.checkDeadlines(w)
	}
	p.wakeBy(p.nextDue())
}

// nextDue returns when the next thing becomes due by time alone.
func (p *poolCore) nextDue() time.Duration {
	next := never
	if !p.stopping {
		if p.windowEnd > 0 {
			next = p.windowEnd
		}
		if p.startAfter > p.now {
			next = min(next, p.startAfter)
		}
	}
	for _, w := range p.workers {
		if !p.stopping {
			next = min(next, p.ageDue(w))
		}
		if w.doomed {
			continue
		}
		if w.condemned {
			next = min(next, w.killAt)
		}
		for _, g := range w.grants {
			if !g.overdue {
				next = min(next, g.dueAt())
			}
		}
	}
	return next
}

// shutdown ends the pool: everything that waits fails, and all workers are
// asked to end side by side.
func (p *poolCore) shutdown(cause endCause, exit any) {
	if p.stopping {
		return
	}
	p.closing, p.stopping = true, true
	p.cause, p.endExit = cause, exit
	why := failStopped
	if cause != endStopped {
		why = failNoWorker
	}
	for _, it := range p.waitingItems() {
		p.fail(it, failMessage{why: why, exit: exit})
	}
	p.rollOver(rollStopped, exit)
	for _, w := range p.workers {
		if w.phase != workerLeaving {
			p.leave(w, workerLeaving)
			p.stop(w, p.killing, stopPool)
		}
	}
}

// kill cuts an orderly stop short, or does without one.
func (p *poolCore) kill() {
	if p.ended {
		return
	}
	p.killing = true
	if !p.stopping {
		p.shutdown(endStopped, nil)
		return
	}
	for _, w := range p.workers {
		w.doomed = true
		p.do(stopWorker{worker: w.id, kill: true, why: stopPool})
	}
}

// stop has the worker end; its phase has changed already.
func (p *poolCore) stop(w *poolWorker, kill bool, why stopReason) {
	w.stopped, w.stopWhy, w.doomed = true, why, kill
	p.do(stopWorker{worker: w.id, kill: kill, why: why})
}
