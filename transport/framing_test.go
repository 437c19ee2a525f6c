package transport

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// A script is a fuzzer's input read as a row of decisions; behind its end all are 0.
type script struct{ rest []byte }

func (s *script) next() int {
	if len(s.rest) == 0 {
		return 0
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return int(b)
}

// kernel is a model of a stream socket with descriptors: what
// unix_stream_read_generic does, as far as a reader sees it.
type kernel struct{ writes []write }

type write struct {
	data      []byte
	fds       []int
	truncated bool // the reader has no room for the last of them
}

func (k *kernel) write(w write) {
	if len(w.data) > 0 {
		k.writes = append(k.writes, w)
	}
}

// read fills p with what was written in several writes, but stops behind one
// that has descriptors.
func (k *kernel) read(p []byte) (n int, fds []int, truncated bool) {
	for n < len(p) && len(k.writes) > 0 {
		w := &k.writes[0]
		got := copy(p[n:], w.data)
		n += got
		fds, truncated = w.fds, w.truncated
		w.data, w.fds, w.truncated = w.data[got:], nil, false
		if len(w.data) == 0 {
			k.writes = k.writes[1:]
		}
		if len(fds) > 0 || truncated {
			break
		}
	}
	return n, fds, truncated
}

// expectation is what has to come of one message.
type expectation struct {
	body []byte
	fds  []int
	lost bool
}

// ledger knows what became of each descriptor. They are numbers, not open files.
type ledger struct {
	t    *testing.T
	fate []string // of descriptor i: "" is nowhere yet
}

func (l *ledger) new(n int) []int {
	fds := make([]int, n)
	for i := range fds {
		fds[i] = len(l.fate)
		l.fate = append(l.fate, "")
	}
	return fds
}

func (l *ledger) set(fd int, fate string) {
	if was := l.fate[fd]; was != "" {
		l.t.Fatalf("descriptor %d is %s and was %s before", fd, fate, was)
	}
	l.fate[fd] = fate
}

// play makes messages of a script and writes them as senders may: whole ones
// joined or cut, descriptors on the first byte or a later one, in several
// batches, more or fewer than announced, lost on the way.
func play(s *script, l *ledger, k *kernel) []expectation {
	var want []expectation
	var plain []byte // bytes that wait to be joined with others
	flush := func() {
		k.write(write{data: plain})
		plain = nil
	}
	for i := range s.next() % 40 {
		style := s.next()
		size := s.next()
		if style&1 != 0 {
			size *= 100
		}
		announced := s.next()
		if announced < 128 {
			announced = 0
		}
		announced %= maxFiles + 1
		payload := bytes.Repeat([]byte{byte(i)}, size)
		e := expectation{body: frame(announced, payload)}

		rest, came, cut := e.body, []int(nil), false
		for range style >> 1 & 3 { // batches
			sent := s.next() % (maxFiles + 1)
			fds := l.new(sent)
			truncated := s.next() > 200
			if truncated {
				for _, fd := range fds[sent/2:] {
					l.set(fd, "lost by the kernel")
				}
				fds = fds[:sent/2]
			}
			// Plain bytes of this and earlier messages go before.
			before := s.next() % (len(rest) + 1)
			plain = append(plain, rest[:before]...)
			rest = rest[before:]
			if style&8 != 0 {
				flush()
			}
			during := len(rest)
			if style&16 != 0 {
				during = s.next() % (len(rest) + 1)
			}
			if during == 0 {
				for _, fd := range fds {
					l.set(fd, "never sent")
				}
				continue
			}
			flush()
			k.write(write{rest[:during], fds, truncated})
			rest = rest[during:]
			came, cut = append(came, fds...), cut || truncated
		}
		plain = append(plain, rest...)
		if style&32 != 0 {
			flush()
		}
		if announced > 0 {
			e.lost = cut || len(came) < announced || len(came) > maxFiles
			if !e.lost {
				e.fds = came[:announced]
			}
		}
		want = append(want, e)
	}
	if s.next() > 200 { // the end comes in the middle of a message
		plain = append(plain, frame(0, make([]byte, 100))[:s.next()%100]...)
	}
	flush()
	return want
}

// FuzzAssembler checks that messages and their descriptors come out as they
// went in, however the stream is cut, and that each descriptor is either
// handed out or closed, once.
func FuzzAssembler(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{3, 0, 10, 0, 0, 0, 0})
	f.Add([]byte{2, 2, 10, 129, 64, 0, 0, 2, 20, 0, 3, 0, 0, 0, 255, 7, 1, 1, 1})
	f.Add(bytes.Repeat([]byte{39, 255, 31, 130, 70, 210}, 60))
	f.Fuzz(func(t *testing.T, input []byte) {
		s := &script{input}
		l := &ledger{t: t}
		k := &kernel{}
		want := play(s, l, k)
		a := assembler{frame: newFramer().Frame, count: countFiles}
		a.batches.closeFD = func(fd int) { l.set(fd, "closed") }
		for {
			p, ok, err := a.next()
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				if len(want) == 0 {
					t.Fatal("a message too many")
				}
				if diff := compare(p, want[0]); diff != "" {
					t.Fatalf("%d messages before the end: %s", len(want), diff)
				}
				for _, fd := range p.fds {
					l.set(fd, "handed out")
				}
				want = want[1:]
				continue
			}
			space := a.space()
			if most := s.next(); most > 0 {
				space = space[:min(len(space), most*most)]
			}
			n, fds, truncated := k.read(space)
			if n == 0 {
				a.idle()
				break
			}
			a.filled(n, fds, truncated)
		}
		if len(want) > 0 {
			t.Fatalf("%d messages did not come", len(want))
		}
		a.batches.close()
		for fd, fate := range l.fate {
			if fate == "" {
				t.Fatalf("descriptor %d leaked", fd)
			}
		}
	})
}

func compare(p part, want expectation) string {
	switch {
	case !bytes.Equal(p.body, want.body):
		return fmt.Sprintf("%d bytes, want %d", len(p.body), len(want.body))
	case cap(p.body) != len(p.body):
		return "an append to the body would spoil the next message"
	case p.lost != want.lost:
		return fmt.Sprintf("descriptors lost: %v, want %v", p.lost, want.lost)
	case !slices.Equal(p.fds, want.fds):
		return fmt.Sprintf("descriptors %v, want %v", p.fds, want.fds)
	}
	return ""
}

// A message that never ends cannot collect descriptors, and after the end of
// the connection nothing collects any.
func TestBatchesAreBounded(t *testing.T) {
	l := &ledger{t: t}
	var b batches
	b.closeFD = func(fd int) { l.set(fd, "closed") }
	open := func() int {
		n := 0
		for _, fate := range l.fate {
			if fate == "" {
				n++
			}
		}
		return n
	}
	for i := range int64(10 * maxFiles) {
		b.add(i, l.new(1), false)
		b.add(i, l.new(maxFiles), false)
		if n := open(); n > 2*maxFiles {
			t.Fatalf("%d descriptors are kept", n)
		}
	}
	b.close()
	if n := open(); n != 0 {
		t.Fatalf("%d descriptors leaked", n)
	}
	b.add(1000, l.new(3), false)
	if n := open(); n != 0 {
		t.Fatalf("%d descriptors leaked after the end", n)
	}
	if fds, lost := b.claim(1000, 3); fds != nil || !lost {
		t.Fatalf("descriptors %v, lost %v after the end", fds, lost)
	}
}

// Each byte is moved in memory a bounded number of times, also when they come
// one at a time and messages do not fit the buffer evenly.
func TestAssemblerMovesLittle(t *testing.T) {
	var stream []byte
	for i := range 300 {
		stream = append(stream, numbered(i, 8+i*13)...)
	}
	a := assembler{frame: newFramer().Frame}
	moved, messages := 0, 0
	for _, b := range stream {
		_, ok, err := a.next()
		for ; ok; _, ok, err = a.next() {
			messages++
		}
		if err != nil {
			t.Fatal(err)
		}
		have, start := a.end-a.start, a.start
		space := a.space()
		if len(space) < len(a.buf)/4 || len(a.buf) > 4*smallBuffer {
			t.Fatalf("room for %d bytes in a buffer of %d", len(space), len(a.buf))
		}
		if a.start != start {
			moved += have
		}
		space[0] = b
		a.filled(1, nil, false)
	}
	if messages != 299 {
		t.Fatalf("%d messages before the last, want 299", messages)
	}
	if moved > 4*len(stream) {
		t.Fatalf("%d bytes were moved for %d that came", moved, len(stream))
	}
}

// Where more comes than fits, more is read at a time.
func TestAssemblerReadsMore(t *testing.T) {
	a := assembler{frame: newFramer().Frame}
	for range 10 {
		space := a.space()
		// Many small messages, so that none of them asks for room.
		stream := bytes.Repeat(frame(0, make([]byte, 11)), len(space)/16+1)
		a.filled(copy(space, stream), nil, false)
		for ok := true; ok; {
			var err error
			if _, ok, err = a.next(); err != nil {
				t.Fatal(err)
			}
		}
		if a.pending() != 0 {
			t.Fatalf("%d bytes are left", a.pending())
		}
	}
	if n := len(a.buf); n != largeBuffer {
		t.Fatalf("the buffer has %d bytes, want %d", n, largeBuffer)
	}
}

func TestBufferClasses(t *testing.T) {
	for _, n := range []int{0, 1, smallBuffer, smallBuffer + 1, largeBuffer, 5 << 20, maxPooled, maxPooled + 1} {
		b := getBuffer(n)
		if len(b) < n || n > smallBuffer && n <= maxPooled && len(b) >= 2*n {
			t.Errorf("a buffer for %d bytes has %d", n, len(b))
		}
		putBuffer(b[:0])
		if got := getBuffer(n); len(got) < n {
			t.Errorf("the second buffer for %d bytes has %d", n, len(got))
		}
	}
}
