package transport

import "testing"

type discarded struct{ n int }

func (d *discarded) Discard() { d.n++ }

// What nobody received is told so, once: it may hold memory.
func TestPipeDiscardsWhatNobodyReceived(t *testing.T) {
	a, b := Pipe()
	read, unread := new(discarded), new(discarded)
	for _, d := range []*discarded{read, unread} {
		if err := a.Send(Message{Local: d}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Receive(); err != nil {
		t.Fatal(err)
	}
	_ = a.Close() // what was sent may still be read
	if unread.n != 0 {
		t.Error("discarded while it could still be received")
	}
	_ = b.Close()
	_ = b.Close()
	if read.n != 0 || unread.n != 1 {
		t.Errorf("discarded: received %d times, not received %d times; want 0 and 1", read.n, unread.n)
	}
}
