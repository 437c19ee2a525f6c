package transport

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
)

// kinds are all connections of this system: the tests in this file hold for each.
var kinds = map[string]func(t testing.TB) (a, b Conn){
	"pipe": func(t testing.TB) (a, b Conn) {
		a, b = Pipe()
		t.Cleanup(func() { a.Close(); b.Close() })
		return a, b
	},
}

func eachKind(t *testing.T, test func(t *testing.T, a, b Conn)) {
	for name, connect := range kinds {
		t.Run(name, func(t *testing.T) {
			a, b := connect(t)
			test(t, a, b)
		})
	}
}

func mustSend(t testing.TB, l Conn, body []byte, files ...*os.File) {
	t.Helper()
	if err := l.Send(Message{Body: body, Files: files}); err != nil {
		t.Fatalf("send: %v", err)
	}
}

func mustReceive(t testing.TB, l Conn) Message {
	t.Helper()
	m, err := l.Receive()
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	return m
}

// mustEnd checks that the next and every further Receive fails with want.
func mustEnd(t testing.TB, l Conn, want error) {
	t.Helper()
	for range 2 {
		if m, err := l.Receive(); !errors.Is(err, want) {
			t.Fatalf("receive: %d bytes, error %v; want %v", len(m.Body), err, want)
		}
	}
}

func TestOrderOfOneSender(t *testing.T) {
	eachKind(t, func(t *testing.T, a, b Conn) {
		const n = 5000
		done := make(chan error, 1)
		go func() {
			for i := range n {
				if err := a.Send(Message{Body: numbered(i, 8+i%300)}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		for i := range n {
			if err := checkNumbered(mustReceive(t, b).Body, i); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		a.Close()
		mustEnd(t, b, io.EOF)
	})
}

// Each of many senders keeps its own order, and nothing is lost or doubled.
func TestOrderOfManySenders(t *testing.T) {
	eachKind(t, func(t *testing.T, a, b Conn) {
		const senders, each = 8, 1000
		var wg sync.WaitGroup
		for s := range senders {
			wg.Go(func() {
				for i := range each {
					size := 16
					if i%100 == 0 {
						size = 40 << 10
					}
					if err := a.Send(Message{Body: numbered(s*each+i, size)}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		var next [senders]int
		for range senders * each {
			m := mustReceive(t, b)
			s := int(m.Body[headerSize+6])<<8 | int(m.Body[headerSize+7])
			s /= each
			if err := checkNumbered(m.Body, s*each+next[s]); err != nil {
				t.Fatalf("sender %d: %v", s, err)
			}
			next[s]++
		}
		wg.Wait()
		a.Close()
		mustEnd(t, b, io.EOF)
	})
}

func TestLargeMessages(t *testing.T) {
	eachKind(t, func(t *testing.T, a, b Conn) {
		sizes := []int{8, 3 << 20, 100, 8<<20 + 17, 8, 64 << 10, 4 << 10}
		for i, size := range sizes {
			mustSend(t, a, numbered(i, size))
		}
		for i, size := range sizes {
			m := mustReceive(t, b)
			if len(m.Body) != headerSize+size {
				t.Fatalf("message %d: %d bytes, want %d", i, len(m.Body), headerSize+size)
			}
			if err := checkNumbered(m.Body, i); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A sender is never held up by a peer that does not read.
func TestSlowPeer(t *testing.T) {
	eachKind(t, func(t *testing.T, a, b Conn) {
		const n, size = 4000, 1000
		before := 0
		for i := range n {
			mustSend(t, a, numbered(i, size))
			if now := a.Buffered(); now < before {
				t.Fatalf("Buffered fell from %d to %d though nobody reads", before, now)
			} else {
				before = now
			}
		}
		if least := n*size - 1<<20; before < least {
			t.Fatalf("Buffered is %d after %d bytes that nobody reads, want at least %d", before, n*size, least)
		}
		for i := range n {
			if err := checkNumbered(mustReceive(t, b).Body, i); err != nil {
				t.Fatal(err)
			}
		}
		mustSend(t, a, numbered(n, size))
		mustReceive(t, b)
	})
}

// The sender may use its body again at once, also when the message waits.
func TestBodyIsBorrowed(t *testing.T) {
	eachKind(t, func(t *testing.T, a, b Conn) {
		const n = 1000
		for i := range n {
			size := 1000
			if i%100 == 0 {
				size = 100 << 10
			}
			body := numbered(i, size)
			mustSend(t, a, body)
			clear(body)
		}
		for i := range n {
			if err := checkNumbered(mustReceive(t, b).Body, i); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Both ends write 10 MB before either of them reads.
func TestBothEndsWrite(t *testing.T) {
	eachKind(t, func(t *testing.T, a, b Conn) {
		const n, size = 160, 64 << 10
		var written, done sync.WaitGroup
		written.Add(2)
		for _, l := range []Conn{a, b} {
			done.Go(func() {
				for i := range n {
					if err := l.Send(Message{Body: numbered(i, size)}); err != nil {
						t.Error(err)
					}
				}
				written.Done()
				written.Wait()
				for i := range n {
					m, err := l.Receive()
					if err == nil {
						err = checkNumbered(m.Body, i)
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		done.Wait()
	})
}

func TestEndAfterPendingMessages(t *testing.T) {
	eachKind(t, func(t *testing.T, a, b Conn) {
		mustSend(t, b, numbered(99, 8)) // a will not have read it: the kernel makes a reset of that
		for i := range 10 {
			mustSend(t, a, numbered(i, 1000))
		}
		a.Close()
		for i := range 10 {
			if err := checkNumbered(mustReceive(t, b).Body, i); err != nil {
				t.Fatal(err)
			}
		}
		mustEnd(t, b, io.EOF)
	})
}

// Sending fails when the peer is gone, and yet what it had sent is received.
func TestSendToClosedPeer(t *testing.T) {
	eachKind(t, func(t *testing.T, a, b Conn) {
		mustSend(t, a, numbered(0, 100))
		a.Close()
		for range 2 {
			if err := b.Send(Message{Body: numbered(0, 8)}); !errors.Is(err, ErrClosed) {
				t.Fatalf("send to a closed peer: %v, want ErrClosed", err)
			}
		}
		if n := b.Buffered(); n != 0 {
			t.Fatalf("Buffered is %d after a failure", n)
		}
		if err := checkNumbered(mustReceive(t, b).Body, 0); err != nil {
			t.Fatal(err)
		}
		mustEnd(t, b, io.EOF)
	})
}

func TestCloseWakesReceive(t *testing.T) {
	eachKind(t, func(t *testing.T, a, b Conn) {
		got := make(chan error)
		go func() {
			mustReceive(t, b)
			got <- nil
			_, err := b.Receive()
			got <- err
		}()
		mustSend(t, a, numbered(0, 8))
		<-got
		b.Close()
		if err := <-got; !errors.Is(err, ErrClosed) {
			t.Fatalf("receive: %v, want ErrClosed", err)
		}
		if err := b.Close(); err != nil {
			t.Fatalf("second close: %v", err)
		}
		mustEnd(t, b, ErrClosed)
		mustEnd(t, a, io.EOF)
	})
}

func TestCloseWithBacklog(t *testing.T) {
	eachKind(t, func(t *testing.T, a, b Conn) {
		const n = 1000
		for i := range n {
			mustSend(t, a, numbered(i, 4000))
		}
		a.Close()
		if n := a.Buffered(); n != 0 {
			t.Fatalf("Buffered is %d after Close", n)
		}
		if err := a.Send(Message{Body: numbered(0, 8)}); !errors.Is(err, ErrClosed) {
			t.Fatalf("send after Close: %v, want ErrClosed", err)
		}
		// The peer gets a beginning of it, whole messages in order.
		got := 0
		for {
			m, err := b.Receive()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Fatalf("receive: %v, want io.EOF", err)
				}
				break
			}
			if err := checkNumbered(m.Body, got); err != nil {
				t.Fatal(err)
			}
			got++
		}
		if got == 0 {
			t.Fatal("nothing was flushed")
		}
	})
}

// Close in the midst of everything neither hangs nor leaves anything behind.
func TestCloseWhileBusy(t *testing.T) {
	eachKind(t, func(t *testing.T, a, b Conn) {
		var wg sync.WaitGroup
		enough := make(chan struct{})
		for _, l := range []Conn{a, b} {
			for range 2 {
				wg.Go(func() {
					for {
						if err := l.Send(Message{Body: numbered(0, 2000)}); err != nil {
							if !errors.Is(err, ErrClosed) {
								t.Errorf("send: %v, want ErrClosed", err)
							}
							return
						}
						l.Buffered()
					}
				})
			}
			wg.Go(func() {
				for i := 0; ; i++ {
					if _, err := l.Receive(); err != nil {
						if !errors.Is(err, ErrClosed) && !errors.Is(err, io.EOF) {
							t.Errorf("receive: %v, want ErrClosed or io.EOF", err)
						}
						return
					}
					if i == 100 {
						enough <- struct{}{}
					}
				}
			})
		}
		<-enough
		<-enough
		for range 3 {
			wg.Go(func() { a.Close() })
		}
		wg.Wait()
	})
}

func TestRefused(t *testing.T) {
	eachKind(t, func(t *testing.T, a, b Conn) {
		closed, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		open, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		closed.Close()
		for name, m := range map[string]Message{
			"empty":       {},
			"nil file":    {Body: frame(1, nil), Files: []*os.File{nil}},
			"closed file": {Body: frame(2, nil), Files: []*os.File{open, closed}},
			"many files":  {Body: frame(65, nil), Files: make([]*os.File, maxFiles+1)},
		} {
			if err := a.Send(m); !errors.Is(err, errRefused) || errors.Is(err, ErrClosed) {
				t.Errorf("%s: %v, want errRefused", name, err)
			}
		}
		mustSend(t, a, numbered(7, 8))
		if err := checkNumbered(mustReceive(t, b).Body, 7); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFilesArrive(t *testing.T) {
	eachKind(t, func(t *testing.T, a, b Conn) {
		const n = 20
		for i := range n {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			mustSend(t, a, frame(2, []byte{byte(i)}), r, w)
			r.Close() // they were only lent
			w.Close()
			mustSend(t, a, frame(0, []byte{0}))
		}
		for i := range n {
			m := mustReceive(t, b)
			if len(m.Files) != 2 || m.FilesLost || m.Body[headerSize] != byte(i) {
				t.Fatalf("message %d: %d files, lost %v, body %x", i, len(m.Files), m.FilesLost, m.Body)
			}
			r, w := m.Files[0], m.Files[1]
			if _, err := w.Write(m.Body); err != nil {
				t.Fatal(err)
			}
			w.Close()
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, m.Body) {
				t.Fatalf("through the pipe: %x, %v", got, err)
			}
			r.Close()
			if m := mustReceive(t, b); m.Files != nil || m.FilesLost {
				t.Fatalf("a plain message has %d files, lost %v", len(m.Files), m.FilesLost)
			}
		}
	})
}
