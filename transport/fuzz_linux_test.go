package transport

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// FuzzSocket lets a peer write anything, with descriptors anywhere, through a
// real socket. The connection must find the messages that a plain reading of the
// bytes finds, end as it does, and leave no descriptor open.
func FuzzSocket(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add([]byte{0, 0, 0, 2, 1, 'a', 'b', 0, 0, 0, 0, 0}, []byte{1, 7, 0, 1})
	f.Add([]byte{0, 0, 0, 1, 64, 'a', 0, 0, 0, 0, 3}, []byte{66, 3, 64, 1, 2, 1})
	f.Add([]byte{0, 0, 0, 2, 1, 'a', 'b', 255, 0, 0, 0, 0}, []byte{})
	f.Fuzz(func(t *testing.T, stream, cuts []byte) {
		const limit = 1 << 16
		a, b := socketPair(t)
		l, err := NewSocket(a, (&prefixFramer{limit: limit}).Frame, SocketOptions{Files: countFiles})
		if err != nil {
			t.Fatal(err)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			writePieces(t, b, w, stream, &script{cuts})
			w.Close()
			b.Close()
		}()

		reference := &prefixFramer{limit: limit}
		for rest := stream; ; {
			var n int
			wantErr := io.EOF
			if len(rest) > 0 {
				if n, err = reference.Frame(rest); err != nil {
					wantErr = err
				} else if n == 0 {
					wantErr = io.ErrUnexpectedEOF
				}
			}
			m, err := l.Receive()
			if n == 0 {
				if !errors.Is(err, wantErr) {
					t.Fatalf("receive: %v, want %v", err, wantErr)
				}
				break
			}
			if err != nil || !bytes.Equal(m.Body, rest[:n]) {
				t.Fatalf("receive: %x, %v; want %x", m.Body, err, rest[:n])
			}
			if want := countFiles(m.Body); len(m.Files) != want && !m.FilesLost {
				t.Fatalf("%d files, want %d", len(m.Files), want)
			}
			closeFiles(m.Files)
			rest = rest[n:]
		}
		l.Close()
		<-sent
		// A descriptor that is still open somewhere keeps the pipe open.
		r.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := r.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("a descriptor leaked (%v)", err)
		}
	})
}

// writePieces writes the stream in pieces, some of them with copies of w.
func writePieces(t *testing.T, b, w *os.File, stream []byte, s *script) {
	fd := int(b.Fd())
	for len(stream) > 0 {
		var rights []byte
		if n := s.next(); n > 0 {
			fds := make([]int, n%100)
			for i := range fds {
				fds[i] = int(w.Fd())
			}
			rights = unix.UnixRights(fds...)
		}
		piece := len(stream)
		if n := s.next(); n > 0 {
			piece = min(piece, n)
		}
		n, err := unix.SendmsgN(fd, stream[:piece], rights, nil, unix.MSG_NOSIGNAL)
		if err == unix.EPIPE || err == unix.ECONNRESET {
			return // the connection found an error and was closed
		}
		if err != nil {
			t.Error(err)
			return
		}
		stream = stream[n:]
	}
}
