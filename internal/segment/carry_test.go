package segment

import (
	"sync"
	"testing"
)

func TestSegmentOf(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		data := []byte("a message too long to travel inline")
		s := must(SegmentOf(data))
		data[0] = 'X' // a copy was taken
		if s.Size() != int64(len(data)) || s.Mode() != Frozen || !s.frozen.Load() {
			t.Errorf("segment of %d bytes, %v, frozen %v", s.Size(), s.Mode(), s.frozen.Load())
		}
		got, release, err := s.Open()
		must(0, err)
		if string(got) != "a message too long to travel inline" {
			t.Errorf("got %q", got)
		}
		s.Release()
		if got[34] != 'e' { // still held
			t.Errorf("got %q", got)
		}
		release()
		release()
	})
	t.Run("no memory", func(t *testing.T) {
		noLeaks(t)
		defer SetBudget(SetBudget(1))
		if _, err := SegmentOf(make([]byte, 10)); err == nil {
			t.Error("beyond the budget")
		}
	})
}

func TestOnEnd(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		s := must(SegmentOf([]byte{1}))
		ended := make(chan string, 10)
		s.OnEnd(func() { ended <- "first" })
		stop := s.OnEnd(func() { ended <- "withdrawn" })
		s.OnEnd(func() { ended <- "third" })
		stop()
		stop()
		s.Retain()
		s.Release()
		if len(ended) != 0 {
			t.Fatalf("%s while it is held", <-ended)
		}
		s.Release()
		got := map[string]bool{<-ended: true, <-ended: true}
		if !got["first"] || !got["third"] || len(ended) != 0 {
			t.Errorf("ran %v and %d more", got, len(ended))
		}
		stop() // too late, and harmless
	})
}

// The end comes once, whichever Release is the last.
func TestOnEndOnce(t *testing.T) {
	noLeaks(t)
	for range 200 {
		s := must(SegmentOf([]byte{1}))
		ended := make(chan struct{}, 10)
		s.OnEnd(func() { ended <- struct{}{} })
		var wg sync.WaitGroup
		for range 4 {
			s.Retain()
			wg.Go(s.Release)
		}
		s.Release()
		wg.Wait()
		if len(ended) != 1 {
			t.Fatalf("ended %d times", len(ended))
		}
	}
}
