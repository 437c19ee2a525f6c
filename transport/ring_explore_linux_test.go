package transport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"iter"
	"os"
	"strings"
	"testing"
)

// The explorer runs a writer and a reader in every interleaving of their steps.
// The writer is one goroutine of another process; the reader is the leader of a
// poller, the goroutine that reads the socket beside the ring, and one that wakes
// the leader for a reason of its own. A side runs until it is about to touch
// shared memory again, or a futex, the channel, the socket, a lock, and only then
// the others may: so what one run does is fixed by the list of who went when, and
// all lists are tried. Where two of them lead to the same memory and the same
// sides, what follows is tried once.
//
// What sleeps and wakes is the real [Sleeper]; the kernel and the channel are
// models.

// A side is one of those goroutines, stopped before its next step.
type side struct {
	name   string
	resume func() (func() bool, bool)
	kill   func()
	ready  func() bool // it can go on; nil: at once
	at     step
	saw    uint32 // the mode that it has read to wake
	phase  string
	over   bool
	wait   func(at step, ready func() bool)
}

// errKilled ends a side that is never to go on.
var errKilled = fmt.Errorf("killed")

// newSide makes a side that runs program, which stops in wait.
func newSide(name string, program func(s *side)) *side {
	s := &side{name: name, at: "beginning"}
	s.resume, s.kill = iter.Pull(func(yield func(func() bool) bool) {
		defer func() {
			if r := recover(); r != nil && r != any(errKilled) {
				panic(r)
			}
		}()
		s.wait = func(at step, ready func() bool) {
			s.at = at
			if !yield(ready) {
				panic(errKilled)
			}
		}
		program(s)
	})
	return s
}

func (s *side) enabled() bool { return !s.over && (s.ready == nil || s.ready()) }

func (s *side) step() {
	ready, more := s.resume()
	s.ready, s.over = ready, !more
}

// A sleep is how the leader goes to sleep.
type sleep string

const (
	inTheKernel  sleep = "in the kernel"
	onTheChannel sleep = "on the channel"
	inTurn       sleep = "in the kernel, until that takes too long"
)

// world is one run: a writer of some records, and a reader that wants them all,
// and what the waker has to say.
type world struct {
	w      *ringWriter
	r      *ringReader
	rings  *Rings
	sleep  sleep
	fine   bool // each access to the ring is a step; then there is no waker
	s      Sleeper
	bodies [][]byte

	writer, leader, socket, waker *side
	cur                           *side // the one that runs

	parking, reading lock // Rings.parking, and the lock of reading

	blocked bool // the leader, on a futex
	woken   bool // it was
	expired bool // it has been for too long
	tokens  int  // in the leader's channel
	message bool // in the socket

	gone    bool // the writer's process has ended
	dead    bool // the reader's process has
	ended   bool // the leader is told of the writer's end
	reason  bool // of the waker
	noticed bool // by the leader
	looked  bool // what the leader's last look found
	got     int  // records in the reader's hands
	copied  int  // of which the whole body was copied

	sawParked uint64 // what the writer has read and not acted upon
	sawRing   uint64 // what the reader has copied
	fault     string
	tracing   bool
	trace     []string
}

// lock is a lock of the reader's process.
type lock struct {
	x    *world
	held bool
}

func (l *lock) Lock() {
	l.x.cur.wait("locking", func() bool { return !l.held })
	l.held = true
}

func (l *lock) Unlock() { l.held = false }

// newWorld makes a ring of size bytes and its sides.
func newWorld(size int, bodies [][]byte, how sleep, fine bool) *world {
	e := newRingEnds(size)
	x := &world{sleep: how, fine: fine, noticed: fine, bodies: bodies, rings: &Rings{in: e.r, out: e.w}}
	x.w, x.r = &x.rings.out, &x.rings.in
	x.parking.x, x.reading.x = x, x
	x.r.parking = &x.parking
	x.s.kernel, x.s.hook, x.r.hook, x.w.hook = modelKernel{x}, x.step, x.step, x.step
	x.writer = newSide("writer", x.write)
	x.leader = newSide("leader", x.lead)
	x.socket = newSide("socket", x.serve)
	x.waker = newSide("waker", x.wake)
	x.waker.over = fine
	return x
}

func (x *world) sides() []*side { return []*side{x.writer, x.leader, x.socket, x.waker} }

// step is the hook of all that has one.
func (x *world) step(s step) {
	x.cur.saw = 0
	switch s { // nobody else has moved since
	case stepAsleep:
		x.sawParked = *x.w.parked
	case stepTaken, stepCopied, stepHead:
		h := fnv.New64()
		h.Write(x.r.data)
		x.sawRing = h.Sum64()
		if s == stepCopied {
			x.copied++
		}
	case stepWokeBy, stepClaimed:
		x.cur.saw = 1 + x.s.mode.Load()
	}
	if !x.fine {
		switch s {
		case stepRoom, stepHeader, stepBody, stepTaken, stepCopied:
			return
		}
	}
	x.cur.wait(s, nil)
}

func (x *world) write(s *side) {
	for i, body := range x.bodies {
		for {
			ok, err := x.w.write(uint64(i+1), body)
			if err != nil {
				x.fail("writing: %v", err)
			}
			if ok {
				break
			}
			full := x.w.freed
			s.wait("full", func() bool { return *x.w.head != full })
		}
		switch how, sleep := x.w.wanted(); how {
		case wakeKernel:
			s.wait("about to wake", nil)
			if x.blocked {
				x.woken = true
				x.w.ended(sleep)
			}
			s.wait("woke", nil)
		case wakeBySocket:
			x.w.ended(sleep)
			s.wait("about to send", nil)
			x.message = true
			s.wait("sent", nil)
		}
	}
}

func (x *world) lead(s *side) {
	for {
		gone := x.ended
		if x.reason {
			x.noticed = true
		}
		s.phase = "taking"
		for x.one() {
		}
		if x.got == len(x.bodies) && x.noticed || gone {
			return
		}
		s.phase = "blocking"
		if x.sleep != onTheChannel && x.s.Block([]*Rings{x.rings}, leaderLooks{x}) {
			continue
		}
		s.phase = "waiting"
		x.s.Wait([]*Rings{x.rings}, leaderLooks{x}, nil)
	}
}

// leaderLooks is the leader's last look before it sleeps.
type leaderLooks struct{ x *world }

func (l leaderLooks) Ready() bool {
	x := l.x
	x.looked = x.r.pending() || x.reason && !x.noticed || x.ended || x.got == len(x.bodies) && x.noticed
	x.cur.wait("looked once more", nil)
	return x.looked
}

// serve is the goroutine that reads the socket.
func (x *world) serve(s *side) {
	for !x.leader.over {
		s.phase = "receiving"
		s.wait("receiving", func() bool { return x.message || x.gone || x.leader.over })
		switch {
		case x.message:
			x.message = false
			s.phase = "delivering"
			x.drain()
			s.phase = "asking again"
			x.reading.Lock()
			again := x.s.Again(x.rings)
			x.reading.Unlock()
			if again {
				s.phase = "delivering again"
				x.drain()
			}
		case x.gone:
			s.phase = "ending"
			x.drain()
			x.ended = true
			s.wait("told of the end", nil)
			x.s.Wake()
			return
		}
		s.phase = "waking"
		if x.got == len(x.bodies) { // the last one is what the leader waits for
			x.s.Wake()
		}
	}
}

func (x *world) drain() {
	for x.one() {
	}
}

// wake is a goroutine with a reason to wake the leader.
func (x *world) wake(s *side) {
	x.reason = true
	s.wait("reason given", nil)
	x.s.Wake()
}

// modelKernel is the kernel, and the channel.
type modelKernel struct{ x *world }

func (k modelKernel) sleep(words []futexWait) (timedOut bool) {
	x := k.x
	if x.s.word.Load() != uint32(words[0].value) || uint32(*x.w.tail) != uint32(words[1].value) {
		return false
	}
	x.blocked, x.woken, x.expired = true, false, false
	x.cur.wait("blocked", func() bool { return x.woken || x.expired })
	timedOut = !x.woken
	x.blocked, x.woken, x.expired = false, false, false
	return timedOut
}

func (k modelKernel) wakeLocal(*Sleeper) {
	k.x.woken = k.x.blocked
	k.x.cur.wait("woke", nil)
}

func (k modelKernel) wakeChannel(*Sleeper) {
	k.x.tokens++
	k.x.cur.wait("token sent", nil)
}

func (k modelKernel) awaitChannel(*Sleeper, <-chan struct{}) bool {
	k.x.cur.wait("asleep on the channel", func() bool { return k.x.tokens > 0 })
	k.x.tokens--
	return true
}

// one takes one record, if there is one.
func (x *world) one() bool {
	x.reading.Lock()
	defer x.reading.Unlock()
	number, ok, err := x.r.front()
	var body []byte
	if ok && err == nil {
		body, err = x.r.take(nil)
	}
	if err != nil {
		x.fail("reading: %v", err)
	}
	if !ok || err != nil {
		return false
	}
	if x.got++; number != uint64(x.got) || !bytes.Equal(body, x.bodies[x.got-1]) {
		x.fail("record %d came as %d: %x", x.got, number, body)
	}
	return true
}

func (x *world) fail(format string, args ...any) {
	if x.fault == "" {
		x.fault = fmt.Sprintf(format, args...)
	}
}

// published and released count the records that a word of memory speaks of.
func (x *world) published() int { return x.upTo(*x.w.tail) }
func (x *world) released() int  { return x.upTo(*x.w.head) }

func (x *world) upTo(at uint64) (n int) {
	for sum := uint64(0); n < len(x.bodies) && sum < at; n++ {
		sum += recordSize(len(x.bodies[n]))
	}
	return n
}

// A choice is who goes on, or what else happens.
type choice byte

const (
	runWriter choice = iota
	runLeader
	runSocket
	runWaker
	expire
	killWriter
	killReader
	choices
)

func (c choice) String() string {
	return [...]string{"writer", "leader", "socket", "waker", "the sleep has lasted too long", "writer killed", "reader killed"}[c]
}

func (x *world) can(c choice, kills bool) bool {
	switch c {
	case killWriter:
		return kills && !x.gone && !x.dead && !x.writer.over
	case killReader:
		return kills && !x.gone && !x.dead && !x.leader.over
	case expire:
		return x.sleep == inTurn && x.blocked && !x.woken && !x.expired
	default:
		return x.sides()[c].enabled()
	}
}

func (x *world) do(c choice) {
	switch c {
	case expire:
		x.expired = true
		x.note("%v", c)
	case killWriter:
		x.writer.kill()
		x.writer.over, x.gone = true, true
		x.note("%v", c)
	case killReader:
		for _, s := range x.sides()[1:] {
			s.kill()
			s.over = true
		}
		x.dead = true
		x.note("%v", c)
	default:
		x.cur = x.sides()[c]
		x.cur.step()
		x.note("%s %s (%s) tail %d head %d parked %d mode %d", x.cur.name, x.cur.at, x.cur.phase, *x.w.tail, *x.w.head, *x.w.parked, x.s.mode.Load())
	}
	if used := *x.w.tail - *x.w.head; used > uint64(len(x.w.data)) {
		x.fail("the ring holds %d bytes", used)
	}
	if x.released() > x.copied {
		x.fail("%d records are released, %d were copied", x.released(), x.copied)
	}
	if x.tokens > 1 {
		x.fail("%d tokens for one sleeper", x.tokens)
	}
}

func (x *world) note(format string, args ...any) {
	if x.tracing {
		x.trace = append(x.trace, fmt.Sprintf(format, args...))
	}
}

// end judges a world in which nobody goes on.
func (x *world) end() {
	switch {
	case !x.gone && !x.dead && !(x.writer.over && x.leader.over):
		x.fail("%d of %d records are published, the reader has %d, and nobody goes on: writer at %q, leader at %q",
			x.published(), len(x.bodies), x.got, x.writer.at, x.leader.at)
	case x.gone && (x.got != x.published() || !x.leader.over):
		x.fail("the writer is dead, %d records are published, the reader has %d, the leader is at %q", x.published(), x.got, x.leader.at)
	case x.dead && !x.writer.over && x.writer.at != "full":
		x.fail("the reader is dead, and the writer stands at %q", x.writer.at)
	}
}

// state is all that tells one world from another.
func (x *world) state() string {
	b := make([]byte, 0, 512)
	num := func(n uint64) { b = binary.AppendUvarint(b, n) }
	yes := func(flags ...bool) {
		for _, f := range flags {
			if f {
				b = append(b, 1)
			} else {
				b = append(b, 0)
			}
		}
	}
	for _, s := range x.sides() {
		b = append(append(append(b, s.at...), s.phase...), byte(s.saw))
		yes(s.over)
	}
	for _, n := range []uint64{x.w.at, x.w.freed, x.w.woken, x.sawParked, x.r.at, x.r.seen, x.r.sleeps, x.sawRing, uint64(len(x.s.waits)),
		uint64(x.s.mode.Load()), uint64(x.s.word.Load()), uint64(x.tokens), uint64(x.got), uint64(x.copied), *x.w.tail, *x.w.head, *x.w.parked} {
		num(n)
	}
	for _, w := range x.s.waits {
		num(w.value)
	}
	yes(x.parking.held, x.reading.held, x.blocked, x.woken, x.expired, x.message, x.gone, x.dead, x.ended, x.reason, x.noticed, x.looked)
	h := fnv.New128a()
	h.Write(b)
	h.Write(x.w.data)
	return string(h.Sum(nil))
}

func (x *world) stop() {
	for _, s := range x.sides() {
		s.kill()
	}
}

// explore tries everything; with kills, also that either side ends, once, at any
// of its steps. It returns how many states there are, and the first
// fault with the way to it.
func explore(size int, bodies [][]byte, how sleep, fine, kills bool) (states int, fault string) {
	seen := map[string]bool{}
	ways := [][]choice{nil} // to be gone, and then on to the end
	for len(ways) > 0 {
		way := ways[len(ways)-1]
		ways = ways[:len(ways)-1]
		x := newWorld(size, bodies, how, fine)
		for _, c := range way {
			x.do(c)
		}
		for x.fault == "" {
			if s := x.state(); seen[s] {
				break
			} else {
				seen[s] = true
			}
			next := choices
			for c := range choices {
				switch {
				case !x.can(c, kills):
				case next == choices:
					next = c
				default:
					ways = append(ways, append(way[:len(way):len(way)], c))
				}
			}
			if next == choices {
				x.end()
				break
			}
			x.do(next)
			way = append(way[:len(way):len(way)], next)
		}
		x.stop()
		if x.fault != "" {
			again := newWorld(size, bodies, how, fine)
			again.tracing = true
			for _, c := range way {
				again.do(c)
			}
			again.stop()
			return len(seen), x.fault + "\n" + strings.Join(again.trace, "\n")
		}
	}
	return len(seen), ""
}

// long has the tests explore more: UNDERSTUDY_LONG=1.
var long = os.Getenv("UNDERSTUDY_LONG") != ""

// In every interleaving each record comes once, whole and in order, the ring is
// never over-full, and the leader does not sleep while there is something to read,
// the waker has a reason, or the writer has ended.
func TestRingEveryInterleaving(t *testing.T) {
	for _, c := range []struct {
		name   string
		size   int
		bodies [][]byte
		fine   bool
		long   bool // some millions of states
	}{
		{"one record, and a waker", 32, [][]byte{{}}, false, false},
		{"one record at a time", 32, [][]byte{ringBody(1, 9), ringBody(2, 16)}, true, false},
		{"a body across the end", 64, [][]byte{ringBody(1, 1), ringBody(2, 20)}, true, true},
		{"room for all", 128, [][]byte{ringBody(1, 9), ringBody(2, 16)}, true, true},
		{"empty records", 32, [][]byte{{}, {}, {}}, true, true},
		{"two records, and a waker", 32, [][]byte{{}, {}}, false, true},
	} {
		if c.long && !long {
			continue
		}
		for _, how := range []sleep{inTheKernel, onTheChannel, inTurn} {
			for _, kills := range []bool{false, true} {
				switch {
				case raceEnabled && (kills || !c.fine): // it is one goroutine at a time: nothing for the detector
					continue
				case how == inTurn && (kills || !c.fine) && !long:
					continue
				}
				t.Run(fmt.Sprintf("%s, %s, kills %v", c.name, how, kills), func(t *testing.T) {
					states, fault := explore(c.size, c.bodies, how, c.fine, kills)
					if fault != "" {
						t.Error(fault)
					}
					t.Logf("%d states", states)
					if states < 300 {
						t.Error("there must be more states")
					}
				})
			}
		}
	}
}
