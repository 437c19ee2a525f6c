package chaos_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/actor"
)

// script writes a journal by hand: one sender in a process, one receiver.
type script struct {
	evidence
	seq uint64
	to  uint16
}

const (
	scriptProcess = 77
	scriptActor   = 1001
)

var scriptInc = uuid.UUID{1}

func newScript() *script {
	s := &script{to: 2}
	s.lives = map[actor.Incarnation]uint64{scriptInc: scriptActor}
	s.add(record{Entry: entryBorn, Self: 6, Process: scriptProcess, Time: 1})
	return s
}

func (s *script) add(r record) {
	s.records = append(s.records, r)
}

func (s *script) key(e entry, op operation, seq uint64) record {
	return record{Entry: e, Op: op, Process: scriptProcess, Stream: 1, To: s.to, Self: s.to, Seq: seq, Actor: scriptActor}
}

// send writes a send with its outcome and returns its number.
func (s *script) send(op operation, outcome uint8) uint64 {
	s.seq++
	s.add(s.key(entrySend, op, s.seq))
	if outcome != 0 {
		r := s.key(entrySent, op, s.seq)
		r.Outcome, r.Inc = outcome, scriptInc
		s.add(r)
	}
	return s.seq
}

func (s *script) begin(seq uint64) { s.add(s.key(entryBegin, 0, seq)) }
func (s *script) end(seq uint64)   { s.add(s.key(entryEnd, 0, seq)) }
func (s *script) handle(seq uint64) {
	s.begin(seq)
	s.end(seq)
}
func (s *script) done() { s.add(record{Entry: entryDone, Process: scriptProcess}) }
func (s *script) letter(begun bool) {
	d := letter{sender: 6, to: s.to, time: 2, begun: begun}
	if begun {
		d.inc = scriptInc
	}
	s.letters = append(s.letters, d)
}

// call writes an answered call.
func (s *script) call() uint64 {
	seq := s.send(opCall, 0)
	s.handle(seq)
	r := s.key(entrySent, opCall, seq)
	r.Outcome = ended
	s.add(r)
	return seq
}

// The bookkeeper must see whatever the guarantees forbid, and nothing else.
func TestVerify(t *testing.T) {
	for _, c := range []struct {
		name string
		want string // of the only complaint; "" is none
		play func(s *script)
	}{
		{"all well", "", func(s *script) {
			s.call()
			a, b := s.send(opCast, ended), s.send(opTry, ended)
			s.handle(a)
			s.handle(b)
			s.send(opTry, full)
			s.send(opCast, gaveUp)
			s.send(opCall, exitNot)
			s.begin(s.send(opCall, gaveUp))
			s.done()
		}},
		{"duplicate of a cast", "was begun 2 times", func(s *script) {
			a := s.send(opCast, ended)
			s.handle(a)
			s.handle(a)
			s.done()
		}},
		{"duplicate from a sender that was killed", "was begun 2 times", func(s *script) {
			a := s.send(opCast, 0)
			s.handle(a)
			s.handle(a)
		}},
		{"loss", "1 casts from /team/a to /w0 were never begun, 0 dead letters", func(s *script) {
			s.send(opCast, ended)
			s.done()
		}},
		{"loss, sender killed", "", func(s *script) { s.send(opCast, ended) }},
		{"loss after the sender's account", "", func(s *script) {
			s.done()
			s.send(opCast, ended)
		}},
		{"loss, reported", "", func(s *script) {
			s.send(opCast, ended)
			s.letter(false)
			s.done()
		}},
		{"two lost, one reported", "2 casts from /team/a to /w0 were never begun, 1 dead letters", func(s *script) {
			s.send(opCast, ended)
			s.send(opBlockCast, ended)
			s.letter(false)
			s.done()
		}},
		{"a dead letter too many", "0 casts from /team/a to /w0 were never begun, 1 dead letters are too many", func(s *script) {
			s.handle(s.send(opCast, ended))
			s.letter(false)
			s.done()
		}},
		{"cut off, reported", "", func(s *script) {
			s.begin(s.send(opCast, ended))
			s.letter(true)
			s.done()
		}},
		{"cut off, not reported", "1 casts from /team/a to /w0 were cut off, no dead letter", func(s *script) {
			s.begin(s.send(opCast, ended))
			s.done()
		}},
		{"cut off, one of two reported", "2 casts from /team/a to /w0 were cut off, 1 dead letters", func(s *script) {
			s.begin(s.send(opCast, ended))
			s.begin(s.send(opCast, ended))
			s.letter(true)
			s.done()
		}},
		{"killed between mark and journal", "", func(s *script) {
			s.send(opCast, ended)
			s.letter(true)
			s.done()
		}},
		{"killed between the end and its mark", "", func(s *script) {
			s.handle(s.send(opCast, ended))
			s.letter(true)
			s.done()
		}},
		{"too many in hand", "2 dead letters from /team/a to /w0 of casts in the hands of", func(s *script) {
			s.handle(s.send(opCast, ended))
			s.handle(s.send(opCast, ended))
			s.letter(true)
			s.letter(true)
			s.done()
		}},
		{"swap", "was begun after message 2", func(s *script) {
			a, b := s.send(opCast, ended), s.send(opCast, ended)
			s.handle(b)
			s.handle(a)
			s.done()
		}},
		{"swap, sender killed", "was begun after message 2", func(s *script) {
			a, b := s.send(opCast, ended), s.send(opCast, 0)
			s.handle(b)
			s.handle(a)
		}},
		{"side by side in a hub", "", func(s *script) {
			s.to = uint16(len(cast) - 1)
			a, b := s.send(opCast, ended), s.send(opCast, ended)
			s.handle(b)
			s.handle(a)
			s.done()
		}},
		{"answered, not begun", "was answered, never begun", func(s *script) {
			s.send(opCall, ended)
			s.done()
		}},
		{"answered too early", "was answered before it was begun", func(s *script) {
			s.handle(s.send(opCall, declined))
			s.done()
		}},
		{"begun, said to be not", "its sender was told: exit, not begun", func(s *script) {
			s.begin(s.send(opCall, exitNot))
			s.done()
		}},
		{"begun, said to be not running", "its sender was told: not running", func(s *script) {
			s.begin(s.send(opStream, notRunning))
			s.done()
		}},
		{"begun, though there was no room", "its sender was told: full", func(s *script) {
			s.handle(s.send(opTry, full))
			s.done()
		}},
		{"begun, though the send failed", "told that it was not sent", func(s *script) {
			s.handle(s.send(opCast, gaveUp))
			s.done()
		}},
		{"said to be begun once more than it can be", "2 calls to /w0 are said to have been begun", func(s *script) {
			s.send(opCall, exitBegun)
			s.send(opGo, exitBegun)
			s.done()
		}},
		{"said to be begun, killed before the journal", "", func(s *script) {
			s.send(opCall, exitBegun)
			s.done()
		}},
		{"begun by another incarnation than was said", "was begun by another incarnation", func(s *script) {
			s.lives[scriptInc] = scriptActor + 1
			s.begin(s.send(opCall, exitBegun))
			s.done()
		}},
		{"a call that never ends", "has not ended for its sender", func(s *script) {
			s.send(opCall, 0)
			s.done()
		}},
		{"a call that ends oddly", "ended with: other", func(s *script) {
			s.send(opCall, other)
			s.done()
		}},
		{"begun, never sent", "was begun, never sent", func(s *script) {
			s.begin(5)
			s.done()
		}},
		{"begun by the wrong one", "was begun by /w1", func(s *script) {
			r := s.key(entryBegin, 0, s.send(opCast, ended))
			r.Self = 4
			s.add(r)
			s.end(1)
			s.done()
		}},
		{"wrong on the spot", "on the spot", func(s *script) {
			s.call()
			s.add(s.key(entryBad, opCall, 1))
			s.done()
		}},
		{"a hole in the journal", "the journal itself is broken", func(s *script) {
			s.add(s.key(entrySend, opCall, 3))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript()
			c.play(s)
			got := verify(s.evidence).faults
			switch {
			case c.want == "" && len(got) > 0:
				t.Errorf("complaints: %q", got)
			case c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)):
				t.Errorf("complaints: %q, want one: %q", got, c.want)
			}
		})
	}
}

func TestRecordsSurviveTheFile(t *testing.T) {
	want := record{Entry: entrySent, Op: opStream, Outcome: exitBegun, Stream: 1 << 31, To: 3, Self: 4, Process: 1 << 63, Actor: 5,
		Seq: 6, Time: -7, PID: 8, Inc: uuid.UUID{9, 15: 10}}
	j, err := openJournal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	j.write(want)
	j.write(record{Entry: entryDone})
	got, err := readJournal(dirOf(j))
	if err != nil || len(got) != 2 || got[0] != want {
		t.Errorf("read %+v, %v; want %+v", got, err, want)
	}
}
