package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func init() {
	kinds["socket"] = func(t testing.TB) (a, b Conn) { return newSockets(t) }
	helpers["flood"] = helpFlood
}

func socketPair(t testing.TB) (a, b *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "one end"), os.NewFile(uintptr(fds[1]), "other end")
}

// newSocket is the connection over f; drained may be left out.
func newSocket(t testing.TB, f *os.File, drained ...func()) *socket {
	t.Helper()
	opts := SocketOptions{Files: countFiles}
	if len(drained) > 0 {
		opts.Drained = drained[0]
	}
	l, err := NewSocket(f, newFramer().Frame, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*socket)
}

func newSockets(t testing.TB, drained ...func()) (a, b *socket) {
	t.Helper()
	f, g := socketPair(t)
	return newSocket(t, f, drained...), newSocket(t, g)
}

// newPeer returns a connection and a plain connection as its peer.
func newPeer(t testing.TB, drained ...func()) (*socket, *net.UnixConn) {
	t.Helper()
	f, g := socketPair(t)
	conn, err := net.FileConn(g)
	if err != nil {
		t.Fatal(err)
	}
	g.Close()
	t.Cleanup(func() { conn.Close() })
	return newSocket(t, f, drained...), conn.(*net.UnixConn)
}

func mustWrite(t testing.TB, conn *net.UnixConn, data []byte) {
	t.Helper()
	if _, err := conn.Write(data); err != nil {
		t.Fatal(err)
	}
}

func TestByteAtATime(t *testing.T) {
	s, conn := newPeer(t)
	const n = 30
	written := make(chan error, 1)
	turn := make(chan struct{})
	go func() {
		defer conn.Close()
		for i := range n {
			body := numbered(i, 8+i*10)
			for j := range body {
				if _, err := conn.Write(body[j : j+1]); err != nil {
					written <- err
					return
				}
			}
			<-turn // so that not all of it is read at once
		}
		written <- nil
	}()
	for i := range n {
		if err := checkNumbered(mustReceive(t, s).Body, i); err != nil {
			t.Fatal(err)
		}
		turn <- struct{}{}
	}
	mustEnd(t, s, io.EOF)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

// Of what waits, many messages go in one write.
func TestCoalescing(t *testing.T) {
	s, conn := newPeer(t)
	big := numbered(0, 4<<20)
	mustSend(t, s, big) // more than the kernel takes: a writer waits
	if s.Buffered() == 0 {
		t.Fatal("nothing waits though the peer does not read")
	}
	const n = 10000
	want := append([]byte(nil), big...)
	for i := range n {
		want = append(want, numbered(i, 8)...)
		mustSend(t, s, numbered(i, 8))
	}
	s.mu.Lock()
	pieces := len(s.queue)
	s.mu.Unlock()
	if most := n*(headerSize+8)/(largeBuffer/2) + 1; pieces > most {
		t.Fatalf("%d small messages wait in %d pieces, want at most %d", n, pieces, most)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the peer read something else (%v)", err)
	}
}

// What others send while a message is being written goes behind it, and whoever
// wrote that message writes it too, if the kernel takes it.
func TestSendDuringSend(t *testing.T) {
	for name, size := range map[string]int{"whole": 8, "in parts": 2 << 20} {
		t.Run(name, func(t *testing.T) {
			a, b := newSockets(t)
			sent, writes := 0, 0
			a.writeNow = func(fd uintptr) {
				writes++
				a.doWriteNow(fd)
				for sent < 3 {
					sent++
					mustSend(t, a, numbered(sent, 8))
				}
			}
			mustSend(t, a, numbered(0, size))
			if n := a.Buffered(); n != 0 && size == 8 {
				t.Fatalf("%d bytes wait for no reason", n)
			}
			if writes != 1 && size > 8 {
				t.Fatalf("%d writes into a full socket", writes-1)
			}
			for i := range 4 {
				if err := checkNumbered(mustReceive(t, b).Body, i); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A Send returns though others never stop.
func TestSendComesToAnEnd(t *testing.T) {
	a, b := newSockets(t)
	sent, writes := 0, 0
	a.writeNow = func(fd uintptr) {
		writes++
		a.doWriteNow(fd)
		sent++
		mustSend(t, a, numbered(sent, 8))
	}
	mustSend(t, a, numbered(0, 8))
	if writes != 1+sendRounds {
		t.Fatalf("Send made %d writes, want %d", writes, 1+sendRounds)
	}
	for i := range sent + 1 {
		if err := checkNumbered(mustReceive(t, b).Body, i); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDrained(t *testing.T) {
	drained := make(chan int, 10)
	var s *socket
	s, conn := newPeer(t, func() { drained <- s.Buffered() })
	for i := range 3 {
		mustSend(t, s, numbered(i, 8)) // written at once: nothing has to be drained
		if len(drained) != 0 {
			t.Fatal("drained without having been filled")
		}
		mustSend(t, s, numbered(i, 4<<20))
		if _, err := io.CopyN(io.Discard, conn, 2*headerSize+8+4<<20); err != nil {
			t.Fatal(err)
		}
		if n := <-drained; n != 0 {
			t.Fatalf("Buffered is %d when drained", n)
		}
	}
	mustSend(t, s, numbered(0, 4<<20))
	conn.Close() // what waits is dropped
	<-drained
	if err := s.Send(Message{Body: numbered(0, 8)}); !errors.Is(err, ErrClosed) {
		t.Fatalf("send: %v, want ErrClosed", err)
	}
}

func TestTruncatedEnd(t *testing.T) {
	s, conn := newPeer(t)
	whole := numbered(0, 100)
	mustWrite(t, conn, whole)
	mustWrite(t, conn, whole[:40])
	conn.Close()
	mustReceive(t, s)
	mustEnd(t, s, io.EOF)
	mustEnd(t, s, io.ErrUnexpectedEOF)
	_, err := s.Receive()
	var truncated *truncatedError
	if !errors.As(err, &truncated) || truncated.Offset != int64(len(whole)) || truncated.Have != 40 {
		t.Fatalf("%+v, want offset %d and 40 bytes", err, len(whole))
	}
}

func TestBadStream(t *testing.T) {
	s, conn := newPeer(t)
	mustWrite(t, conn, append(numbered(0, 8), 0xff, 0xff, 0xff, 0xff, 0))
	mustReceive(t, s)
	mustEnd(t, s, errTooLong)
	_, err := s.Receive()
	var bad *streamError
	if !errors.As(err, &bad) || bad.Offset != headerSize+8 {
		t.Fatalf("%+v, want offset %d", err, headerSize+8)
	}
}

// A framer that claims bytes that are not there does not corrupt anything.
func TestBadFramer(t *testing.T) {
	for _, n := range []int{-1, 4} {
		f, g := socketPair(t)
		defer g.Close()
		l, err := NewSocket(f, func([]byte) (int, error) { return n, nil }, SocketOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if _, err := g.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
		var bad *streamError
		if _, err := l.Receive(); !errors.As(err, &bad) {
			t.Fatalf("receive: %v, want a streamError", err)
		}
	}
}

// A large message does not leave a large buffer behind, and while large ones
// come the buffer is not made small for each.
func TestReadBufferShrinks(t *testing.T) {
	a, b := newSockets(t)
	mustSend(t, a, numbered(0, 2<<20))
	mustReceive(t, b)
	if n := len(b.assembler.buf); n < 2<<20 {
		t.Fatalf("the buffer has %d bytes with a message of 2 MiB in it", n)
	}
	// The next message is sent when the reader has found nothing and waits.
	waits := make(chan struct{}, 1)
	b.read = func(fd uintptr) bool {
		if b.doRead(fd) {
			return true
		}
		select {
		case waits <- struct{}{}:
		default: // it was woken for nothing
		}
		return false
	}
	done := make(chan struct{})
	const n = 100
	go func() {
		defer close(done)
		for i := range n {
			<-waits
			if err := a.Send(Message{Body: numbered(i, 8)}); err != nil {
				t.Error(err)
			}
		}
	}()
	for i := range n {
		if err := checkNumbered(mustReceive(t, b).Body, i); err != nil {
			t.Fatal(err)
		}
		if size := len(b.assembler.buf); size > largeBuffer {
			t.Fatalf("the buffer still has %d bytes", size)
		}
	}
	<-done
	if n := len(b.assembler.buf); n != smallBuffer {
		t.Fatalf("the buffer of a quiet connection has %d bytes, want %d", n, smallBuffer)
	}
}

func TestNewSocketRefuses(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	closed, other := socketPair(t)
	closed.Close()
	other.Close()
	for name, f := range map[string]*os.File{
		"nil": nil, "pipe": w, "seqpacket": os.NewFile(uintptr(fds[0]), "seqpacket"), "closed": closed,
	} {
		if l, err := NewSocket(f, newFramer().Frame, SocketOptions{}); err == nil {
			l.Close()
			t.Errorf("%s: no error", name)
		}
	}
	// It took over what it refused: the other ends see that they are closed.
	if n, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("pipe: read %d bytes, %v; want io.EOF", n, err)
	}
	if n, err := unix.Read(fds[1], make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("socket: read %d bytes, %v; want the end", n, err)
	}
}

func TestLocalRefused(t *testing.T) {
	a, _ := newSockets(t)
	if err := a.Send(Message{Body: numbered(0, 8), Local: 1}); !errors.Is(err, errRefused) {
		t.Fatalf("send: %v, want errRefused", err)
	}
}

// The end reaches the peer though somebody holds a copy of the descriptor.
func TestCloseWithCopies(t *testing.T) {
	f, g := socketPair(t)
	fd, err := duplicateFD(f)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	a, b := newSocket(t, f), newSocket(t, g)
	mustSend(t, a, numbered(0, 8))
	a.Close()
	mustReceive(t, b)
	mustEnd(t, b, io.EOF)
}

// What a process sent before it was killed is delivered, then comes the end,
// though it had not read everything.
func TestPeerKilled(t *testing.T) {
	f, g := socketPair(t)
	cmd := helper(t, "flood")
	cmd.ExtraFiles = []*os.File{g}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.Close()
	s := newSocket(t, f)
	mustSend(t, s, numbered(0, 8))
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the helper ended with %v", err)
	}
	for i := 0; ; i++ {
		m, err := s.Receive()
		if errors.Is(err, io.EOF) {
			if i < 100 {
				t.Fatalf("only %d messages came", i)
			}
			return
		}
		if err == nil {
			err = checkNumbered(m.Body, i)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// helpFlood sends 200 messages and more than the kernel takes, reads nothing,
// and waits to be killed.
func helpFlood() {
	l, err := NewSocket(os.NewFile(3, "fd 3"), newFramer().Frame, SocketOptions{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for i := range 200 {
		size := 8
		if i >= 100 {
			size = 10000
		}
		if err := l.Send(Message{Body: numbered(i, size)}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Stdout.WriteString("x")
	select {}
}

// An idle connection needs no memory for a message.
func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	a, b := newSockets(t)
	body := numbered(0, 100)
	if n := testing.AllocsPerRun(1000, func() {
		if err := a.Send(Message{Body: body}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Receive(); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Fatalf("%v allocations for a message", n)
	}
}
