package supervisor

import (
	"fmt"
	"testing"
	"time"
)

const ms = time.Millisecond

// plain sends n messages without anything special, and returns the first.
func (w *poolWorld) plain(n int) messageID {
	w.t.Helper()
	first := w.lastMsg + 1
	for range n {
		w.message(poolMessage{bytes: 1})
	}
	return first
}

// The oldest message first, the least recently used worker first; none waits
// behind a busy worker while another is idle.
func TestPoolGrants(t *testing.T) {
	w := servingPool(t, Pool{Min: 2, Max: 2}, 1)
	w.plain(4)
	w.expect("1>1 2>2")
	w.done(2)
	w.expect("3>2")
	w.done(1)
	w.expect("4>1")
	w.done(4)
	w.done(3)
	w.plain(1)
	w.expect("5>2") // worker 1 was used after it
}

func TestPoolGrantsSlots(t *testing.T) {
	w := servingPool(t, Pool{Min: 2, Max: 2}, 2)
	w.plain(5)
	w.expect("1>1 2>2 3>1 4>2")
	w.done(4)
	w.expect("5>2")
}

// "Ready with min"; with min 0 the first message starts one.
func TestPoolStart(t *testing.T) {
	w := newPoolWorld(t, poolOf(t, Pool{Min: 3, Max: 3, StartParallel: 2}, 1))
	w.send(poolBegin{})
	w.expect("+1 +2")
	w.ready(2)
	w.expect("+3")
	w.ready(1)
	w.expect("")
	w.ready(3)
	w.expect("started")

	w = newPoolWorld(t, poolOf(t, Pool{Max: 3}, 1))
	w.send(poolBegin{})
	w.expect("started")
	w.plain(1)
	w.expect("+1")
	w.ready(1)
	w.expect("1>1")
}

// The pool's own start is like a supervisor's: the first failure ends it.
func TestPoolStartFails(t *testing.T) {
	w := newPoolWorld(t, poolOf(t, Pool{Min: 3, Max: 3}, 1))
	w.send(poolBegin{})
	w.ready(1)
	w.plain(2)
	w.log = nil
	w.failStart(2)
	w.expect("2:no worker -1 -3")
	w.gone(3)
	w.begin(1)
	w.gone(1)
	w.expect(fmt.Sprintf("1:died end %d", endStartFailed))
	if w.over.exit != "start of 2 failed" {
		t.Fatalf("%+v", w.over)
	}
}

// "Growth when messages wait (not one process per message)", bounded; a pool
// shrinks by what was superfluous for the idle time, though all workers take
// turns.
func TestPoolGrowsAndShrinks(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 6, StartParallel: 2, IdleTimeout: time.Second}, 2)
	w.plain(9)
	w.expect("1>1 2>1 +2 +3")
	w.readyAll()
	w.expect("3>2 4>2 +4 5>3 6>3 +5") // three wait: two workers
	w.readyAll()
	w.expect("7>4 8>4 9>5")
	for id := range messageID(9) {
		w.done(id + 1)
	}
	for range 20 { // a trickle, that touches every worker
		w.pass(100 * ms)
		w.done(w.plain(1))
	}
	w.log = nil
	w.pass(time.Second)
	if n := w.p.serving(); n != 1 && n != 2 {
		t.Fatalf("%d serve: %s", n, w.show())
	}
	w.obey()
	w.pass(2 * time.Second)
	w.obey()
	if n := len(w.procs); n != 1 {
		t.Fatalf("%d processes: %s", n, w.show())
	}
}

func TestPoolNeverShrinks(t *testing.T) {
	w := servingPool(t, Pool{Max: 2, IdleTimeout: Forever}, 1)
	w.plain(1)
	w.readyAll()
	w.done(1)
	w.pass(24 * time.Hour)
	w.expect("+1 1>1")
}

// "A death with a message in hand counts against that message only." Those that
// the worker had not begun wait for another, in their place.
func TestPoolDeathWithMessage(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1, Intensity: NoRestarts}, 2)
	for range 20 {
		id := w.plain(3)
		w.begin(id)
		worker := w.last
		w.die(worker)
		w.ready(worker + 1)
		w.expect(fmt.Sprintf("%d>%d %d>%d %d:died +%d %d>%d %d>%d", id, worker, id+1, worker, id, worker+1, id+1, worker+1, id+2, worker+1))
		w.done(id + 1)
		w.done(id + 2)
	}
}

// "A death in a start, or with no message in hand, counts against the pool's
// intensity": so many within the period are allowed, the next one ends it.
func TestPoolGivesUp(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1, Intensity: 2, Period: time.Second}, 1)
	w.die(1)
	w.ready(2)
	w.die(2)
	w.ready(3)
	w.pass(1001 * ms)
	w.die(3)
	w.ready(4)
	w.die(4)
	w.plain(2)
	w.expect("+2 +3 +4 +5")
	w.failStart(5)
	w.expect(fmt.Sprintf("1:no worker 2:no worker end %d", endGaveUp))
	if w.over.exit != "start of 5 failed" {
		t.Fatalf("%+v", w.over)
	}
	w.plain(1)
	w.expect("3:no worker")
}

// The edge belongs to the window, as it does in a supervisor's.
func TestPoolIntensityEdge(t *testing.T) {
	for _, tc := range []struct {
		after time.Duration
		want  string
	}{
		{time.Second, "+2 end 2"},
		{time.Second + 1, "+2 +3"},
	} {
		w := servingPool(t, Pool{Min: 1, Max: 1, Intensity: 1, Period: time.Second}, 1)
		w.die(1)
		w.ready(2)
		w.pass(tc.after)
		w.die(2)
		w.expect(tc.want)
	}
}

// A worker that says that it should not be started again ends the pool, unless
// it said so about a message.
func TestPoolDoNotRestart(t *testing.T) {
	w := servingPool(t, Pool{Min: 2, Max: 2}, 1)
	w.plain(1)
	w.begin(1)
	g := w.messages[1].grant
	delete(w.grants, g)
	delete(w.procs, 1)
	w.messages[1].limbo = true
	w.send(workerExited{worker: 1, final: true, hands: []poolHand{{grant: g, begun: true}}})
	w.expect("1>1 1:died +3")
	w.ready(3)
	delete(w.procs, 3)
	w.send(workerExited{worker: 3, final: true})
	w.expect("-2")
}

// "A failed start is retried at once, then from 20 ms doubling, each attempt
// counted, the delay never longer than period / intensity."
func TestPoolBackoff(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1, Intensity: 10, Period: time.Second}, 1)
	w.die(1) // the first count
	w.expect("+2")
	for i, delay := range []time.Duration{0, 20, 40, 80, 100, 100, 100, 100, 100} {
		id := workerID(i + 2)
		w.failStart(id)
		if delay > 0 {
			w.pass(delay*ms - 1)
			w.expect("")
			w.pass(1)
		}
		w.expect(fmt.Sprintf("+%d", id+1))
	}
	w.failStart(11)
	w.expect(fmt.Sprintf("end %d", endGaveUp))
}

// Starts side by side that fail together count as one for the back-off, and
// then one at a time is tried.
func TestPoolBackoffSideBySide(t *testing.T) {
	w := servingPool(t, Pool{Max: 4, StartParallel: 4, Intensity: Unlimited}, 1)
	w.plain(4)
	w.expect("+1 +2 +3 +4")
	w.failStart(1)
	w.failStart(2)
	w.failStart(3)
	w.expect("")
	w.failStart(4)
	w.expect("+5")
	w.failStart(5)
	w.expect("")
	w.pass(20 * ms)
	w.expect("+6")
	w.ready(6)
	w.expect("1>6 +7 +8 +9")
}

// "A successor that fails to start (recycling, rolling restart, growth above
// min) is never charged while a working worker serves."
func TestPoolSuccessorsAreNotCharged(t *testing.T) {
	fail := func(w *poolWorld, times int) {
		for range times {
			for _, id := range w.starting() {
				w.failStart(id)
			}
			w.pass(5 * time.Second)
		}
	}
	t.Run("growth", func(t *testing.T) {
		w := servingPool(t, Pool{Min: 1, Max: 2, Intensity: NoRestarts}, 1)
		w.plain(2)
		w.begin(1)
		fail(w, 10)
		w.done(1)
		w.done(2)
	})
	t.Run("recycle", func(t *testing.T) {
		w := servingPool(t, Pool{Min: 1, Max: 1, Intensity: NoRestarts, Recycle: Recycle{Age: time.Second}}, 1)
		w.pass(time.Second)
		fail(w, 10)
		w.ready(w.starting()[0])
		w.plain(1)
		if h := w.grants[w.messages[1].grant]; h == nil || h.worker != w.last {
			t.Fatalf("%+v; %s", h, w.show())
		}
	})
	t.Run("recycle without overlap", func(t *testing.T) {
		w := servingPool(t, Pool{Min: 2, Max: 2, Intensity: NoRestarts, Recycle: Recycle{Memory: 100, NoOverlap: true}}, 1)
		w.send(workerMemory{1, 2000})
		w.expect("-1")
		w.gone(1)
		w.expect("+3")
		fail(w, 10)
	})
	t.Run("without overlap nor another", func(t *testing.T) {
		w := servingPool(t, Pool{Min: 1, Max: 1, Intensity: NoRestarts, Recycle: Recycle{Memory: 100, NoOverlap: true}}, 1)
		w.send(workerMemory{1, 2000})
		w.gone(1)
		fail(w, 1)
		w.expect(fmt.Sprintf("-1 +2 end %d", endGaveUp))
	})
}

// What waits when its ctx ends is told how the last worker ended, if there is
// none.
func TestPoolNoWorker(t *testing.T) {
	w := servingPool(t, Pool{Max: 1}, 1)
	w.plain(1)
	w.failStart(1)
	w.cancel(1)
	if w.p.lastExit != "start of 1 failed" {
		t.Fatalf("%v", w.p.lastExit)
	}
	w.expect("+1 +2 1:cancelled")
}

// "No message waits" in the queue beyond its bounds: a TryCast fails, others
// wait for room, and are let in in their order.
func TestPoolQueue(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1, Queue: Queue{Messages: 2, Bytes: 100}}, 1)
	w.message(poolMessage{bytes: 1000})
	w.message(poolMessage{bytes: 60})
	w.message(poolMessage{bytes: 40, try: true})
	w.message(poolMessage{bytes: 1, try: true})
	w.message(poolMessage{bytes: 90})
	w.message(poolMessage{bytes: 1})
	w.message(poolMessage{bytes: 1, try: true})
	w.expect("1>1 4:full 7:full")
	w.done(1)
	w.expect("2>1") // 90 bytes do not fit beside 40, and 6 does not overtake
	w.cancel(3)
	w.expect("3:cancelled admit 5 admit 6")
	w.done(2)
	w.message(poolMessage{bytes: 1000})
	w.done(5)
	w.done(6)
	w.expect("5>1 6>1 admit 8 8>1")
}

func TestPoolOrder(t *testing.T) {
	w := servingPool(t, Pool{Min: 3, Max: 3}, 1)
	w.message(poolMessage{order: "a"})
	w.message(poolMessage{order: "a"})
	w.message(poolMessage{order: "b"})
	w.message(poolMessage{order: "a"})
	w.plain(1)
	w.expect("1>1 3>2 5>3")
	w.cancel(2)
	w.done(3)
	w.expect("2:cancelled")
	w.done(1)
	w.expect("4>1")
	w.done(4)
	w.done(5)
	if len(w.p.orders) != 0 {
		t.Fatalf("%v", w.p.orders)
	}
}

// A sender keeps its slot until another message waits.
func TestPoolKeptSlots(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1}, 1)
	w.message(poolMessage{keep: true})
	w.keep(1)
	w.useKept(1, true)
	w.expect("1>1")
	w.plain(1)
	w.expect("recall 1")
	w.done(2)
	w.expect("3>1")
	w.done(3)

	// Its message is known when its worker dies.
	w.message(poolMessage{keep: true, safe: true})
	w.keep(4)
	g := w.kept()[0]
	w.useKept(g, true)
	w.begin(5)
	w.die(1)
	w.ready(2)
	w.expect("4>1 +2 5>2")
}

// "A lease" has a worker for itself: the emptiest is kept free for it, and the
// others go on. A worker that it spoils is replaced, and that is counted to
// nobody.
func TestPoolLease(t *testing.T) {
	w := servingPool(t, Pool{Min: 2, Max: 2, Intensity: NoRestarts}, 2)
	w.plain(3)
	w.message(poolMessage{exclusive: true})
	w.plain(2)
	w.expect("1>1 2>2 3>1") // worker 2 is kept free for the lease
	w.done(2)
	w.expect("4>2")
	w.done(1)
	w.done(3)
	w.expect("5>1 6>1")
	w.begin(4)
	w.spoil(4)
	w.expect("!2 +3")
	w.failStart(3)
	w.expect("+4")
	w.ready(4)
	w.gone(2)
	w.expect("")
}

// A worker that calls its own full pool waits for itself.
func TestPoolCycle(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 2}, 1)
	w.plain(1)
	w.begin(1)
	w.message(poolMessage{chain: []grantID{w.messages[1].grant}})
	w.expect("1>1 +2") // the pool can grow
	w.ready(2)
	w.begin(2)
	w.expect("2>2")
	w.message(poolMessage{chain: []grantID{w.messages[1].grant, w.messages[2].grant}})
	w.expect("3:cycle")

	w = servingPool(t, Pool{Min: 2, Max: 2}, 1)
	w.plain(2)
	w.message(poolMessage{chain: []grantID{w.messages[1].grant}})
	w.expect("1>1 2>2") // the other may return
	w.message(poolMessage{chain: []grantID{w.messages[2].grant}})
	w.expect("4:cycle") // now each would wait for the other

	w = servingPool(t, Pool{Min: 2, Max: 2}, 1)
	w.message(poolMessage{order: "a"})
	w.message(poolMessage{order: "a", chain: []grantID{w.messages[1].grant}})
	w.expect("1>1 2:cycle")
}

// "A pool stopped with 1,000 waiters (each gets one typed error)"; workers stop
// side by side.
func TestPoolStop(t *testing.T) {
	w := servingPool(t, Pool{Min: 2, Max: 2}, 1)
	w.plain(1002)
	w.begin(1)
	w.log = nil
	w.send(poolStopAsked{})
	if n := len(w.log); n != 1002 || w.log[1000] != "-1" || w.log[1001] != "-2" || w.log[0] != "3:stopped" {
		t.Fatalf("%d: %v", n, w.log)
	}
	w.log = nil
	w.plain(1)
	w.send(poolKillAsked{})
	w.send(poolStopAsked{})
	w.gone(2)
	w.gone(1)
	w.expect(fmt.Sprintf("1003:stopped !1 !2 2:stopped 1:died end %d", endStopped))
}

// A stop that drains serves first what waits.
func TestPoolDrain(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1}, 1)
	w.plain(2)
	w.send(poolStopAsked{drain: true})
	w.plain(1)
	w.done(1)
	w.done(2)
	w.gone(1)
	w.expect(fmt.Sprintf("1>1 3:stopped 2>1 -1 end %d", endStopped))
}

// "Worker ids never reused", also by the next core of the pool.
func TestPoolNames(t *testing.T) {
	w := servingPool(t, Pool{Min: 2, Max: 2}, 1)
	w.plain(1)
	worker, grant := w.p.lastNames()
	next := newPoolCore(w.p.poolRules, worker, grant)
	if a := next.step(0, poolBegin{})[0].(startWorker); a.worker != 3 || grant != 1 {
		t.Fatalf("%+v, %d", a, grant)
	}
}
