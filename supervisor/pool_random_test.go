package supervisor

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/understudy-go/understudy/actor"
)

// Random events in random order against the invariants that [poolWorld]
// checks. At the end the world turns kind: starts succeed, handlers return,
// and whatever waits has to be served. Then the pool stops, and nothing is left.
func TestPoolRandom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { runRandomPool(rt) })
}

func drawPool(rt *rapid.T) poolRules {
	in := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(rt, name) }
	ms := func(name string, values ...int) time.Duration {
		return time.Duration(rapid.SampledFrom(values).Draw(rt, name)) * time.Millisecond
	}
	p := Pool{
		Run: actor.Role{}, Min: in("min", 0, 3), StartParallel: in("parallel", 1, 3),
		IdleTimeout: ms("idle", 50, 500), KillGrace: ms("grace", 10, 100), MaxHandle: ms("max handle", 0, 0, 200),
		Intensity: rapid.SampledFrom([]int{2, 5, 1000, Unlimited, NoRestarts}).Draw(rt, "intensity"), Period: ms("period", 100, 1000),
		Queue: Queue{Messages: in("messages", 1, 6), Bytes: in("bytes", 10, 100)},
		Recycle: Recycle{
			Uses: rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(rt, "uses"), Age: ms("age", 0, 0, 300), IdleAge: ms("idle age", 0, 0, 100),
			Memory: int64(in("memory", 0, 1)) * 1000, Jitter: 0.5, NoOverlap: rapid.Bool().Draw(rt, "no overlap"),
		},
		Retry:      Retry{Attempts: in("attempts", 0, 3)},
		Quarantine: Quarantine{Deaths: in("deaths", 0, 2), For: ms("for", 100, 1000), Keys: in("keys", 1, 3)},
	}
	p.Max = max(1, p.Min+in("more", 0, 3))
	r, err := p.rules("pool", in("slots", 1, 3))
	if err != nil {
		rt.Fatal(err)
	}
	return r
}

func runRandomPool(rt *rapid.T) {
	w := newPoolWorld(rt, drawPool(rt))
	w.send(poolBegin{})
	calls := callID(0)
	pick := func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(rt, what) }
	for range rapid.IntRange(1, 120).Draw(rt, "events") {
		if w.over != nil {
			break
		}
		switch what := rapid.IntRange(0, 32).Draw(rt, "event"); what {
		case 0, 1, 2, 3, 4, 5:
			w.randomMessage(rt)
		case 6, 7, 8:
			if ids := w.starting(); len(ids) > 0 {
				w.ready(ids[pick(len(ids), "starting")])
			}
		case 9:
			if ids := w.starting(); len(ids) > 0 {
				w.failStart(ids[pick(len(ids), "starting")])
			}
		case 10, 11, 12, 13:
			if ids := w.inHand(func(h *poolHold) bool { return !h.begun }); len(ids) > 0 {
				w.begin(ids[pick(len(ids), "to begin")])
			}
		case 14, 15, 16, 17:
			if ids := w.inHand(w.canReturn); len(ids) > 0 {
				id := ids[pick(len(ids), "to return")]
				if h := w.grants[w.messages[id].grant]; h.keep && !w.messages[id].late && rapid.Bool().Draw(rt, "keep") {
					w.keep(id)
				} else {
					w.done(id)
				}
			}
		case 18, 19:
			if ids := w.running(); len(ids) > 0 {
				w.die(ids[pick(len(ids), "to die")])
			}
		case 20:
			w.obey()
		case 21:
			if id := w.lastMsg; id > 0 {
				w.cancel(messageID(1 + pick(int(id), "to cancel")))
			}
		case 22, 23:
			w.pass(time.Duration(rapid.IntRange(1, 150).Draw(rt, "ms")) * time.Millisecond)
		case 24:
			w.send(poolTick{})
		case 25:
			if ids := w.running(); len(ids) > 0 {
				w.send(workerMemory{ids[pick(len(ids), "measured")], int64(1000 + 1500*pick(2, "grown"))})
			}
		case 26:
			calls++
			w.rolls[calls] = nil
			w.send(poolRollAsked{calls})
		case 27:
			if calls > 0 && w.rolls[calls] == nil && rapid.Bool().Draw(rt, "cancel") {
				delete(w.rolls, calls)
				w.send(poolRollCancelled{calls})
			}
		case 28:
			if ids := w.kept(); len(ids) > 0 {
				id := ids[pick(len(ids), "kept")]
				w.useKept(id, rapid.Bool().Draw(rt, "use"))
				if h := w.grants[id]; h != nil && rapid.Bool().Draw(rt, "cancel") {
					w.cancel(h.message)
				}
			}
		case 29:
			w.end(senderID(1 + pick(3, "sender")))
		case 30:
			if ids := w.inHand(func(h *poolHold) bool { return h.begun }); len(ids) > 0 {
				g := w.messages[ids[pick(len(ids), "reader")]].grant
				w.send([]poolEvent{handleBlocked{g}, handleResumed{g}}[pick(2, "blocked")])
			}
		case 32:
			if ids := w.inHand(func(h *poolHold) bool { return h.begun }); len(ids) > 0 {
				w.spoil(ids[pick(len(ids), "to spoil")])
			}
		case 31:
			if ids := w.running(); len(ids) > 0 {
				id := ids[pick(len(ids), "dying")]
				w.procs[id].dying = true
				w.send(workerDying{id})
			}
		}
	}
	if w.over == nil {
		if !w.p.stopping {
			w.beKind()
		}
		switch pick(3, "how to stop") {
		case 0:
			w.send(poolStopAsked{})
		case 1:
			w.randomMessage(rt)
			w.send(poolStopAsked{drain: true})
			if !w.p.stopping {
				w.beKind()
			}
		case 2:
			w.send(poolKillAsked{})
		}
		for _, id := range slices.Sorted(maps.Keys(w.procs)) {
			w.gone(id)
		}
	}
	if w.over == nil {
		rt.Fatalf("not over: %s", w.show())
	}
	for call, r := range w.rolls {
		if r == nil {
			rt.Fatalf("rolling restart %d has no answer", call)
		}
	}
	if p := w.p; len(p.items) != 0 || len(p.orders) != 0 || p.queue.first != nil || p.roll != nil || len(p.grants) != 0 {
		rt.Fatalf("the pool is over and holds %d messages, %d orders, %d slots", len(p.items), len(p.orders), len(p.grants))
	}
}

func (w *poolWorld) randomMessage(rt *rapid.T) {
	m := poolMessage{
		sender: senderID(rapid.IntRange(1, 3).Draw(rt, "sender")), bytes: rapid.IntRange(1, 60).Draw(rt, "bytes"),
		try: rapid.Bool().Draw(rt, "try"), safe: rapid.Bool().Draw(rt, "safe"), keep: rapid.Bool().Draw(rt, "keep"),
		order:     rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(rt, "order"),
		key:       rapid.SampledFrom([]string{"", "k", "l", "m", "n"}).Draw(rt, "key"),
		exclusive: rapid.IntRange(0, 7).Draw(rt, "exclusive") == 0,
	}
	if ids := w.inHand(func(h *poolHold) bool { return h.begun && !h.kept }); len(ids) > 0 && rapid.IntRange(0, 5).Draw(rt, "chain") == 0 {
		m.chain = []grantID{w.messages[ids[0]].grant}
	}
	if m.exclusive {
		m.safe, m.order = false, ""
	}
	w.message(m)
}

// spoil returns the slot of the message with the word that its worker has to go.
func (w *poolWorld) spoil(id messageID) {
	m := w.messages[id]
	m.over, m.outcome = true, "done"
	h := w.grants[m.grant]
	delete(w.grants, m.grant)
	w.send(slotReturned{grant: m.grant, replace: true})
	if p := w.procs[h.worker]; p != nil && !p.asked && !p.dying {
		w.t.Fatalf("worker %d goes on", h.worker)
	}
}

// inHand returns the messages in hand that pass, in order.
func (w *poolWorld) inHand(pass func(*poolHold) bool) []messageID {
	var ids []messageID
	for id, m := range w.messages {
		if h := w.grants[m.grant]; h != nil && h.message == id && !m.over && pass(h) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// canReturn: a handler does not return while it waits for its own message.
func (w *poolWorld) canReturn(h *poolHold) bool {
	if !h.begun {
		return true // it was not sent
	}
	for _, m := range w.messages {
		if !m.over && !m.gone && len(m.chain) > 0 && w.grants[m.chain[0]] == h {
			return false
		}
	}
	return true
}

// running returns the workers that are ready and exist.
func (w *poolWorld) running() []workerID {
	var ids []workerID
	for id, p := range w.procs {
		if p.ready {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// kept returns the slots that are kept without a message.
func (w *poolWorld) kept() []grantID {
	var ids []grantID
	for id, h := range w.grants {
		if h.kept && w.messages[h.message].over {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (w *poolWorld) keep(id messageID) {
	m := w.messages[id]
	h := w.grants[m.grant]
	first := !h.kept
	m.over, m.outcome, h.kept, h.begun = true, "done", true, false
	if h.recalled {
		delete(w.grants, m.grant)
		w.send(slotReturned{grant: m.grant})
	} else if first {
		w.send(slotKept{m.grant})
	}
}

// useKept sends a message by a kept slot, or returns it.
func (w *poolWorld) useKept(g grantID, use bool) {
	h := w.grants[g]
	if !use || h.recalled {
		delete(w.grants, g)
		w.send(slotReturned{grant: g})
		return
	}
	old := w.messages[h.message]
	w.lastMsg++
	m := poolMessage{id: w.lastMsg, sender: old.sender, bytes: 1, safe: old.safe, key: old.key}
	w.messages[m.id] = &poolSent{poolMessage: m, place: old.place, grant: g}
	h.message, h.begun = m.id, false
}

func (w *poolWorld) cancel(id messageID) {
	m := w.messages[id]
	if m.over || m.gone || m.late {
		return
	}
	ev := messageCancelled{message: id}
	if !m.waits {
		m.late, ev.grant = true, m.grant
	}
	w.send(ev)
}

// end has a sender end. Its slots without a begun message come back.
func (w *poolWorld) end(s senderID) {
	for _, m := range w.messages {
		if m.sender == s && !m.over {
			m.gone = true
			if m.waits {
				m.waits, m.over, m.outcome = false, true, "dropped"
			}
		}
	}
	w.send(senderGone{s})
	for _, g := range slices.Sorted(maps.Keys(w.grants)) {
		h := w.grants[g]
		if h != nil && w.messages[h.message].sender == s && !h.begun {
			m := w.messages[h.message]
			m.over, m.outcome = true, "dropped"
			delete(w.grants, g)
			w.send(slotReturned{grant: g})
		}
	}
}

// gone has a process end that is asked to.
func (w *poolWorld) gone(id workerID) {
	if w.procs[id].ready {
		w.die(id)
		return
	}
	before := w.p.stopping
	delete(w.procs, id)
	w.send(workerFailed{worker: id, exit: "asked"})
	if w.p.stopping != before {
		w.t.Fatalf("the end of worker %d, which was asked to, ended the pool", id)
	}
}

// obey has every worker end that is asked to, or dying.
func (w *poolWorld) obey() bool {
	did := false
	for _, id := range slices.Sorted(maps.Keys(w.procs)) {
		if p := w.procs[id]; p != nil && (p.asked || p.dying) && w.over == nil {
			w.gone(id)
			did = true
		}
	}
	return did
}

// beKind has everything go well until nothing waits and nothing is in hand.
func (w *poolWorld) beKind() {
	for round := 0; w.over == nil && !w.p.stopping; round++ {
		if round > 2000 {
			w.t.Fatalf("no end: %s\n%v", w.show(), w.log[max(0, len(w.log)-40):])
		}
		did := w.obey()
		for _, id := range w.starting() {
			if w.over == nil && w.procs[id] != nil && !w.procs[id].asked {
				w.ready(id)
				did = true
			}
		}
		for _, g := range w.kept() {
			if w.grants[g] != nil && w.grants[g].recalled {
				w.useKept(g, false)
				did = true
			}
		}
		for _, id := range w.inHand(w.canReturn) {
			if m := w.messages[id]; w.grants[m.grant] != nil && !m.over {
				w.done(id)
				did = true
			}
		}
		if did {
			continue
		}
		waits := slices.ContainsFunc(slices.Collect(maps.Values(w.messages)), func(m *poolSent) bool { return !m.over && !m.gone })
		rolling := w.p.roll != nil
		if !waits && !rolling && w.readyCount() >= w.p.min && w.begun {
			return
		}
		if w.wake == never {
			w.t.Fatalf("nothing will happen, and %s, rolling %v; %s", w.open(), rolling, w.show())
		}
		w.pass(max(w.wake-w.at, 0))
	}
}

func (w *poolWorld) open() string {
	var b []string
	for _, id := range slices.Sorted(maps.Keys(w.messages)) {
		if m := w.messages[id]; !m.over {
			b = append(b, fmt.Sprintf("%+v", *m))
		}
	}
	return fmt.Sprint(b)
}
