package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/supervisor"
)

// birth is what a worker is made from.
type birth struct {
	Role  uint16
	Dir   string // of the journal
	Inbox actor.InboxRef[note]
	Depth int
}

// worker is the actor of all roles.
type worker struct {
	birth
	role    role
	actor   uint64
	born    time.Time
	j       *journal
	scope   actor.Scope
	out     *sender // of the handlers
	outMu   sync.Mutex
	inside  atomic.Int32
	pumps   sync.WaitGroup
	idle    chan struct{} // closed when the pumps have ended
	kept    shm.Array[uint64]
	keptFor note
}

// journals: one for each process.
var theJournal struct {
	sync.Mutex
	j *journal
}

func journalOf(dir string) (*journal, error) {
	theJournal.Lock()
	defer theJournal.Unlock()
	if theJournal.j == nil {
		j, err := openJournal(dir)
		if err != nil {
			return nil, err
		}
		theJournal.j = j
	}
	return theJournal.j, nil
}

func newWorker(ctx context.Context, b birth) (*worker, error) {
	j, err := journalOf(b.Dir)
	if err != nil {
		return nil, err
	}
	scope, ok := actor.ScopeOf(ctx)
	if !ok {
		return nil, errors.New("no scope in a constructor")
	}
	w := &worker{birth: b, role: cast[b.Role], actor: rand.Uint64(), born: time.Now(), j: j, scope: scope, idle: make(chan struct{})}
	if scope.Path() != w.role.path {
		return nil, fmt.Errorf("%s runs at %s", w.role.path, scope.Path())
	}
	w.out = newSender(scope, b, j)
	j.write(record{Entry: entryBorn, Self: b.Role, Process: self, Actor: w.actor, PID: uint32(os.Getpid()), Time: wallClock()})
	if w.role.flaky && j.now() == storm {
		switch rand.IntN(5) {
		case 0:
			return nil, errDeclined
		case 1:
			panic(panicMarker + " constructor")
		case 2:
			select {
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			case <-time.After(time.Duration(rand.IntN(400)) * time.Millisecond):
			}
		}
	}
	if w.role.child != "" {
		child, _ := roleOf(w.role.path + "/" + w.role.child)
		below := b
		below.Role = child
		c := settings(child)
		c.Name, c.Run = w.role.child, Workers.With(below)
		if _, err := supervisor.Start(ctx, supervisor.Spec{Intensity: manyRestarts, Period: time.Second,
			Children: []supervisor.Child{c}}); err != nil {
			return nil, err
		}
	}
	return w, nil
}

const manyRestarts = 1 << 20

// Run sends until it is quiet, and keeps the actor alive.
func (w *worker) Run(ctx context.Context) error {
	for range pumpsEach {
		w.pumps.Add(1)
		go func() {
			defer w.pumps.Done()
			newSender(w.scope, w.birth, w.j).pump(ctx)
		}()
	}
	w.pumps.Wait()
	close(w.idle)
	<-ctx.Done()
	return nil
}

// enter journals the begin. It returns what journals the end.
func (w *worker) enter(n *note) (leave func()) {
	r := n.key(entryBegin)
	r.Self, r.Actor = w.Role, w.actor
	w.j.write(r)
	if in := w.inside.Add(1); int(in) > w.role.slots {
		w.j.bad(r, "%d handlers at a time, %d slots", in, w.role.slots)
	}
	if n.To != w.Role {
		w.j.bad(r, "a message to %s", roleName(n.To))
	}
	if crc32.ChecksumIEEE(n.Data) != n.Sum {
		w.j.bad(r, "%d bytes of data, checksum differs", len(n.Data))
	}
	return func() {
		w.inside.Add(-1)
		r.Entry = entryEnd
		w.j.write(r)
	}
}

// act does what the message asks for, for good or ill.
func (w *worker) act(ctx context.Context, n *note, leave func()) error {
	if n.Work > 0 {
		time.Sleep(n.Work)
	}
	if n.Fault != faultNone && time.Since(w.born) > minAge && w.j.now() == storm {
		w.fail(ctx, n.Fault, leave)
	}
	if n.Nest && w.j.now() != quiet {
		w.nest(ctx)
	}
	if n.Decline {
		return errDeclined
	}
	return nil
}

// minAge lets each incarnation do some work.
const minAge = 150 * time.Millisecond

func (w *worker) fail(ctx context.Context, f fault, leave func()) {
	if w.role.inProcess && (f == faultKill || f == faultQuit) {
		f = faultPanic
	}
	switch f {
	case faultPanic:
		panic(panicMarker + " handler")
	case faultExit:
		actor.Exit(ctx, errDeclined)
	case faultNormal:
		leave() // a normal end is the message's, too
		actor.Exit(ctx, nil)
	case faultKill:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case faultQuit:
		os.Exit(3)
	case faultHang:
		<-released
		runtime.Goexit() // only a goroutine that was abandoned gets here; it is the test's end
	case faultFault:
		panic(fmt.Sprint(panicMarker, " ", w.spoil()))
	}
}

// spoil writes to a frozen array, and returns what the runtime says to that.
func (w *worker) spoil() (said any) {
	a, err := shm.New[uint64](8)
	if err != nil || a.Freeze() != nil {
		return err
	}
	defer a.Release()
	defer func() { said = recover() }()
	a.Data()[0] = 1
	w.j.bad(record{Self: w.Role}, "a frozen array was written to")
	return nil
}

// nest sends from within a handler. Chains may close: then they are refused.
func (w *worker) nest(ctx context.Context) {
	w.outMu.Lock()
	defer w.outMu.Unlock()
	all := targets()
	to := all[rand.IntN(len(all))]
	// Without a deadline, who waits for room in his own mailbox waits for ever.
	ctx, cancel := context.WithTimeout(ctx, time.Duration(1+rand.IntN(200))*time.Millisecond)
	defer cancel()
	if rand.IntN(2) == 0 {
		w.out.cast(ctx, to, opCast)
	} else {
		w.out.call(ctx, to, opCall)
	}
}

func (w *worker) Take(ctx context.Context, n note) (ack, error) {
	leave := w.enter(&n)
	if err := w.act(ctx, &n, leave); err != nil {
		leave()
		return ack{}, err
	}
	leave()
	return n.ack(), nil
}

func (w *worker) TakeBlock(ctx context.Context, b block) (blockAck, error) {
	n := &b.Note
	leave := w.enter(n)
	if err := intact(n, b.Pixels); err != nil {
		w.j.bad(n.key(entryBad), "array: %v", err)
	}
	if err := w.act(ctx, n, leave); err != nil {
		leave()
		return blockAck{}, err
	}
	if !w.role.concurrent && !w.role.inProcess { // what is kept in a process goes with it
		w.keep(n, b.Pixels)
	}
	answer, err := fill(n, max(b.Pixels.Len()/2, 1))
	if err != nil {
		w.j.bad(n.key(entryBad), "no array for an answer: %v", err)
	}
	leave()
	return blockAck{n.ack(), answer}, nil
}

// keep holds one array of those received for a while; it must stay what it is.
func (w *worker) keep(n *note, a shm.Array[uint64]) {
	if rand.IntN(4) > 0 {
		return
	}
	if w.keptFor.Seq != 0 {
		if err := intact(&w.keptFor, w.kept); err != nil {
			w.j.bad(w.keptFor.key(entryBad), "array, kept: %v", err)
		}
		w.kept.Release()
	}
	w.kept, w.keptFor = a.Keep(), *n
}

// Stop lets go of what is kept.
func (w *worker) Stop(context.Context) error {
	w.kept.Release()
	return nil
}

func (w *worker) Count(ctx context.Context, n note) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		leave := w.enter(&n)
		middle := n.Count / 2
		for i := range n.Count {
			if i == middle {
				if err := w.act(ctx, &n, leave); err != nil {
					leave()
					yield(item{}, err)
					return
				}
			}
			it := item{Ack: n.ack(), Index: i}
			if i%16 == 7 {
				a, err := fill(&n, 32)
				if err != nil {
					w.j.bad(n.key(entryBad), "no array for an item: %v", err)
				}
				it.Pixels = a
			}
			if !yield(it, nil) {
				break
			}
		}
		leave()
	}
}

// Finish answers when all that this process sends has come to its end, and
// every receiver has begun what was sent to it.
func (w *worker) Finish(ctx context.Context, _ actor.None) (bool, error) {
	later := actor.Later[bool](ctx)
	go func() {
		<-w.idle
		newSender(w.scope, w.birth, w.j).flush(ctx)
		if ctx.Err() != nil {
			_ = later.Reply(false, context.Cause(ctx))
			return
		}
		if !w.role.inProcess { // the root answers for what is in its process
			w.j.write(record{Entry: entryDone, Self: w.Role, Process: self})
		}
		_ = later.Reply(true, nil)
	}()
	return later.Pending()
}

func (w *worker) Ping(context.Context, actor.None) (bool, error) { return true, nil }

// Workers and Hubs are the same backend; they differ in how many handlers run
// at a time.
var (
	Workers     = actor.Declare[worker, birth]("worker", actor.KindOptions{Errors: []error{errDeclined}})
	Take        = actor.DeclareMethod[note, ack](Workers, "take")
	TakeBlock   = actor.DeclareMethod[block, blockAck](Workers, "block")
	CountStream = actor.DeclareStream[note, item](Workers, "count")
	Finish      = actor.DeclareMethod[actor.None, bool](Workers, "finish")
	Ping        = actor.DeclareMethod[actor.None, bool](Workers, "ping")

	Hubs = actor.Declare[worker, birth]("hub", actor.KindOptions{Errors: []error{errDeclined}, Concurrent: hubSlots})
)

func init() {
	for _, k := range []*actor.Kind[worker, birth]{Workers, Hubs} {
		actor.Implement(k, newWorker, actor.ImplementMethod(Take, (*worker).Take), actor.ImplementMethod(TakeBlock, (*worker).TakeBlock),
			actor.ImplementStream(CountStream, (*worker).Count), actor.ImplementMethod(Finish, (*worker).Finish), actor.ImplementMethod(Ping, (*worker).Ping))
	}
}

func refOf(scope actor.Scope, to uint16) (actor.Ref[worker], error) {
	if cast[to].concurrent {
		return Hubs.Lookup(scope, cast[to].path)
	}
	return Workers.Lookup(scope, cast[to].path)
}

// settings are those of a role. Deadlines are short: what hangs is to be ended.
func settings(r uint16) supervisor.Child {
	c := supervisor.Child{StopTimeout: 300 * time.Millisecond, Watchdog: watchdog}
	if cast[r].narrow {
		c.Mailbox = actor.Mailbox{Messages: 8, Bytes: 32 << 10}
	}
	if cast[r].inProcess {
		c.InProcess = true
	}
	if cast[r].flaky || cast[r].id() == "b" {
		c.Backoff = supervisor.Backoff{Min: 5 * time.Millisecond, Max: 80 * time.Millisecond, Jitter: 0.5, Reset: time.Second}
	}
	return c
}
