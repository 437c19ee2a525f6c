package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A witness is the write end of a pipe: the read end tells when the last copy
// of the write end is closed, in whatever process.
type witness struct {
	t    testing.TB
	r, w *os.File
}

func newWitness(t testing.TB) *witness {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return &witness{t, r, w}
}

// isClosed waits for all copies but the witness's own to be closed.
func (w *witness) isClosed() {
	w.t.Helper()
	w.w.Close()
	if n, err := w.r.Read(make([]byte, 1)); err != io.EOF {
		w.t.Fatalf("read %d bytes, %v; want io.EOF", n, err)
	}
}

// isIn checks that a message has just this descriptor, and closes it.
func (w *witness) isIn(m Message) {
	w.t.Helper()
	if len(m.Files) != 1 || m.FilesLost {
		w.t.Fatalf("%d files, lost %v; want one", len(m.Files), m.FilesLost)
	}
	got, err := m.Files[0].Stat()
	if err != nil {
		w.t.Fatal(err)
	}
	want, err := w.r.Stat()
	if err != nil {
		w.t.Fatal(err)
	}
	if !os.SameFile(got, want) {
		w.t.Fatal("it is the file of another message")
	}
	flags, err := unix.FcntlInt(m.Files[0].Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		w.t.Fatalf("flags %#x, %v; want close-on-exec", flags, err)
	}
	m.Files[0].Close()
}

// sendRights writes data with descriptors as any program might.
func sendRights(t testing.TB, conn *net.UnixConn, data []byte, files ...*os.File) {
	t.Helper()
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	n, _, err := conn.WriteMsgUnix(data, unix.UnixRights(fds...), nil)
	if err != nil || n != len(data) {
		t.Fatalf("sendmsg: %d of %d bytes, %v", n, len(data), err)
	}
}

func openFDs(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// noLeak fails the test if it ends with more descriptors than it has now. It
// is called before anything that registers a Cleanup.
func noLeak(t testing.TB) {
	t.Helper()
	before := openFDs(t)
	t.Cleanup(func() {
		if after := openFDs(t); after > before {
			t.Errorf("%d descriptors are open, %d before the test", after, before)
		}
	})
}

// limitFiles leaves this process room for the given number of descriptors
// until the returned function is called.
func limitFiles(t testing.TB, room int) (restore func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	// The kernel gives out the lowest free number, and refuses those from
	// the limit on: fill the gaps.
	var fill []int
	probe, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	highest := probe
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		var fd int
		fmt.Sscan(e.Name(), &fd)
		highest = max(highest, fd)
	}
	for fd := probe; fd <= highest; {
		fill = append(fill, fd)
		if fd, err = unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
		if fd > highest {
			unix.Close(fd)
		}
	}
	limit := old
	limit.Cur = uint64(highest + 1 + room)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	return func() {
		closeFDs(fill)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
	}
}

// Batches that come one behind the other, and glued to plain messages, each
// find their message.
func TestFilesBackToBack(t *testing.T) {
	noLeak(t)
	s, conn := newPeer(t)
	var witnesses []*witness
	for i := range 5 {
		w := newWitness(t)
		witnesses = append(witnesses, w)
		mustWrite(t, conn, numbered(2*i, 8))
		sendRights(t, conn, frame(1, []byte{byte(i)}), w.w)
		mustWrite(t, conn, numbered(2*i+1, 8))
		sendRights(t, conn, frame(0, nil)) // an empty control message is nothing special
	}
	for i, w := range witnesses {
		plain := func(n int) {
			m := mustReceive(t, s)
			if err := checkNumbered(m.Body, n); err != nil || m.Files != nil || m.FilesLost {
				t.Fatalf("plain message: %v, %d files, lost %v", err, len(m.Files), m.FilesLost)
			}
		}
		plain(2 * i)
		m := mustReceive(t, s)
		if m.Body[headerSize] != byte(i) {
			t.Fatalf("message %d came where %d was due", m.Body[headerSize], i)
		}
		w.isIn(m)
		w.isClosed()
		plain(2*i + 1)
		mustReceive(t, s)
	}
}

// The message with the descriptors is read in many pieces, and in one write
// with the beginning of the next one.
func TestFilesSplitAndGlued(t *testing.T) {
	noLeak(t)
	s, conn := newPeer(t)
	w, v := newWitness(t), newWitness(t)
	first, second := frame(1, make([]byte, 1000)), frame(1, make([]byte, 2000))
	sendRights(t, conn, first[:1], w.w)
	mustWrite(t, conn, append(first[1:], numbered(0, 8)...))
	mustWrite(t, conn, append(numbered(1, 8), second[:3]...))
	sendRights(t, conn, second[3:], v.w) // late, but within its message: it can belong to no other
	w.isIn(mustReceive(t, s))
	mustReceive(t, s)
	mustReceive(t, s)
	v.isIn(mustReceive(t, s))
	w.isClosed()
	v.isClosed()
}

func TestUnannouncedFilesAreClosed(t *testing.T) {
	noLeak(t)
	s, conn := newPeer(t)
	plain, extra, right := newWitness(t), newWitness(t), newWitness(t)
	sendRights(t, conn, frame(0, nil), plain.w)
	sendRights(t, conn, frame(1, nil), right.w, extra.w)
	if m := mustReceive(t, s); m.Files != nil || m.FilesLost {
		t.Fatalf("%d files, lost %v; want none", len(m.Files), m.FilesLost)
	}
	right.isIn(mustReceive(t, s))
	plain.isClosed()
	extra.isClosed()
}

// Without the option, the kernel closes what comes.
func TestFilesWithoutCount(t *testing.T) {
	noLeak(t)
	f, g := socketPair(t)
	l, err := NewSocket(f, newFramer().Frame, SocketOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer := newSocket(t, g)
	w := newWitness(t)
	mustSend(t, peer, frame(1, nil), w.w)
	if m := mustReceive(t, l); m.Files != nil || m.FilesLost {
		t.Fatalf("%d files, lost %v; want none", len(m.Files), m.FilesLost)
	}
	w.isClosed()
}

// A message that announces descriptors and has none does not take those of
// the next one, though both are read at once.
func TestMissingFiles(t *testing.T) {
	noLeak(t)
	s, conn := newPeer(t)
	w := newWitness(t)
	mustWrite(t, conn, frame(1, nil))
	sendRights(t, conn, frame(1, nil), w.w)
	if m := mustReceive(t, s); m.Files != nil || !m.FilesLost {
		t.Fatalf("%d files, lost %v; want lost", len(m.Files), m.FilesLost)
	}
	w.isIn(mustReceive(t, s))
	w.isClosed()
}

func TestTooManyFilesForAMessage(t *testing.T) {
	noLeak(t)
	s, conn := newPeer(t)
	w, right := newWitness(t), newWitness(t)
	many := make([]*os.File, maxFiles+10)
	for i := range many {
		many[i] = w.w
	}
	sendRights(t, conn, frame(len(many), nil), many...)
	// The same by many writes within one message.
	slow := frame(1, make([]byte, 100))
	for i := range slow {
		sendRights(t, conn, slow[i:i+1], w.w)
	}
	sendRights(t, conn, frame(1, nil), right.w)
	for range 2 {
		if m := mustReceive(t, s); m.Files != nil || !m.FilesLost {
			t.Fatalf("%d files, lost %v; want lost", len(m.Files), m.FilesLost)
		}
	}
	right.isIn(mustReceive(t, s))
	w.isClosed()
	right.isClosed()
}

// At the limit of this process's descriptors one message after the other loses
// its own, and nothing else happens.
func TestFilesAtTheLimit(t *testing.T) {
	noLeak(t)
	a, b := newSockets(t)
	witnesses := make([]*witness, 6)
	for i := range witnesses {
		witnesses[i] = newWitness(t)
		w := witnesses[i].w
		mustSend(t, a, numbered(i, 8))
		mustSend(t, a, frame(3, nil), w, w, w)
	}
	lost := func(i int, want bool) {
		t.Helper()
		if err := checkNumbered(mustReceive(t, b).Body, i); err != nil {
			t.Fatal(err)
		}
		m := mustReceive(t, b)
		if m.FilesLost != want || want && m.Files != nil || !want && len(m.Files) != 3 {
			t.Fatalf("message %d: %d files, lost %v; want lost %v", i, len(m.Files), m.FilesLost, want)
		}
		closeFiles(m.Files)
		witnesses[i].isClosed()
	}
	lost(0, false)
	restore := limitFiles(t, 2)
	lost(1, true) // two of three got through
	restore()
	lost(2, false)
	restore = limitFiles(t, 0)
	lost(3, true)
	lost(4, true)
	restore()
	lost(5, false)
	// The kernel's flag counts, though what it left is as much as was announced.
	w := newWitness(t)
	mustSend(t, a, frame(2, nil), w.w, w.w, w.w)
	restore = limitFiles(t, 2)
	m := mustReceive(t, b)
	restore()
	if m.Files != nil || !m.FilesLost {
		t.Fatalf("%d files, lost %v; want lost", len(m.Files), m.FilesLost)
	}
	w.isClosed()
}

// Descriptors that wait are duplicates, which go when they are written.
func TestFilesWait(t *testing.T) {
	noLeak(t)
	a, b := newSockets(t)
	mustSend(t, a, numbered(0, 2<<20))
	witnesses := make([]*witness, 10)
	for i := range witnesses {
		witnesses[i] = newWitness(t)
		mustSend(t, a, numbered(i, 8))
		mustSend(t, a, frame(1, make([]byte, i*10000)), witnesses[i].w)
		witnesses[i].w.Close()
	}
	if err := checkNumbered(mustReceive(t, b).Body, 0); err != nil {
		t.Fatal(err)
	}
	for i, w := range witnesses {
		if err := checkNumbered(mustReceive(t, b).Body, i); err != nil {
			t.Fatal(err)
		}
		w.isIn(mustReceive(t, b))
		w.isClosed()
	}
}

// Descriptors go with the first part of a message that does not fit into the
// kernel, and with no other.
func TestFilesOfLargeMessage(t *testing.T) {
	noLeak(t)
	a, b := newSockets(t)
	w := newWitness(t)
	files := make([]*os.File, maxFiles)
	for i := range files {
		files[i] = w.w
	}
	for range 2 { // at once, and from the queue
		mustSend(t, a, frame(len(files), make([]byte, 2<<20)), files...)
	}
	for range 2 {
		m := mustReceive(t, b)
		if len(m.Files) != len(files) || m.FilesLost {
			t.Fatalf("%d files, lost %v; want %d", len(m.Files), m.FilesLost, len(files))
		}
		closeFiles(m.Files)
	}
	w.isClosed()
}

// If they cannot be duplicated, the message is refused as a whole.
func TestFilesCannotWait(t *testing.T) {
	noLeak(t)
	a, b := newSockets(t)
	w := newWitness(t)
	mustSend(t, a, numbered(0, 2<<20))
	restore := limitFiles(t, 1)
	err := a.Send(Message{Body: frame(2, nil), Files: []*os.File{w.w, w.w}})
	restore()
	if !errors.Is(err, errRefused) || !errors.Is(err, unix.EMFILE) {
		t.Fatalf("send: %v, want errRefused and EMFILE", err)
	}
	mustSend(t, a, numbered(1, 8))
	for i := range 2 {
		if err := checkNumbered(mustReceive(t, b).Body, i); err != nil {
			t.Fatal(err)
		}
	}
	w.isClosed()
}

// Whatever has not found its message is closed when the connection ends, on both
// sides and at each stage.
func TestEndClosesFiles(t *testing.T) {
	ends := map[string]func(t *testing.T, s *socket, conn *net.UnixConn){
		"close": func(t *testing.T, s *socket, conn *net.UnixConn) { s.Close() },
		"peer": func(t *testing.T, s *socket, conn *net.UnixConn) {
			conn.Close()
			mustEnd(t, s, io.ErrUnexpectedEOF)
		},
		"bad stream": func(t *testing.T, s *socket, conn *net.UnixConn) {
			mustWrite(t, conn, append(make([]byte, 96), 0xff, 0xff, 0xff, 0xff, 0xff))
			mustReceive(t, s)
			mustEnd(t, s, errTooLong)
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			noLeak(t)
			s, conn := newPeer(t)
			received, waiting := newWitness(t), newWitness(t)
			sendRights(t, conn, frame(0, nil))
			sendRights(t, conn, frame(0, make([]byte, 100))[:9], received.w)
			mustReceive(t, s) // the other is incomplete, and its descriptor may be here already
			mustSend(t, s, numbered(0, 2<<20))
			mustSend(t, s, frame(1, nil), waiting.w)
			end(t, s, conn)
			received.isClosed()
			s.Close()
			waiting.isClosed()
		})
	}
}

// A batch that was read and waits for the rest of its message goes with Close,
// though nobody calls Receive any more.
func TestCloseClosesBatch(t *testing.T) {
	noLeak(t)
	s, conn := newPeer(t)
	w := newWitness(t)
	sendRights(t, conn, frame(1, make([]byte, 100))[:50], w.w)
	s.fill()
	if n := len(s.assembler.batches.queue); n != 1 {
		t.Fatalf("%d batches were read, want 1", n)
	}
	s.Close()
	w.isClosed()
}
