package runtime

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"
)

// sink is what stands between the root and its logger. A logger is user code: it
// may block, and then only records wait, one goroutine, and no connection, actor or
// supervisor.
type sink struct {
	mu      sync.Mutex
	backlog backlog[func()]
	idle    chan struct{} // not nil while the goroutine runs; closed when it ends
}

// put has write called on the sink's goroutine; size is about how many bytes it
// holds. notice is told of what was dropped before.
func (k *sink) put(size int, write func(), notice func(dropped int)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.backlog.put(write, size)
	if k.idle == nil {
		k.idle = make(chan struct{})
		go k.serve(notice)
	}
}

func (k *sink) serve(notice func(dropped int)) {
	for {
		k.mu.Lock()
		dropped := k.backlog.told()
		write, ok := k.backlog.take()
		if !ok {
			close(k.idle)
			k.idle = nil
			k.mu.Unlock()
			return
		}
		k.mu.Unlock()
		if dropped > 0 {
			notice(dropped)
		}
		write()
	}
}

// sinkTimeout is how long the end of a system waits for its logger.
const sinkTimeout = 2 * time.Second

// flush waits until all is written, for a while.
func (k *sink) flush() {
	k.mu.Lock()
	idle := k.idle
	k.mu.Unlock()
	if idle == nil {
		return
	}
	t := time.NewTimer(sinkTimeout)
	defer t.Stop()
	select {
	case <-idle:
	case <-t.C:
	}
}

// toSink has write called when the logger is free.
func (s *System) toSink(size int, write func()) {
	s.sink.put(size, write, func(dropped int) {
		if ctx := context.Background(); s.logTarget().Enabled(ctx, slog.LevelWarn) {
			_ = s.logTarget().Handle(ctx, droppedRecord(dropped))
		}
	})
}

// say logs something of the system's own.
func (s *System) say(level slog.Level, text string, attrs ...slog.Attr) {
	s.toSink(256, func() { s.Logger().LogAttrs(context.Background(), level, text, attrs...) })
}

// droppedRecord says that records are missing before the next one.
func droppedRecord(n int) slog.Record {
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log records were dropped: they came faster than they were read", 0)
	r.AddAttrs(slog.Int("dropped", n), slog.Int("pid", os.Getpid()))
	return r
}

// recordSize is about how many bytes a record holds.
func recordSize(r slog.Record) int {
	n := 256 + len(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		n += attrSize(a)
		return true
	})
	return n
}

func attrSize(a slog.Attr) int {
	n := 64 + len(a.Key)
	switch a.Value.Kind() {
	case slog.KindString:
		n += len(a.Value.String())
	case slog.KindGroup:
		for _, m := range a.Value.Group() {
			n += attrSize(m)
		}
	}
	return n
}
