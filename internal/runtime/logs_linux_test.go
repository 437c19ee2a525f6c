package runtime

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/transport"
)

// logReader is a parent that takes log records.
type logReader struct{ records chan wireRecord }

func (*logReader) Message(m *conn.Incoming)     { m.Drop() }
func (*logReader) Reply(_ uint32, r conn.Reply) { r.Drop() }
func (l *logReader) Closed(error)               { close(l.records) }
func (l *logReader) Control(m *conn.Incoming) {
	var w wireRecord
	if m.Method == ctlLog && codec.DecodeControl(m.Params, &w) == nil {
		l.records <- w
	}
}

// A process whose parent does not read keeps what is bounded, of its own records
// and of those it passes on, and then says how many the rest were.
func TestDroppedLogs(t *testing.T) {
	leaktest.Check(t)
	near, far, err := process.SocketPair()
	if err != nil {
		t.Fatal(err)
	}
	s := newSystem("test", SystemOptions{})
	parent := &logReader{make(chan wireRecord, 1<<16)}
	reader := connect(t, s, far, parent)
	s.parent = connect(t, s, near, &logReader{make(chan wireRecord)})

	own := slog.New(&logHandler{sys: s, path: "/a"})
	passed := codec.ControlParams(wireRecord{Text: "from below", Path: "/a/b"})
	sent := int64(0)
	for s.logsDropped.Load() < 10 {
		own.Info(strings.Repeat("x", 10_000))
		s.logRecord(passed)
		if sent += 2; sent*5000 > 8*maxLogBuffered {
			t.Fatal("nothing was dropped")
		}
	}
	if n := s.parent.Buffered(); n > maxLogBuffered+20_000 {
		t.Errorf("%d bytes wait", n)
	}
	dropped := s.logsDropped.Load()

	reader.Start()
	for range sent - dropped {
		next(t, parent.records)
	}
	s.logRecord(passed)
	if w := next(t, parent.records); len(w.Attrs) != 1 || w.Attrs[0].Key != "dropped" || w.record().Level != slog.LevelWarn ||
		w.Attrs[0].attr().Value.Int64() != dropped {
		t.Errorf("%d were dropped, and it said %+v", dropped, w)
	}
	if w := next(t, parent.records); w.Text != "from below" || w.Path != "/a/b" {
		t.Errorf("then it said %+v", w)
	}
	s.parent.Start()
	reader.Close()
	s.parent.Close()
	for range parent.records { // until it is closed
	}
}

func connect(t *testing.T, s *System, f *os.File, h conn.Handler) *conn.Conn {
	socket, err := transport.NewSocket(f, newScanner(s.opts.Inline).Frame, transport.SocketOptions{Files: conn.FileCount})
	if err != nil {
		t.Fatal(err)
	}
	return conn.New(socket, h, s.connOptions())
}

func next(t *testing.T, records chan wireRecord) wireRecord {
	t.Helper()
	select {
	case w := <-records:
		return w
	case <-time.After(30 * time.Second):
		t.Fatal("no further record came")
		return wireRecord{}
	}
}
