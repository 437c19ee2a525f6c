package chaos_test

import (
	"fmt"
	"sort"

	"github.com/understudy-go/understudy/actor"
)

// operation is how a message was sent.
type operation uint8

const (
	opCall operation = iota + 1
	opGo
	opCast
	opTry
	opStream
	opBlockCall
	opBlockCast
	opNote // to the inbox
	opFlush
	operations
)

func (o operation) String() string {
	return [...]string{"-", "call", "go", "cast", "trycast", "stream", "array call", "array cast", "inbox", "flush"}[o]
}

// isCall is true if somebody awaits a response.
func (o operation) isCall() bool { return o != opCast && o != opTry && o != opBlockCast && o != opNote }

// outcomes of sends and calls.
const (
	ended      uint8 = iota + 1 // nil: of a cast that it was sent, of a call that it was answered
	declined                    // the handler's own error
	gaveUp                      // the sender's ctx ended
	full                        // TryCast: no room
	notRunning                  // ErrNotRunning, ErrStopped: never begun
	exitBegun                   // *ExitError, Begun yes
	exitNot                     // *ExitError, Begun no
	exitMaybe                   // *ExitError, Begun unknown
	refused                     // ErrCallCycle
	stopping                    // the handler's ctx had ended already: it was answered, not handled
	other
)

var outcomeNames = [...]string{"none", "ended", "declined", "gave up", "full", "not running", "exit, begun", "exit, not begun",
	"exit, begun unknown", "refused", "stopping", "other"}

// letter is a dead letter of a cast.
type letter struct {
	sender uint16 // role of the sending process
	to     uint16
	time   int64
	begun  bool // it was in the hands of inc
	inc    actor.Incarnation
}

// evidence is all that is known after a run.
type evidence struct {
	records []record
	letters []letter
	lives   map[actor.Incarnation]uint64 // incarnation -> actor
}

// transport is one order of messages: from one goroutine to one receiver.
type transport struct {
	process uint64
	stream  uint32
	to      uint16
}

// message is what became of one.
type message struct {
	op      operation
	outcome uint8 // 0: the sender has not said
	begins  int
	ended   bool
	actor   uint64            // that began it
	inc     actor.Incarnation // of an ExitError
	sendAt  int               // index of the record
	sentAt  int
	beginAt int
}

// pair is all casts from one process to one receiver.
type pair struct {
	process uint64
	to      uint16
}

// account is the bookkeeper's: every message, and what was found wrong.
type account struct {
	evidence
	messages map[transport][]message // by sequence number - 1
	born     map[uint64]record       // process -> its first record
	done     map[uint64]int          // process -> index of the record: it lived that long
	last     map[transport]uint64    // begun last
	faults   []string
	more     int
	begun    [operations]int
	outcomes [operations][len(outcomeNames)]int
}

const maxFaults = 30

func (a *account) fault(format string, args ...any) {
	if len(a.faults) < maxFaults {
		a.faults = append(a.faults, fmt.Sprintf(format, args...))
	} else {
		a.more++
	}
}

// verify returns all that the guarantees forbid.
func verify(ev evidence) *account {
	a := &account{evidence: ev, messages: make(map[transport][]message), born: make(map[uint64]record), done: make(map[uint64]int),
		last: make(map[transport]uint64)}
	for i, r := range ev.records {
		a.read(i, r)
	}
	a.checkMessages()
	a.checkCasts()
	if a.more > 0 {
		a.faults = append(a.faults, fmt.Sprintf("and %d more", a.more))
	}
	return a
}

func (a *account) name(l transport, seq uint64) string {
	return fmt.Sprintf("message %d of stream %d of %s (process %x) to %s", seq, l.stream, roleName(a.born[l.process].Self), l.process>>48, roleName(l.to))
}

func (a *account) find(r record) (*message, transport) {
	l := transport{r.Process, r.Stream, r.To}
	m := a.messages[l]
	if r.Seq == 0 || r.Seq > uint64(len(m)) {
		return nil, l
	}
	return &m[r.Seq-1], l
}

// read takes one record, in the order of the journal.
func (a *account) read(i int, r record) {
	switch r.Entry {
	case entryBorn:
		if _, known := a.born[r.Process]; !known {
			a.born[r.Process] = r
		}
	case entryDone:
		a.done[r.Process] = i
	case entryBad:
		a.fault("on the spot: %s: %s", roleName(r.Self), a.name(transport{r.Process, r.Stream, r.To}, r.Seq))
	case entrySend:
		l := transport{r.Process, r.Stream, r.To}
		if want := uint64(len(a.messages[l])) + 1; r.Seq != want {
			a.fault("the journal itself is broken: %s, want number %d", a.name(l, r.Seq), want)
			return
		}
		a.messages[l] = append(a.messages[l], message{op: r.Op, sendAt: i})
	case entrySent:
		m, l := a.find(r)
		if m == nil || m.outcome != 0 {
			a.fault("%s ended twice, or was never sent", a.name(l, r.Seq))
			return
		}
		m.outcome, m.inc, m.sentAt = r.Outcome, r.Inc, i
		a.outcomes[m.op][r.Outcome]++
	case entryBegin:
		a.begin(i, r)
	case entryEnd:
		if m, l := a.find(r); m == nil || m.begins == 0 {
			a.fault("%s was ended, not begun", a.name(l, r.Seq))
		} else {
			m.ended = true
		}
	}
}

func (a *account) begin(i int, r record) {
	m, l := a.find(r)
	if m == nil {
		a.fault("%s was begun, never sent", a.name(l, r.Seq))
		return
	}
	if m.begins++; m.begins > 1 {
		a.fault("%s (%v) was begun %d times", a.name(l, r.Seq), m.op, m.begins)
		return
	}
	m.actor, m.beginAt = r.Actor, i
	a.begun[m.op]++
	if r.Self != r.To {
		a.fault("%s was begun by %s", a.name(l, r.Seq), roleName(r.Self))
	}
	if cast[r.To].concurrent {
		return
	}
	if last := a.last[l]; r.Seq < last {
		a.fault("%s (%v) was begun after message %d", a.name(l, r.Seq), m.op, last)
	}
	a.last[l] = max(a.last[l], r.Seq)
}

// lived is true if the message was sent by a process that lived on until all
// its sends had ended.
func (a *account) lived(l transport, m *message) bool {
	end, ok := a.done[l.process]
	return ok && m.sendAt < end
}

// checkMessages compares what each sender was told with what happened.
func (a *account) checkMessages() {
	unseen := make(map[actor.Incarnation]map[uint16]int) // begun, says the progress page, and not in the journal
	for l, ms := range a.messages {
		for i := range ms {
			m := &ms[i]
			name := func() string { return fmt.Sprintf("%s (%v)", a.name(l, uint64(i)+1), m.op) }
			switch m.outcome {
			case 0:
				if a.lived(l, m) {
					a.fault("%s has not ended for its sender", name())
				}
			case ended, declined:
				if m.op.isCall() && m.begins == 0 {
					a.fault("%s was answered, never begun", name())
				} else if m.op.isCall() && m.beginAt > m.sentAt {
					a.fault("%s was answered before it was begun", name())
				}
			case full, notRunning, exitNot:
				if m.begins > 0 {
					a.fault("%s was begun; its sender was told: %s", name(), outcomeNames[m.outcome])
				}
			case gaveUp:
				if m.begins > 0 && !m.op.isCall() {
					a.fault("%s was begun; its sender was told that it was not sent", name())
				}
			case exitBegun:
				if m.begins == 0 {
					if unseen[m.inc] == nil {
						unseen[m.inc] = make(map[uint16]int)
					}
					unseen[m.inc][l.to]++
				} else if life, ok := a.lives[m.inc]; !ok || life != m.actor {
					a.fault("%s was begun by another incarnation than its sender was told (%s)", name(), m.inc)
				}
			case exitMaybe, other:
				a.fault("%s ended with: %s", name(), outcomeNames[m.outcome])
			}
		}
	}
	// A process can be killed after the mark and before the journal: with one
	// message for each slot.
	for inc, by := range unseen {
		for to, n := range by {
			if n > cast[to].slots {
				a.fault("%d calls to %s are said to have been begun by %s, and were not", n, roleName(to), inc)
			}
		}
	}
}

// checkCasts accounts for casts: their senders do not hear of them, dead
// letters do.
func (a *account) checkCasts() {
	type count struct {
		lost   int                       // never begun
		cut    map[uint64]int            // begun, not ended, by actor
		ended  map[uint64]int            // the slots of actors that had ended one
		sample map[uint64]string         // of cut
		first  string                    // of lost
		dead   map[actor.Incarnation]int // dead letters of begun casts
		unsent int                       // dead letters of others
	}
	counts := make(map[pair]*count)
	of := func(p pair) *count {
		c := counts[p]
		if c == nil {
			c = &count{cut: make(map[uint64]int), ended: make(map[uint64]int), sample: make(map[uint64]string), dead: make(map[actor.Incarnation]int)}
			counts[p] = c
		}
		return c
	}
	for l, ms := range a.messages {
		if _, ok := a.done[l.process]; !ok {
			continue
		}
		c := of(pair{l.process, l.to})
		for i := range ms {
			m := &ms[i]
			if m.op.isCall() || m.outcome != ended || !a.lived(l, m) {
				continue
			}
			switch {
			case m.begins == 0:
				c.lost++
				if c.first == "" {
					c.first = a.name(l, uint64(i)+1)
				}
			case !m.ended:
				c.cut[m.actor]++
				c.sample[m.actor] = a.name(l, uint64(i)+1)
			default:
				c.ended[m.actor]++
			}
		}
	}
	processes := a.lifetimes()
	for _, d := range a.letters {
		if p, ok := processAt(processes[d.sender], d.time); ok {
			if _, lived := a.done[p]; !lived {
				continue
			}
			c := of(pair{p, d.to})
			if d.begun {
				c.dead[d.inc]++
			} else {
				c.unsent++
			}
		}
	}
	for p, c := range counts {
		where := fmt.Sprintf("from %s to %s", roleName(a.born[p.process].Self), roleName(p.to))
		spare, surplus := c.unsent, 0
		seen := make(map[uint64]bool)
		for inc, n := range c.dead {
			life := a.lives[inc]
			seen[life] = true
			left := n - c.cut[life]
			if left < 0 {
				a.fault("%d casts %s were cut off, %d dead letters: %s", c.cut[life], where, n, c.sample[life])
			} else {
				spare += left
				surplus += left // ended in the journal, and killed before the mark said so
				if left > cast[p.to].slots {
					a.fault("%d dead letters %s of casts in the hands of %s, of which %d were cut off", n, where, inc, c.cut[life])
				}
			}
		}
		for life, n := range c.cut {
			if !seen[life] {
				a.fault("%d casts %s were cut off, no dead letter: %s", n, where, c.sample[life])
			}
		}
		if spare < c.lost {
			a.fault("%d casts %s were never begun, %d dead letters: %s", c.lost, where, spare, c.first)
		}
		if spare-surplus > c.lost {
			a.fault("%d casts %s were never begun, %d dead letters are too many", c.lost, where, spare)
		}
	}
}

// lifetimes lists the processes of each role, by their beginning.
func (a *account) lifetimes() map[uint16][]record {
	by := make(map[uint16][]record)
	for _, r := range a.born {
		by[r.Self] = append(by[r.Self], r)
	}
	for _, rs := range by {
		sort.Slice(rs, func(i, j int) bool { return rs[i].Time < rs[j].Time })
	}
	return by
}

// processAt finds the process that a role had at a time.
func processAt(rs []record, at int64) (uint64, bool) {
	i := sort.Search(len(rs), func(i int) bool { return rs[i].Time > at })
	if i == 0 {
		return 0, false
	}
	return rs[i-1].Process, true
}
