package supervisor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// poolWorld plays everything around the core of a pool: workers, senders and
// the timer. It checks, with every action, what must hold always.
type poolWorld struct {
	t     failer
	p     *poolCore
	at    time.Duration
	wake  time.Duration
	begun bool // poolStarted
	over  *poolEnd

	procs    map[workerID]*poolProc
	last     workerID
	grants   map[grantID]*poolHold
	messages map[messageID]*poolSent
	lastMsg  messageID
	rolls    map[callID]*poolRolled
	log      []string

	charged []time.Duration // deaths that count, by the world's own books
}

// poolProc is a worker's process.
type poolProc struct {
	why   startReason
	ready bool
	asked bool // to stop
	dying bool
}

// poolHold is a slot that is held.
type poolHold struct {
	worker   workerID
	message  messageID
	keep     bool
	kept     bool // its message is over
	recalled bool
	begun    bool
}

// poolSent is a message.
type poolSent struct {
	poolMessage
	grant   grantID // in hand
	begun   int
	waits   bool
	over    bool
	outcome string
	place   messageID // in the order of grants
	limbo   bool      // begun by a worker that is dead; what becomes of it is being decided
	gone    bool      // its sender has ended
	late    bool      // cancelled in hand
}

func newPoolWorld(t failer, r poolRules) *poolWorld {
	return &poolWorld{
		t: t, p: newPoolCore(r, 0, 0), wake: never,
		procs: map[workerID]*poolProc{}, grants: map[grantID]*poolHold{}, messages: map[messageID]*poolSent{},
		rolls: map[callID]*poolRolled{},
	}
}

// poolOf returns the rules of a checked pool.
func poolOf(t testing.TB, p Pool, slots int) poolRules {
	t.Helper()
	if p.Run == nil {
		p.Run = actor.Role{}
	}
	if p.StartParallel == 0 {
		p.StartParallel = 4
	}
	r, err := p.rules("pool", slots)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// servingPool returns the world of a pool that is up, with an empty log.
func servingPool(t testing.TB, p Pool, slots int) *poolWorld {
	t.Helper()
	w := newPoolWorld(t, poolOf(t, p, slots))
	w.send(poolBegin{})
	w.readyAll()
	if !w.begun {
		t.Fatalf("not started: %v", w.show())
	}
	w.log = nil
	return w
}

func (w *poolWorld) send(ev poolEvent) {
	w.t.Helper()
	for _, a := range w.p.step(w.at, ev) {
		w.act(a)
	}
	w.settleLimbo()
	w.check()
}

func (w *poolWorld) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

func (w *poolWorld) act(a poolAction) {
	w.t.Helper()
	if _, late := a.(failMessage); w.over != nil && !late {
		w.t.Fatalf("action %#v after the end", a)
	}
	switch a := a.(type) {
	case startWorker:
		w.start(a)
	case stopWorker:
		p := w.procs[a.worker]
		if p == nil || p.asked && !a.kill {
			w.t.Fatalf("%#v of %+v", a, p)
		}
		if a.grant != 0 {
			h := w.grants[a.grant]
			if h == nil || h.worker != a.worker {
				w.t.Fatalf("killed for a slot that is not held there: %#v", a)
			}
			if m := w.messages[a.message]; m == nil || m.over || m.grant != a.grant {
				w.t.Fatalf("killed for a message that is not in hand: %#v %+v", a, m)
			}
		}
		p.asked = true
		mark := "-"
		if a.kill {
			mark = "!"
		}
		w.note("%s%d", mark, a.worker)
	case grantSlot:
		w.grant(a)
	case recallSlot:
		h := w.grants[a.grant]
		if h == nil || !h.keep || h.recalled {
			w.t.Fatalf("recall of %+v", h)
		}
		h.recalled = true
		w.note("recall %d", a.grant)
	case admitMessage:
		w.note("admit %d", a.message)
	case failMessage:
		w.fail(a)
	case poolWake:
		w.wake = a.at
	case poolStarted:
		if ready := w.readyCount(); w.begun || ready < w.p.min {
			w.t.Fatalf("started with %d workers", ready)
		}
		w.begun = true
		w.note("started")
	case poolRolled:
		if r, asked := w.rolls[a.call]; !asked || r != nil {
			w.t.Fatalf("unexpected answer %#v", a)
		}
		w.rolls[a.call] = &a
		w.note("rolled %d:%d", a.call, a.why)
	case poolQuarantined:
		w.note("quarantine %s", a.key)
	case poolEnd:
		if len(w.procs) > 0 || len(w.grants) > 0 {
			w.t.Fatalf("ended with %d processes and %d slots held", len(w.procs), len(w.grants))
		}
		for _, m := range w.messages {
			if !m.over && !m.gone {
				w.t.Fatalf("ended with message %d open", m.id)
			}
		}
		w.over = &a
		w.note("end %d", a.cause)
	}
}

func (w *poolWorld) start(a startWorker) {
	w.t.Helper()
	if a.worker <= w.last {
		w.t.Fatalf("worker %d after %d", a.worker, w.last)
	}
	w.last = a.worker
	starting := 1
	for _, p := range w.procs {
		if !p.ready && !p.asked {
			starting++
		}
	}
	if starting > w.p.parallel {
		w.t.Fatalf("%d starts side by side", starting)
	}
	most := w.p.max + w.p.parallel
	if w.p.recycle.NoOverlap {
		most = w.p.max
	}
	if len(w.procs)+1 > most {
		w.t.Fatalf("%d processes", len(w.procs)+1)
	}
	if a.after != 0 && (w.p.recycle.NoOverlap || w.procs[a.after] == nil) {
		w.t.Fatalf("%#v", a)
	}
	if w.p.stopping {
		w.t.Fatalf("started after the stop")
	}
	w.procs[a.worker] = &poolProc{why: a.why}
	w.note("+%d", a.worker)
}

// grant checks that the message is the next one, and that the worker has room.
func (w *poolWorld) grant(a grantSlot) {
	w.t.Helper()
	m, p := w.messages[a.message], w.procs[a.worker]
	if m == nil || !m.waits && !(m.limbo && w.mayRetry(m)) || m.gone || m.over {
		w.t.Fatalf("granted %#v, which does not wait: %+v", a, m)
	}
	if p == nil || !p.ready || p.asked || p.dying {
		w.t.Fatalf("granted %#v to %+v", a, p)
	}
	if a.keep && (!m.keep || m.exclusive || m.order != "" || w.p.closing || w.p.recycle.Uses > 0 || w.p.maxHandle > 0) {
		w.t.Fatalf("%#v may be kept: %+v", a, m)
	}
	held := 0
	for _, h := range w.grants {
		if h.worker != a.worker {
			continue
		}
		held++
		if o := w.messages[h.message]; m.exclusive || o != nil && o.exclusive {
			w.t.Fatalf("a lease is shared: %#v", a)
		}
	}
	if held >= w.p.slots {
		w.t.Fatalf("two messages in one slot: %#v", a)
	}
	for _, o := range w.messages {
		if m.order != "" && o.order == m.order && o.id != m.id && (o.grant != 0 || o.waits && o.place < m.place) && !o.over && !o.limbo {
			w.t.Fatalf("%d granted beside or before %d of the same order", m.id, o.id)
		}
		if o.waits && !o.gone && o.place < m.place && o.order == "" && !o.exclusive && !m.exclusive {
			w.t.Fatalf("%d granted before %d", m.id, o.id)
		}
	}
	m.waits, m.limbo, m.grant = false, false, a.grant
	w.grants[a.grant] = &poolHold{worker: a.worker, message: a.message, keep: a.keep}
	w.note("%d>%d", a.message, a.worker)
}

func (w *poolWorld) fail(a failMessage) {
	w.t.Helper()
	m := w.messages[a.message]
	if m == nil || m.over || m.gone {
		w.t.Fatalf("%#v about %+v", a, m)
	}
	if a.begun != (m.begun > 0) {
		w.t.Fatalf("%#v about %+v", a, m)
	}
	m.over, m.waits, m.outcome = true, false, a.why.String()
	w.note("%d:%s", a.message, a.why)
}

// check compares the books with themselves and with the world.
func (w *poolWorld) check() {
	w.t.Helper()
	p := w.p
	waiting, chained, inside, bytes, kept := 0, 0, 0, 0, 0
	for _, it := range p.items {
		m := w.messages[it.id]
		if m == nil || m.over || it.waits() != m.waits && !m.gone {
			w.t.Fatalf("item %+v of message %+v", it, m)
		}
		if !it.waits() {
			continue
		}
		waiting++
		if len(it.chain) > 0 {
			chained++
		}
		if it.inside {
			inside++
			bytes += it.bytes
		}
		if it.queued == it.parked {
			w.t.Fatalf("item %+v is lost", it)
		}
	}
	grants := 0
	for _, pw := range p.workers {
		if w.procs[pw.id] == nil {
			w.t.Fatalf("worker %d does not exist", pw.id)
		}
		for _, g := range pw.grants {
			grants++
			h := w.grants[g.id]
			if h == nil || p.grants[g.id] != g || h.worker != pw.id {
				w.t.Fatalf("slot %d: %+v", g.id, h)
			}
			if g.item == nil {
				kept++
			}
		}
	}
	for it := p.queue.first; it != nil && it.next != nil; it = it.next {
		if it.seq >= it.next.seq {
			w.t.Fatalf("the queue is out of order")
		}
	}
	keeping, outside := 0, 0
	for _, g := range p.grants {
		if g.keep && !g.recall {
			keeping++
		}
	}
	for _, it := range p.items {
		if it.outside != nil && it.waits() && !it.inside {
			outside++
		}
	}
	if keeping != p.keeping || outside != p.outside.Len() {
		w.t.Fatalf("books: keeping %d %d, outside %d %d", keeping, p.keeping, outside, p.outside.Len())
	}
	if waiting != p.waiting || chained != p.chained || inside != p.inside || bytes != p.bytes || kept != p.kept ||
		grants != len(p.grants) || grants != len(w.grants) || len(p.workers) != len(w.procs) {
		w.t.Fatalf("books: waiting %d %d, chained %d %d, inside %d %d, bytes %d %d, kept %d %d, grants %d %d %d, workers %d %d",
			waiting, p.waiting, chained, p.chained, inside, p.inside, bytes, p.bytes, kept, p.kept,
			grants, len(p.grants), len(w.grants), len(p.workers), len(w.procs))
	}
	if inside > p.messages || bytes > p.poolRules.bytes && inside > 1 {
		w.t.Fatalf("%d messages of %d bytes wait inside", inside, bytes)
	}
	if n := len(p.refused.entries); n > p.keys || n != p.refused.byDeath.Len() {
		w.t.Fatalf("%d keys remembered", n)
	}
	if p.size() > p.max {
		w.t.Fatalf("size %d", p.size())
	}
	if p.stopping {
		if waiting > 0 {
			w.t.Fatalf("%d wait after the stop", waiting)
		}
		return
	}
	if first := p.queue.first; first != nil {
		for _, pw := range p.workers {
			if pw.free(p.slots) > 0 && !first.exclusive {
				w.t.Fatalf("message %d waits beside worker %d; %s", first.id, pw.id, w.show())
			}
		}
	}
}

// expectCharge compares the pool's end with the world's count of deaths.
func (w *poolWorld) expectCharge(before bool, counts bool) {
	w.t.Helper()
	if before || w.p.booting && w.over == nil {
		return
	}
	over := false
	if counts {
		w.charged = append(w.charged, w.at)
		n := 0
		for _, at := range w.charged {
			if at >= w.at-w.p.period {
				n++
			}
		}
		over = n > w.p.intensity && w.p.intensity != unlimited
	}
	if gaveUp := w.p.stopping; gaveUp != over && !w.p.closing {
		w.t.Fatalf("gave up: %v, by the count of deaths: %v (%v)", gaveUp, over, w.charged)
	}
}

// message sends a message of sender 1 and returns its id.
func (w *poolWorld) message(m poolMessage) messageID {
	w.t.Helper()
	w.lastMsg++
	m.id = w.lastMsg
	if m.sender == 0 {
		m.sender = 1
	}
	w.messages[m.id] = &poolSent{poolMessage: m, place: m.id, waits: true}
	w.send(messageSent{m})
	return m.id
}

// begin has the worker begin the message.
func (w *poolWorld) begin(id messageID) {
	w.t.Helper()
	m := w.messages[id]
	h := w.grants[m.grant]
	if h == nil || h.begun {
		w.t.Fatalf("message %d is begun out of a slot: %+v", id, m)
	}
	m.begun++
	if most := w.p.attempts; m.begun > 1 && !(m.safe || w.p.safe) || m.begun > most && m.begun > 1 {
		w.t.Fatalf("message %d is begun %d times", id, m.begun)
	}
	h.begun = true
	w.send(handleBegun{m.grant})
}

// done has the message be over and its slot returned.
func (w *poolWorld) done(id messageID) {
	w.t.Helper()
	m := w.messages[id]
	g := m.grant
	if w.grants[g] == nil {
		w.t.Fatalf("message %d has no slot: %+v; %s", id, m, w.show())
	}
	m.over, m.outcome = true, "done"
	delete(w.grants, g)
	w.send(slotReturned{grant: g})
}

func (w *poolWorld) readyAll() {
	w.t.Helper()
	for _, id := range w.starting() {
		w.ready(id)
	}
}

func (w *poolWorld) starting() []workerID {
	var ids []workerID
	for id, p := range w.procs {
		if !p.ready && !p.asked {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (w *poolWorld) ready(id workerID) {
	w.t.Helper()
	w.procs[id].ready = true
	w.send(workerReady{worker: id, memory: 1000})
}

// failStart has a start fail.
func (w *poolWorld) failStart(id workerID) {
	w.t.Helper()
	before, why := w.p.stopping, w.procs[id].why
	delete(w.procs, id)
	w.send(workerFailed{worker: id, exit: fmt.Sprintf("start of %d failed", id)})
	works := false
	for _, pw := range w.p.workers {
		works = works || w.procs[pw.id].ready && !pw.condemned && !w.procs[pw.id].dying && pw.phase != workerLeaving
	}
	if !before && w.p.stopping && w.begun { // asked to leave in this very step
		works = false
		for id, p := range w.procs {
			works = works || p.ready && p.asked && !p.dying && !w.p.worker(id).condemned
		}
	}
	if w.begun {
		w.expectCharge(before, why == startNeeded || !works)
	}
}

// die has a worker end, with what it has begun in hand.
func (w *poolWorld) die(id workerID) {
	w.t.Helper()
	before, p := w.p.stopping, w.procs[id]
	ev := workerExited{worker: id, exit: fmt.Sprintf("%d died", id)}
	inHand := false
	for _, g := range slices.Sorted(maps.Keys(w.grants)) {
		h := w.grants[g]
		if h.worker != id {
			continue
		}
		delete(w.grants, g)
		m := w.messages[h.message]
		if h.kept && m.over { // without a message
			continue
		}
		hand := poolHand{grant: g, begun: h.begun}
		if h.kept {
			next := m.poolMessage
			hand.next = &next
		}
		if h.begun {
			inHand = true
			m.limbo = true
		} else {
			m.waits, m.grant = true, 0
			if m.gone || m.late && h.kept {
				m.waits = false
			}
		}
		ev.hands = append(ev.hands, hand)
	}
	delete(w.procs, id)
	w.send(ev)
	w.expectCharge(before, !inHand && !p.asked)
}

// settleLimbo finds out what became of the messages that a dead worker had begun
// and that have neither failed nor been granted again: they wait for a retry,
// or their sender is gone.
func (w *poolWorld) settleLimbo() {
	w.t.Helper()
	for _, m := range w.messages {
		if !m.limbo || m.over {
			m.limbo = false
			continue
		}
		m.limbo, m.grant = false, 0
		switch it := w.p.items[m.id]; {
		case it != nil && it.waits() && w.mayRetry(m):
			m.waits = true
		case it == nil && m.gone:
			m.over, m.outcome = true, "dropped"
		default:
			w.t.Fatalf("message %d is neither failed nor waiting: %+v", m.id, m)
		}
	}
}

// mayRetry reports whether a message that was begun may be begun again.
func (w *poolWorld) mayRetry(m *poolSent) bool {
	return (m.safe || w.p.safe) && m.begun < w.p.attempts && !m.late && !m.gone && !m.exclusive
}

func (w *poolWorld) readyCount() int {
	n := 0
	for _, p := range w.procs {
		if p.ready {
			n++
		}
	}
	return n
}

// pass lets the time pass, with the ticks that were asked for.
func (w *poolWorld) pass(d time.Duration) {
	w.t.Helper()
	end := w.at + d
	for w.wake <= end {
		w.at, w.wake = max(w.at, w.wake), never
		w.send(poolTick{})
	}
	w.at = end
}

// expect compares the log since the last look.
func (w *poolWorld) expect(want string) {
	w.t.Helper()
	if got := strings.Join(w.log, " "); got != want {
		w.t.Fatalf("did  %q\nwant %q\n%s", got, want, w.show())
	}
	w.log = nil
}

func (w *poolWorld) show() string {
	var b []string
	for _, pw := range w.p.workers {
		b = append(b, fmt.Sprintf("%d:%s/%d", pw.id, pw.phase, len(pw.grants)))
	}
	return strings.Join(b, " ") + fmt.Sprintf(" waiting %d", w.p.waiting)
}
