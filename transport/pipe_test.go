package transport

import (
	"io"
	"os"
	"testing"
	"testing/synctest"
)

func TestPipeLocal(t *testing.T) {
	a, b := Pipe()
	defer a.Close()
	defer b.Close()
	value := &struct{ n int }{7}
	if err := a.Send(Message{Local: value}); err != nil {
		t.Fatal(err)
	}
	if err := a.Send(Message{Body: []byte("x"), Local: value}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"", "x"} {
		m := mustReceive(t, b)
		if m.Local != any(value) || string(m.Body) != want {
			t.Fatalf("got %q and %v, want %q and the same pointer", m.Body, m.Local, want)
		}
	}
}

// A goroutine that waits on a pipe counts as blocked for testing/synctest, so
// that in-process actors can be tested with its clock.
func TestPipeInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		got := make(chan error, 1)
		go func() {
			_, err := b.Receive()
			got <- err
		}()
		synctest.Wait()
		select {
		case err := <-got:
			t.Fatalf("receive returned %v from an empty pipe", err)
		default:
		}
		a.Close()
		if err := <-got; err != io.EOF {
			t.Fatalf("receive: %v, want io.EOF", err)
		}
		b.Close()
	})
}

// Descriptors in messages that nobody will receive are closed.
func TestPipeDropsFiles(t *testing.T) {
	a, b := Pipe()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	mustSend(t, a, []byte("x"), w)
	w.Close()
	b.Close()
	a.Close()
	// The end comes only when the last copy of w is closed.
	if got, err := io.ReadAll(r); err != nil || len(got) != 0 {
		t.Fatalf("read %d bytes, %v", len(got), err)
	}
}

// A standing queue neither loses its order nor grows with what went through.
func TestPipeStandingQueue(t *testing.T) {
	a, b := Pipe()
	defer a.Close()
	defer b.Close()
	const standing, n = 100, 20000
	for i := range n {
		mustSend(t, a, numbered(i, 8))
		if i >= standing {
			if err := checkNumbered(mustReceive(t, b).Body, i-standing); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := standing * (headerSize + 8); a.Buffered() != want {
		t.Fatalf("Buffered is %d, want %d", a.Buffered(), want)
	}
	if c := cap(a.(*pipe).out.queue); c > 4*standing {
		t.Fatalf("the queue has grown to %d places for %d messages", c, standing)
	}
}
