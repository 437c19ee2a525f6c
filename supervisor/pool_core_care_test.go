package supervisor

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// How workers are replaced and killed, and what becomes of their messages.

// "The successor, another worker id, is ready before the old one takes no
// more; no message is lost or repeated by it."
func TestPoolRecycle(t *testing.T) {
	for _, tc := range []struct {
		name    string
		recycle Recycle
		due     func(w *poolWorld)
	}{
		{"uses", Recycle{Uses: 3}, func(w *poolWorld) {
			for range 2 {
				w.done(w.plain(1))
			}
			w.log = nil
		}},
		{"age", Recycle{Age: time.Minute}, func(w *poolWorld) { w.pass(time.Minute) }},
		{"memory", Recycle{Memory: 100}, func(w *poolWorld) {
			w.send(workerMemory{1, 1100})
			w.expect("1>1")
			w.send(workerMemory{1, 1101})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := servingPool(t, Pool{Min: 1, Max: 1, Recycle: tc.recycle}, 1)
			if tc.name == "uses" {
				tc.due(w)
				w.plain(1)
				w.expect("3>1 +2")
			} else {
				w.plain(1)
				tc.due(w)
				w.log = w.log[len(w.log)-1:]
				w.expect("+2")
			}
			busy := w.lastMsg
			next := w.plain(1)
			w.done(busy)
			w.expect(fmt.Sprintf("%d>1", next)) // the old one takes more
			last := w.plain(1)
			w.ready(2)
			w.expect(fmt.Sprintf("%d>2", last))
			w.done(next)
			w.expect("-1")
			w.gone(1)
			w.done(last)
			w.expect("")
		})
	}
}

func TestPoolRecycleIdle(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1, Recycle: Recycle{IdleAge: time.Minute}}, 1)
	w.pass(59 * time.Second)
	w.plain(1)
	w.pass(time.Hour)
	w.expect("1>1")
	w.done(1)
	w.pass(time.Minute)
	w.ready(2)
	w.gone(1)
	w.expect("+2 -1")
}

// Uses 1 is exact: a fresh process for each message.
func TestPoolOneShot(t *testing.T) {
	w := servingPool(t, Pool{Min: 2, Max: 2, StartParallel: 2, Intensity: NoRestarts, Recycle: Recycle{Uses: 1}}, 1)
	w.plain(3)
	w.expect("1>1 +3 2>2 +4")
	w.failStart(3)
	w.done(1)
	w.expect("-1") // worker 4 is the trial
	w.ready(4)
	w.gone(1)
	w.expect("3>4 +5 +6")
}

// Jitter takes off a part that differs from worker to worker.
func TestPoolRecycleJitter(t *testing.T) {
	w := servingPool(t, Pool{Min: 20, Max: 20, StartParallel: 20, Recycle: Recycle{Age: time.Hour, Uses: 1000, Jitter: 0.2}}, 1)
	ages, uses := map[time.Duration]bool{}, map[int]bool{}
	for _, pw := range w.p.workers {
		ages[pw.ageLimit], uses[pw.usesLimit] = true, true
		if pw.ageLimit < 48*time.Minute || pw.ageLimit > time.Hour || pw.usesLimit < 800 || pw.usesLimit > 1000 {
			t.Fatalf("age %v, uses %d", pw.ageLimit, pw.usesLimit)
		}
	}
	if len(ages) < 20 || len(uses) < 10 {
		t.Fatalf("%d ages, %d uses", len(ages), len(uses))
	}
}

// NoOverlap: the old one has ended before the new one starts, one at a time.
func TestPoolRecycleNoOverlap(t *testing.T) {
	w := servingPool(t, Pool{Min: 2, Max: 4, Recycle: Recycle{Age: time.Minute, NoOverlap: true}}, 1)
	w.plain(1)
	w.pass(time.Minute)
	w.expect("1>1")
	w.done(1)
	w.expect("-1")
	w.gone(1)
	w.expect("+3")
	w.ready(3)
	w.expect("-2")
}

// A recycle is forgotten when the pool stops.
func TestPoolRecycleDuringStop(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1, Recycle: Recycle{Age: time.Minute}}, 1)
	w.pass(time.Minute)
	w.expect("+2")
	w.send(poolStopAsked{})
	w.expect("-1 -2")
	w.gone(1)
	w.send(workerReady{worker: 2})
	w.gone(2)
	w.expect(fmt.Sprintf("end %d", endStopped))
}

func (w *poolWorld) rollAll() callID {
	call := callID(len(w.rolls) + 1)
	w.rolls[call] = nil
	w.send(poolRollAsked{call})
	return call
}

// "One after the other, each worker after its message, none lost."
func TestPoolRoll(t *testing.T) {
	w := servingPool(t, Pool{Min: 2, Max: 2}, 1)
	w.plain(1)
	w.rollAll()
	w.expect("1>1 +3")
	w.ready(3)
	w.expect("")
	w.done(1)
	w.expect("-1")
	w.gone(1)
	w.expect("+4")
	w.ready(4)
	w.gone(2)
	w.expect(fmt.Sprintf("-2 rolled 1:%d", rollDone))
}

// A pool without workers has nothing to replace.
func TestPoolRollEmpty(t *testing.T) {
	w := servingPool(t, Pool{Max: 2}, 1)
	w.rollAll()
	w.expect(fmt.Sprintf("rolled 1:%d", rollDone))
}

// "Stops with an error after a few failed successors"; the pool goes on.
func TestPoolRollFails(t *testing.T) {
	w := servingPool(t, Pool{Min: 2, Max: 2, Intensity: NoRestarts}, 1)
	call := w.rollAll()
	w.failStart(3)
	w.failStart(4)
	w.pass(20 * ms)
	w.failStart(5)
	w.pass(time.Minute)
	w.expect(fmt.Sprintf("+3 +4 +5 rolled 1:%d", rollFailed))
	if r := w.rolls[call]; r.failed != "start of 5 failed" {
		t.Fatalf("%+v", r)
	}
	w.plain(2)
	w.expect("1>1 2>2")
}

// Growth and deaths during a rolling restart: what started after the call
// stays.
func TestPoolRollAndGrowth(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 2}, 1)
	w.plain(2)
	w.rollAll() // the worker that starts is replaced, too
	w.expect("1>1 +2 +3")
	w.begin(1)
	w.die(1)
	w.ready(2)
	w.expect("1:died 2>2")
	w.ready(3)
	w.expect("+4")
	w.ready(4)
	w.done(2)
	w.gone(2)
	w.expect(fmt.Sprintf("-2 rolled 1:%d", rollDone))
}

// "Kill on deadline: a call whose ctx has ended and whose handler has not
// returned within a grace costs that worker", which is replaced.
func TestPoolKillOnDeadline(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1, KillGrace: 100 * ms, Intensity: NoRestarts, Retry: Retry{All: true}}, 1)
	w.plain(2)
	w.begin(1)
	w.pass(time.Hour)
	w.cancel(1)
	w.pass(99 * ms)
	w.expect("1>1")
	w.pass(1 * ms)
	w.expect("!1 +2")
	w.ready(2)
	w.gone(1)
	w.expect("2>2 1:deadline")
}

// "A message granted after the late reply is never hit by the kill."
func TestPoolLateReply(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1, KillGrace: 100 * ms}, 1)
	w.plain(2)
	w.begin(1)
	w.cancel(1)
	w.pass(99 * ms)
	w.done(1)
	w.begin(2)
	w.pass(time.Hour)
	w.expect("1>1 2>1")
}

// "With Concurrent(n) it stops taking, the others get the grace, then fail as
// begun with a reason that says whose deadline it was, and count for nobody's
// quarantine."
func TestPoolKillNeighbours(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1, KillGrace: 100 * ms, Quarantine: Quarantine{Deaths: 1}}, 3)
	for _, key := range []string{"a", "b", "c"} {
		w.begin(w.message(poolMessage{key: key}))
	}
	w.log = nil
	w.cancel(2)
	w.pass(100 * ms)
	w.done(1)
	w.plain(1) // waits
	w.pass(99 * ms)
	w.expect("")
	w.pass(ms)
	w.expect("!1 +2")
	w.die(1)
	w.expect("quarantine b 2:deadline 3:neighbour")
	w.message(poolMessage{key: "a"})
	w.message(poolMessage{key: "b"})
	w.message(poolMessage{key: "c"})
	w.expect("6:quarantined")
	w.ready(2)
	w.expect("4>2 5>2 7>2")
}

// The kill does not wait for the grace if nothing else is in hand; it is called
// off if the late message returns.
func TestPoolReprieve(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1, KillGrace: 100 * ms}, 2)
	w.plain(2)
	w.cancel(1)
	w.pass(150 * ms)
	w.plain(1)
	w.expect("1>1 2>1") // it takes no more
	w.done(1)
	w.expect("3>1")
	w.cancel(2)
	w.pass(100 * ms)
	w.expect("")
	w.done(3)
	w.expect("!1 +2")
}

// "MaxHandle bounds a handler without any ctx"; "time spent blocked on a slow
// reader does not count; what it killed may be retried."
func TestPoolMaxHandle(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1, MaxHandle: 100 * ms, Retry: Retry{Attempts: 2}}, 1)
	id := w.message(poolMessage{safe: true})
	w.begin(id)
	g := w.messages[id].grant
	w.pass(60 * ms)
	w.send(handleBlocked{g})
	w.pass(time.Hour)
	w.send(handleResumed{g})
	w.pass(39 * ms)
	w.expect("1>1")
	w.pass(ms)
	w.expect("!1 +2")
	w.die(1)
	w.ready(2)
	w.expect("1>2")
	w.begin(id)
	w.pass(100 * ms)
	w.die(2)
	w.expect("!2 +3 1:handled too long")
}

// "Retry: tried again on another worker when one died with it, so and so often,
// within its ctx"; without it never.
func TestPoolRetry(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1, Retry: Retry{Attempts: 3}}, 1)
	w.message(poolMessage{safe: true})
	w.message(poolMessage{safe: true})
	w.plain(1)
	for worker := range workerID(3) {
		w.begin(1)
		w.die(worker + 1)
		w.ready(worker + 2)
	}
	w.expect("1>1 +2 1>2 +3 1>3 1:died +4 2>4")
	w.begin(2)
	w.cancel(2)
	w.die(4)
	w.ready(5)
	w.expect("2:died +5 3>5")
	w.begin(3)
	w.die(5)
	w.expect("3:died +6")
}

// "A key that has killed n workers is refused at once, for a time, in bounded
// memory."
func TestPoolQuarantine(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1, Quarantine: Quarantine{Deaths: 2, For: time.Minute, Keys: 2}, Retry: Retry{All: true, Attempts: 10}}, 1)
	w.message(poolMessage{key: "a"})
	w.message(poolMessage{key: "a"})
	w.begin(1)
	w.die(1)
	w.ready(2)
	w.begin(1)
	w.expect("1>1 +2 1>2")
	w.die(2)
	w.message(poolMessage{key: "a"})
	w.expect("quarantine a 2:quarantined 1:died +3 3:quarantined")
	w.ready(3)
	w.pass(time.Minute)
	w.message(poolMessage{key: "a"})
	w.expect("4>3")
	w.done(4)
	for i, key := range []string{"a", "b", "c", "d"} {
		id := w.message(poolMessage{key: key})
		w.begin(id)
		w.die(workerID(i) + 3)
		w.cancel(id)
		w.ready(workerID(i) + 4)
	}
	if n := len(w.p.refused.entries); n != 2 || w.p.refused.entries["c"] == nil || w.p.refused.entries["d"] == nil {
		t.Fatalf("%v", w.p.refused.entries)
	}
}

// Of several in the hands of a worker that dies each is suspected, until it
// turns out well.
func TestPoolSuspects(t *testing.T) {
	w := servingPool(t, Pool{Min: 1, Max: 1, Quarantine: Quarantine{Deaths: 2}}, 2)
	crash := func(keys ...string) {
		for _, key := range keys {
			w.begin(w.message(poolMessage{key: key}))
		}
		w.die(w.last)
		w.ready(w.last)
	}
	crash("good", "bad")
	w.done(w.message(poolMessage{key: "good"}))
	crash("bad", "good")
	w.message(poolMessage{key: "good"})
	w.message(poolMessage{key: "bad"})
	if got := strings.Join(w.log[len(w.log)-2:], " "); got != "6>3 7:quarantined" {
		t.Fatalf("%v", w.log)
	}
}

// "A caller that dies between grant and send" returns its slot; what waits for
// it is dropped; what is in hand goes on until it is over.
func TestPoolSenderGone(t *testing.T) {
	w := servingPool(t, Pool{Min: 2, Max: 2, MaxHandle: time.Minute, Retry: Retry{All: true}}, 1)
	for _, s := range []senderID{7, 7, 7, 8} {
		w.message(poolMessage{sender: s})
	}
	w.begin(1)
	w.expect("1>1 2>2")
	w.end(7)
	w.expect("4>2")
	w.pass(time.Minute)
	w.expect("!1 +3")
	w.die(1)
	w.expect("") // nobody is told, and it is not tried again
}

// The limits hold for what an orderly stop waits for, as before it.
func TestPoolKillDuringStop(t *testing.T) {
	limited := Pool{Min: 1, Max: 1, KillGrace: 100 * ms, MaxHandle: time.Hour}
	for _, tc := range []struct {
		name string
		act  func(w *poolWorld)
		want string
	}{
		{"cancelled before the stop", func(w *poolWorld) {
			w.cancel(1)
			w.pass(50 * ms)
			w.send(poolStopAsked{})
			w.pass(49 * ms)
			w.expect("1>1 2>1 -1")
			w.done(2)
			w.pass(ms)
		}, "!1 1:deadline"},
		{"cancelled after the stop", func(w *poolWorld) {
			w.send(poolStopAsked{})
			w.done(2)
			w.cancel(1)
			w.pass(99 * ms)
			w.expect("1>1 2>1 -1")
			w.pass(ms)
		}, "!1 1:deadline"},
		{"handled too long", func(w *poolWorld) {
			w.pass(30 * time.Minute)
			w.send(poolStopAsked{})
			w.done(2)
			w.pass(30*time.Minute - 1)
			w.expect("1>1 2>1 -1")
			w.pass(1)
		}, "!1 1:handled too long"},
		{"a neighbour has another grace", func(w *poolWorld) {
			w.cancel(1)
			w.send(poolStopAsked{})
			w.pass(199 * ms)
			w.expect("1>1 2>1 -1")
			w.pass(ms)
		}, "!1 1:deadline 2:neighbour"},
		{"back in time", func(w *poolWorld) {
			w.cancel(1)
			w.send(poolStopAsked{})
			w.pass(99 * ms)
			w.done(1)
			w.done(2)
			w.pass(2 * time.Hour)
		}, "1>1 2>1 -1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := servingPool(t, limited, 2)
			w.plain(2)
			w.begin(1)
			w.begin(2)
			tc.act(w)
			w.gone(1)
			w.expect(fmt.Sprintf("%s end %d", tc.want, endStopped))
		})
	}
}
