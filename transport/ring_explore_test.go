package transport

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"iter"
	"strings"
	"testing"
)

// The explorer runs a writer and a reader in every interleaving of their steps.
// A side runs until it is about to touch shared memory again, or the bell, and
// only then the other may: so what one run does is fixed by the list of who
// went when, and all lists are tried. Where two of them lead to the same memory
// and the same two sides, what follows is tried once.
//
// The reader's bell is that of [Bell]: an edge that is forgotten when the
// reader gets ready to hear the next one.

// A side is one of the two, stopped before its next step.
type side struct {
	name   string
	resume func() (func() bool, bool)
	kill   func()
	ready  func() bool   // it can go on; nil: at once
	local  func() string // all that it knows, for telling states apart
	at     step
	over   bool
}

// errKilled ends a side that is never to go on.
var errKilled = fmt.Errorf("killed")

// newSide makes a side that runs program, which stops in wait.
func newSide(name string, program func(wait func(at step, ready func() bool))) *side {
	s := &side{name: name, at: "beginning"}
	s.resume, s.kill = iter.Pull(func(yield func(func() bool) bool) {
		defer func() {
			if r := recover(); r != nil && r != any(errKilled) {
				panic(r)
			}
		}()
		program(func(at step, ready func() bool) {
			s.at = at
			if !yield(ready) {
				panic(errKilled)
			}
		})
	})
	return s
}

func (s *side) enabled() bool { return !s.over && (s.ready == nil || s.ready()) }

func (s *side) step() {
	ready, more := s.resume()
	s.ready, s.over = ready, !more
}

// world is one run: a writer of some records, and a reader who wants them all.
type world struct {
	*ringEnds
	writer, reader *side
	bodies         [][]byte

	bell   bool // rung, and not heard
	gone   bool // the writer's process has ended, which the reader is told
	got    int  // records in the reader's hands
	copied int  // of which the whole body was copied

	sawParked uint64 // what the writer has read and not acted upon
	sawRing   uint64 // what the reader has copied
	fault     string
	trace     []string
}

// newWorld makes a ring of size bytes and two sides.
func newWorld(size int, bodies [][]byte) *world {
	x := &world{ringEnds: newRingEnds(size), bodies: bodies}
	x.writer = newSide("writer", x.write)
	x.writer.local = func() string { return fmt.Sprint(x.writer.at, x.w.at, x.w.freed, x.w.rung, x.sawParked) }
	x.reader = newSide("reader", x.read)
	x.reader.local = func() string {
		return fmt.Sprint(x.reader.at, x.r.at, x.r.seen, x.r.sleeps, x.got, x.copied, x.sawRing)
	}
	return x
}

func (x *world) write(wait func(step, func() bool)) {
	x.w.hook = func(s step) {
		x.sawParked = 0
		if s == stepAsleep {
			x.sawParked = *x.w.parked // nobody else has moved since
		}
		wait(s, nil)
	}
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
			wait("full", func() bool { return *x.w.head != full })
		}
		if x.w.asleep() {
			wait("about to ring", nil)
			x.bell = true
			wait("rung", nil)
		}
	}
}

func (x *world) read(wait func(step, func() bool)) {
	x.r.hook = func(s step) {
		switch s {
		case stepTaken, stepCopied, stepHead:
			h := fnv.New64()
			h.Write(x.r.data)
			x.sawRing = h.Sum64()
		}
		if s == stepCopied {
			x.copied++
		}
		wait(s, nil)
	}
	for x.got < len(x.bodies) {
		gone := x.gone // before the last look
		if x.one() {
			continue
		}
		if gone {
			return
		}
		x.bell = false
		wait("listening", nil)
		x.r.park()
		pending := x.r.pending()
		wait("looked once more", nil)
		if !pending && !x.gone {
			wait("asleep", func() bool { return x.bell || x.gone })
		}
		x.r.unpark()
		wait("awake", nil)
	}
}

// one takes one record, if there is one.
func (x *world) one() bool {
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

// A choice is who goes on, or who is killed.
type choice byte

const (
	runWriter choice = iota
	runReader
	killWriter
	killReader
	choices
)

func (c choice) String() string {
	return [...]string{"writer", "reader", "writer killed", "reader killed"}[c]
}

func (x *world) can(c choice, kills bool) bool {
	whole := x.writer.name != "" && x.reader.name != ""
	switch c {
	case runWriter:
		return x.writer.enabled()
	case runReader:
		return x.reader.enabled()
	case killWriter:
		return kills && whole && !x.writer.over
	default:
		return kills && whole && !x.reader.over
	}
}

func (x *world) do(c choice) {
	switch c {
	case runWriter:
		x.writer.step()
		x.trace = append(x.trace, fmt.Sprintf("writer %s tail %d parked %d", x.writer.at, *x.w.tail, *x.w.parked))
	case runReader:
		x.reader.step()
		x.trace = append(x.trace, fmt.Sprintf("reader %s head %d", x.reader.at, *x.w.head))
	case killWriter:
		x.writer.kill()
		x.writer.over, x.writer.name, x.gone = true, "", true
		x.trace = append(x.trace, c.String())
	case killReader:
		x.reader.kill()
		x.reader.over, x.reader.name = true, ""
		x.trace = append(x.trace, c.String())
	}
	if used := *x.w.tail - *x.w.head; used > uint64(len(x.w.data)) {
		x.fail("the ring holds %d bytes", used)
	}
	if x.released() > x.copied {
		x.fail("%d records are released, %d were copied", x.released(), x.copied)
	}
}

// end judges a world in which nobody goes on.
func (x *world) end() {
	dead := x.writer.name == "" || x.reader.name == ""
	switch {
	case !dead && !(x.writer.over && x.reader.over):
		x.fail("%d of %d records are published, the reader has %d, and nobody goes on: writer at %q, reader at %q",
			x.published(), len(x.bodies), x.got, x.writer.at, x.reader.at)
	case x.writer.name == "" && x.got != x.published():
		x.fail("the writer is dead, %d records are published, the reader has %d", x.published(), x.got)
	case x.reader.name == "" && !x.writer.over && x.writer.at != "full":
		x.fail("the reader is dead, and the writer stands at %q", x.writer.at)
	}
}

func (x *world) state() string {
	h := fnv.New128()
	h.Write(x.w.data)
	return fmt.Sprint(x.writer.local(), x.reader.local(), x.writer.name, x.reader.name, x.bell, x.gone,
		*x.w.tail, *x.w.head, *x.w.parked, h.Sum(nil))
}

func (x *world) stop() {
	x.writer.kill()
	x.reader.kill()
}

// explore tries everything; with kills, also that either side ends, once, at any
// of its steps. It returns how many states there are, and the first
// fault with the way to it.
func explore(size int, bodies [][]byte, kills bool) (states int, fault string) {
	seen := map[string]bool{}
	ways := [][]choice{nil} // to be gone, and then on to the end
	for len(ways) > 0 {
		way := ways[len(ways)-1]
		ways = ways[:len(ways)-1]
		x := newWorld(size, bodies)
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
			return len(seen), x.fault + "\n" + strings.Join(x.trace, "\n")
		}
	}
	return len(seen), ""
}

// In every interleaving each record comes once, whole and in order, the ring is
// never over-full, and nobody sleeps while there is something to read.
func TestRingEveryInterleaving(t *testing.T) {
	small := [][]byte{ringBody(1, 9), ringBody(2, 16), ringBody(3, 3)}
	for _, c := range []struct {
		name   string
		size   int
		bodies [][]byte
	}{
		{"one record at a time", 32, small},
		{"two records at a time", 64, small},
		{"a body across the end", 64, [][]byte{ringBody(1, 1), ringBody(2, 20), ringBody(3, 16)}},
		{"room for all", 128, small},
		{"empty records", 32, [][]byte{{}, {}, {}, {}}},
	} {
		for _, kills := range []bool{false, true} {
			if kills && raceEnabled {
				continue // it is one goroutine at a time: nothing for the detector
			}
			t.Run(fmt.Sprintf("%s, kills %v", c.name, kills), func(t *testing.T) {
				states, fault := explore(c.size, c.bodies, kills)
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
