package supervisor

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// poolRunner is one incarnation of a pool: it feeds the core and carries out
// what the core wants. It has no goroutine of its own: the goroutine that brings an event
// works the queue off, unless another is at it. So a message to a pool needs no
// wake-up more than one to an actor.
type poolRunner struct {
	tree   *Tree
	path   string
	plan   *poolLauncher
	core   *poolCore
	begun  time.Time
	pool   *runtime.Pool
	sample chan struct{} // closed to end the sampling of memory

	queueMu sync.Mutex
	notes   []poolNote
	spare   []poolNote // the memory of those that are done
	busy    bool       // a goroutine works them off

	// What follows belongs to the goroutine that is at it.
	messages map[messageID]*runtime.PoolMessage
	tokens   map[uint64]grantID // of messages in hand
	grants   map[messageID]grantID
	timer    *time.Timer
	rolls    map[callID]chan error

	mu      sync.Mutex // guards what is written by that goroutine and read by others
	workers []*poolWorkerRun
	ended   poolEnd
	crashed bool
	killed  bool
	limits  []*time.Timer

	lastRoll atomic.Int64
	ready    chan struct{}
	startErr error
	done     chan struct{}
}

// poolWorkerRun is a worker's process.
type poolWorkerRun struct {
	id    workerID
	name  string
	inst  *runtime.Instance
	way   runtime.PoolWorker
	state string
	since time.Time
	open  map[grantID]*runtime.PoolMessage // sent there, and not over
	hands []poolHand
	exit  *workerEnd // once it is reaped
}

// workerEnd is how a worker ended: what the core passes around.
type workerEnd struct {
	down actor.Down
	err  error // it did not start
}

// poolNote is something that happened.
type poolNote struct {
	what  noteKind
	m     *runtime.PoolMessage
	flag  bool
	event poolEvent
	w     *poolWorkerRun
	exit  *workerEnd
	roll  chan error
}

type noteKind uint8

const (
	noteEvent noteKind = iota
	noteSubmit
	noteGiveUp
	noteOver
	noteLost
	noteBlocked
	noteConnected
	noteExited
	noteRoll
)

// startPool begins the start of a pool.
func startPool(parent *Tree, path string, l *poolLauncher) instance {
	r := &poolRunner{
		tree: parent, path: path, plan: l, core: l.core(), begun: time.Now(),
		messages: make(map[messageID]*runtime.PoolMessage),
		tokens:   make(map[uint64]grantID),
		grants:   make(map[messageID]grantID),
		rolls:    make(map[callID]chan error),
		sample:   make(chan struct{}),
		ready:    make(chan struct{}),
		done:     make(chan struct{}),
	}
	r.core.seed = rand.Uint64()
	r.pool = parent.system.OpenPool(path, l.role, r)
	if l.rules.recycle.Memory > 0 {
		go r.sampleMemory()
	}
	r.post(poolNote{event: poolBegin{}})
	return r
}

// Submit implements [runtime.Dispatcher].
func (r *poolRunner) Submit(m *runtime.PoolMessage) { r.note(poolNote{what: noteSubmit, m: m}) }

// GiveUp implements [runtime.Dispatcher].
func (r *poolRunner) GiveUp(m *runtime.PoolMessage) { r.note(poolNote{what: noteGiveUp, m: m}) }

// Over implements [runtime.Dispatcher].
func (r *poolRunner) Over(m *runtime.PoolMessage) { r.note(poolNote{what: noteOver, m: m}) }

// Lost implements [runtime.Dispatcher].
func (r *poolRunner) Lost(m *runtime.PoolMessage, begun bool) {
	r.note(poolNote{what: noteLost, m: m, flag: begun})
}

// Blocked implements [runtime.Dispatcher].
func (r *poolRunner) Blocked(m *runtime.PoolMessage, blocked bool) {
	if r.plan.rules.maxHandle > 0 {
		r.note(poolNote{what: noteBlocked, m: m, flag: blocked})
	}
}

func (r *poolRunner) note(n poolNote) {
	r.queueMu.Lock()
	r.notes = append(r.notes, n)
	r.queueMu.Unlock()
}

func (r *poolRunner) post(n poolNote) {
	r.note(n)
	r.Run()
}

// Run works the notes off, unless another goroutine is at it, which then does
// those, too.
func (r *poolRunner) Run() {
	r.queueMu.Lock()
	if r.busy {
		r.queueMu.Unlock()
		return
	}
	r.busy = true
	for len(r.notes) > 0 {
		notes := r.notes
		r.notes, r.spare = r.spare[:0], nil
		r.queueMu.Unlock()
		for _, n := range notes {
			r.handle(n)
		}
		clear(notes)
		r.queueMu.Lock()
		r.spare = notes
	}
	r.busy = false
	r.queueMu.Unlock()
}

func (r *poolRunner) step(ev poolEvent) {
	for _, a := range r.core.step(time.Since(r.begun), ev) {
		r.carryOut(a)
	}
}

func (r *poolRunner) handle(n poolNote) {
	switch n.what {
	case noteEvent:
		r.step(n.event)
	case noteSubmit:
		r.submit(n.m)
	case noteGiveUp:
		id := messageID(n.m.ID)
		if r.messages[id] != nil {
			r.step(messageCancelled{message: id, grant: r.grants[id]})
		}
		n.m.GivenUp()
	case noteOver:
		id := messageID(n.m.ID)
		g := r.grants[id]
		w := r.closeGrant(n.m, g)
		delete(r.messages, id)
		r.step(slotReturned{grant: g})
		if w != nil {
			r.reap(w)
		}
	case noteLost:
		g := r.grants[messageID(n.m.ID)]
		if w := r.closeGrant(n.m, g); w != nil {
			w.hands = append(w.hands, poolHand{grant: g, begun: n.flag})
			r.reap(w)
		}
	case noteBlocked:
		switch g := r.grants[messageID(n.m.ID)]; {
		case g == 0:
		case n.flag:
			r.step(handleBlocked{g})
		default:
			r.step(handleResumed{g})
		}
	case noteConnected:
		if r.setState(n.w, "running") {
			r.step(workerReady{worker: n.w.id, memory: n.w.inst.Resident()})
		}
	case noteExited:
		r.mu.Lock()
		n.w.exit = n.exit
		n.w.state, n.w.since = "exited", time.Now()
		r.mu.Unlock()
		r.reap(n.w)
	case noteRoll:
		r.roll(n)
	}
}

// submit takes a message in.
func (r *poolRunner) submit(m *runtime.PoolMessage) {
	id := messageID(m.ID)
	pm := poolMessage{id: id, sender: 1, bytes: m.Size, try: m.Try, order: m.Order, key: m.Key, once: m.Stream,
		safe: r.plan.kind.Repeatable(m.Method)}
	for _, token := range m.Chain {
		if g, ok := r.tokens[token]; ok {
			pm.chain = append(pm.chain, g)
		}
	}
	r.messages[id] = m
	r.step(messageSent{pm})
	if m.Cast && r.messages[id] != nil && r.core.inQueue(id) {
		m.Admit()
	}
}

// closeGrant ends the books of a message at a worker, and returns that.
func (r *poolRunner) closeGrant(m *runtime.PoolMessage, g grantID) *poolWorkerRun {
	delete(r.grants, messageID(m.ID))
	delete(r.tokens, m.Token)
	for _, w := range r.workers {
		if w.open[g] != nil {
			delete(w.open, g)
			return w
		}
	}
	return nil
}

// reap tells the core of the end of a worker, once it is known what had become
// of each message that was sent there.
func (r *poolRunner) reap(w *poolWorkerRun) {
	if w.exit == nil || len(w.open) > 0 {
		return
	}
	r.mu.Lock()
	for i, other := range r.workers {
		if other == w {
			r.workers = append(r.workers[:i:i], r.workers[i+1:]...)
			break
		}
	}
	r.mu.Unlock()
	final := w.exit.down.DoNotRestart
	if w.exit.err != nil {
		r.step(workerFailed{worker: w.id, exit: w.exit, final: final})
		return
	}
	r.step(workerExited{worker: w.id, exit: w.exit, final: final, hands: w.hands})
}

func (r *poolRunner) worker(id workerID) *poolWorkerRun {
	for _, w := range r.workers {
		if w.id == id {
			return w
		}
	}
	return nil
}

func (r *poolRunner) setState(w *poolWorkerRun, state string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.state == "stopping" || w.exit != nil {
		return false
	}
	w.state, w.since = state, time.Now()
	return true
}

// carryOut does what the core wants.
func (r *poolRunner) carryOut(a poolAction) {
	switch a := a.(type) {
	case startWorker:
		r.start(a)
	case stopWorker:
		r.stop(a)
	case grantSlot:
		m, w := r.messages[a.message], r.worker(a.worker)
		w.open[a.grant] = m
		r.grants[a.message] = a.grant
		r.tokens[m.Token] = a.grant
		if r.plan.rules.maxHandle > 0 { // it is free, so that it begins at once; one that does not must not hold the message, either
			r.note(poolNote{event: handleBegun{a.grant}})
		}
		m.Send(w.way)
	case admitMessage:
		if m := r.messages[a.message]; m != nil {
			m.Admit()
		}
	case failMessage:
		if m := r.messages[a.message]; m != nil {
			delete(r.messages, a.message)
			m.Fail(r.failure(m, a))
		}
	case poolWake:
		r.wake(a.at)
	case poolStarted:
		r.pool.Up()
		close(r.ready)
	case poolRolled:
		r.rolled(a)
	case poolQuarantined:
		e := actor.Event{Type: actor.EventQuarantined, Path: r.path, Kind: r.plan.kind.Name, Incarnation: r.Incarnation(), Detail: a.key}
		if x, ok := a.exit.(*workerEnd); ok {
			e.Exit = &x.down.ExitStatus
		}
		r.tree.host.Emit(e)
	case poolEnd:
		r.end(a)
	}
}

func (r *poolRunner) wake(at time.Duration) {
	if r.timer != nil {
		r.timer.Stop()
	}
	r.timer = time.AfterFunc(at-time.Since(r.begun), func() { r.post(poolNote{event: poolTick{}}) })
}

// start starts a worker.
func (r *poolRunner) start(a startWorker) {
	w := &poolWorkerRun{id: a.worker, name: fmt.Sprintf("%s-%d", r.plan.name, a.worker), state: "starting", since: time.Now(),
		open: make(map[grantID]*runtime.PoolMessage)}
	path := join(r.path, w.name)
	w.inst = r.tree.system.Launch(path, r.plan.role)
	r.mu.Lock()
	r.workers = append(r.workers, w)
	r.mu.Unlock()
	go r.watch(w, path)
}

// watch turns what becomes of a worker into notes.
func (r *poolRunner) watch(w *poolWorkerRun, path string) {
	<-w.inst.Ready()
	err := w.inst.StartErr()
	if err == nil {
		w.way = w.inst.ConnectWorker()
		r.post(poolNote{what: noteConnected, w: w})
	}
	<-w.inst.Done()
	r.tree.host.SetState(path, runtime.PathGone) // what it had not begun comes back
	r.post(poolNote{what: noteExited, w: w, exit: &workerEnd{down: w.inst.Down(), err: err}})
}

// stop asks a worker to end, or kills it.
func (r *poolRunner) stop(a stopWorker) {
	w := r.worker(a.worker)
	if w == nil {
		return
	}
	r.setState(w, "stopping")
	w.inst.Because(a.why.String())
	switch {
	case a.why == stopDeadline:
		w.inst.KillLate(fmt.Errorf("a handler went on after its caller's time was over, for longer than the grace of %v", r.plan.rules.grace))
	case a.why == stopMaxHandle:
		w.inst.KillLate(fmt.Errorf("a handler had one message for longer than %v", r.plan.rules.maxHandle))
	case a.why == stopLease:
		w.inst.Kill()
	case a.kill:
		w.inst.Stop(0)
	default:
		w.inst.Stop(*r.plan.role.Settings().StopTimeout)
	}
}

// samples is how often the memory of the workers is looked at.
const samples = 100 * time.Millisecond

func (r *poolRunner) sampleMemory() {
	tick := time.NewTicker(samples)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-r.sample:
			return
		}
		r.mu.Lock()
		workers := append([]*poolWorkerRun(nil), r.workers...)
		r.mu.Unlock()
		for _, w := range workers {
			if n := w.inst.Resident(); n > 0 {
				r.post(poolNote{event: workerMemory{worker: w.id, bytes: n}})
			}
		}
	}
}
