package process

import (
	"sync"
	"time"
)

// sinkBytes is how much output may wait for a slow Output before lines are dropped.
const sinkBytes = 1 << 20

// entryBytes is what a line costs besides its bytes: empty lines carry none, but take memory here.
const entryBytes = 16

// sink hands lines to a user's Output function without ever blocking who reads the pipe. If that function does not keep
// up, the oldest lines are dropped and counted: what was said last says most about an end. It runs a goroutine only
// while there is something to hand over.
type sink struct {
	output func(stream Stream, line []byte, cut bool)

	mu      sync.Mutex
	waiting lineQueue
	running bool
	closed  bool
	dropped int64
	idle    chan struct{} // closed when running ends; nil if no goroutine waits for that
}

// lineQueue is a queue of lines, back to back in one buffer.
type lineQueue struct {
	bytes   []byte
	entries []entry
	head    int // the oldest entry
	begin   int // where its line begins in bytes
}

type entry struct {
	end    int // of the line in bytes; it begins where the one before ends
	stream Stream
	cut    bool
}

func (q *lineQueue) len() int { return len(q.entries) - q.head }

func (q *lineQueue) size() int { return len(q.bytes) - q.begin + q.len()*entryBytes }

func (q *lineQueue) push(stream Stream, line []byte, cut bool) {
	if q.begin > sinkBytes { // what lies before is not needed any more
		n := copy(q.bytes, q.bytes[q.begin:])
		q.bytes = q.bytes[:n]
		q.entries = q.entries[:copy(q.entries, q.entries[q.head:])]
		for i := range q.entries {
			q.entries[i].end -= q.begin
		}
		q.head, q.begin = 0, 0
	}
	q.bytes = append(q.bytes, line...)
	q.entries = append(q.entries, entry{end: len(q.bytes), stream: stream, cut: cut})
}

// pop takes the oldest line, which is valid until the next push.
func (q *lineQueue) pop() (e entry, line []byte) {
	e = q.entries[q.head]
	line = q.bytes[q.begin:e.end]
	q.head++
	if q.begin = e.end; q.len() == 0 {
		q.bytes, q.entries, q.head, q.begin = q.bytes[:0], q.entries[:0], 0, 0
	}
	return e, line
}

// put queues a line; the oldest are dropped and counted if too much is waiting.
func (s *sink) put(stream Stream, line []byte, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.dropped++
		return
	}
	for s.waiting.len() > 0 && s.waiting.size()+len(line)+entryBytes > sinkBytes {
		s.waiting.pop()
		s.dropped++
	}
	s.waiting.push(stream, line, cut)
	if !s.running {
		s.running = true
		go s.run()
	}
}

// run hands over lines until none is waiting.
func (s *sink) run() {
	var line []byte // ours while the queue goes on
	for {
		s.mu.Lock()
		if s.waiting.len() == 0 {
			s.running = false
			s.waiting = lineQueue{} // an idle child holds no buffers
			if s.idle != nil {
				close(s.idle)
				s.idle = nil
			}
			s.mu.Unlock()
			return
		}
		e, oldest := s.waiting.pop()
		line = append(line[:0], oldest...)
		s.mu.Unlock()
		s.output(e.stream, line[:len(line):len(line)], e.cut)
	}
}

// close waits until everything is handed over, but only as long as patience. Then all but the last lines are dropped and
// counted, and those may take as long again. No more than the call that stalls is left behind.
func (s *sink) close(patience time.Duration) {
	if s.await(patience) {
		return
	}
	s.drop(tailLines)
	if s.await(patience) {
		return
	}
	s.drop(0)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// drop drops and counts all lines that wait but the last ones.
func (s *sink) drop(but int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.waiting.len() > but {
		s.waiting.pop()
		s.dropped++
	}
}

// await waits until everything is handed over, and closes the sink then. It is
// false if that takes longer than patience.
func (s *sink) await(patience time.Duration) bool {
	s.mu.Lock()
	if !s.running {
		s.closed = true
		s.mu.Unlock()
		return true
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.mu.Unlock()

	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-idle:
		return s.await(0) // nothing puts a line any more: it is closed
	case <-timer.C:
		return false
	}
}

// lost returns how many lines were dropped.
func (s *sink) lost() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}
