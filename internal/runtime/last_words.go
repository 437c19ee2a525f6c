package runtime

import (
	"context"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
)

// What a process says before it ends itself must not be lost: neither in a buffer
// of its own, nor because the root's log does not want its level.

// lastWords is the writer of package log in an actor's process. What log.Fatal and
// log.Panic write goes to standard error, where it is in the parent's hands at
// once; the rest becomes records.
type lastWords struct{ records io.Writer }

func (w lastWords) Write(p []byte) (int, error) {
	if endsProcess() {
		return os.Stderr.Write(p)
	}
	return w.records.Write(p)
}

// endsProcess reports whether the caller is a function of package log that ends
// the process.
func endsProcess() bool {
	var pcs [8]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if name, ok := strings.CutPrefix(f.Function, "log."); ok {
			name = strings.TrimPrefix(name, "(*Logger).")
			if strings.HasPrefix(name, "Fatal") || strings.HasPrefix(name, "Panic") {
				return true
			}
		}
		if !more {
			return false
		}
	}
}

// lastWordsLevel is the level from which on a record may be the last: the parent
// gets it whatever the root's log wants, and before the logger returns.
const lastWordsLevel = slog.LevelError

// settle waits until the records are with the kernel, for a moment: the parent may
// not be reading, and then it is not waited for again soon.
func (s *System) settle() {
	if time.Since(time.Unix(0, s.unsettled.Load())) < unsettledTime {
		return
	}
	for end := time.Now().Add(settleTime); s.parent.Buffered() > 0 && time.Now().Before(end); {
		time.Sleep(100 * time.Microsecond)
	}
	if s.parent.Buffered() > 0 {
		s.unsettled.Store(time.Now().UnixNano())
	}
}

const (
	settleTime    = 100 * time.Millisecond
	unsettledTime = 5 * time.Second
)

// logged takes a record of the process or of one below it. A grave one of its own
// counts as something that it printed: it is quoted when the process ends.
func (b *processBackend) logged(m *conn.Incoming) {
	var w wireRecord
	if codec.DecodeControl(m.Params, &w) == nil && slog.Level(w.Level) >= lastWordsLevel && w.PID == b.pid() {
		b.mu.Lock()
		proc := b.proc
		b.mu.Unlock()
		proc.Said(w.line())
	}
	b.i.sys.logRecord(m.Params)
}

// line is the record as a line of text.
func (w wireRecord) line() string {
	var b strings.Builder
	b.WriteString(w.Text)
	h := slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}})
	r := slog.Record{}
	for _, a := range w.Attrs {
		r.AddAttrs(a.attr())
	}
	if len(w.Attrs) > 0 {
		b.WriteByte(' ')
		_ = h.Handle(context.Background(), r) // a builder takes everything
	}
	return strings.TrimSuffix(b.String(), "\n")
}
