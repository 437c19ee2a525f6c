package process

import (
	"sync"
	"time"
)

// sinkBytes is how much output may wait for a slow Output before lines are dropped.
const sinkBytes = 1 << 20

// sink hands lines to a user's Output function without ever blocking who reads the pipe. It runs a goroutine
// only while there is something to hand over.
type sink struct {
	output func(stream Stream, line []byte, cut bool)

	mu      sync.Mutex
	waiting batch
	spare   batch // the last batch handed over, for its memory
	running bool
	closed  bool
	dropped int64
	idle    chan struct{} // closed when running ends; nil if no goroutine waits for that
}

// batch is a run of lines, back to back in one buffer.
type batch struct {
	bytes   []byte
	entries []entry
}

type entry struct {
	end    int // of the line in bytes; it begins where the one before ends
	stream Stream
	cut    bool
}

// put queues a line, or drops and counts it if too much is waiting already.
func (s *sink) put(stream Stream, line []byte, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Entries are counted too: empty lines carry no bytes, but take memory here.
	if s.closed || len(s.waiting.bytes)+len(line)+len(s.waiting.entries)*16 > sinkBytes {
		s.dropped++
		return
	}
	b := &s.waiting
	b.bytes = append(b.bytes, line...)
	b.entries = append(b.entries, entry{end: len(b.bytes), stream: stream, cut: cut})
	if !s.running {
		s.running = true
		go s.run()
	}
}

// run hands over batches until none is waiting.
func (s *sink) run() {
	for {
		s.mu.Lock()
		if len(s.waiting.entries) == 0 {
			s.running = false
			s.waiting, s.spare = batch{}, batch{} // an idle child holds no buffers
			if s.idle != nil {
				close(s.idle)
				s.idle = nil
			}
			s.mu.Unlock()
			return
		}
		b := s.waiting
		s.waiting = batch{bytes: s.spare.bytes[:0], entries: s.spare.entries[:0]}
		s.spare = batch{}
		s.mu.Unlock()

		begin := 0
		for _, e := range b.entries {
			s.output(e.stream, b.bytes[begin:e.end:e.end], e.cut)
			begin = e.end
		}

		s.mu.Lock()
		s.spare = b
		s.mu.Unlock()
	}
}

// close waits until everything is handed over, but only as long as patience: then what still waits is dropped and
// counted, and no more than the call that stalls is left behind.
func (s *sink) close(patience time.Duration) {
	s.mu.Lock()
	if !s.running {
		s.closed = true
		s.mu.Unlock()
		return
	}
	idle := make(chan struct{})
	s.idle = idle
	s.mu.Unlock()

	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.dropped += int64(len(s.waiting.entries))
	s.waiting = batch{}
}

// lost returns how many lines were dropped.
func (s *sink) lost() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}
