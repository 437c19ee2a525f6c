package runtime

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/transport"
)

// logReader is a parent that takes log records.
type logReader struct {
	records chan wireRecord
	events  chan wireEvent
}

func (*logReader) Message(m *conn.Incoming)     { m.Drop() }
func (*logReader) Reply(_ uint32, r conn.Reply) { r.Drop() }
func (l *logReader) Closed(error)               { close(l.records) }
func (l *logReader) Control(m *conn.Incoming) {
	var w wireRecord
	if m.Method == ctlLog && codec.DecodeControl(m.Params, &w) == nil {
		l.records <- w
	}
	var e wireEvent
	if m.Method == ctlEvent && codec.DecodeControl(m.Params, &e) == nil {
		l.events <- e
	}
}

// A process whose parent does not read keeps what is bounded, of its own records and
// events and of those it passes on: the newest. Then it says how many the rest were.
func TestDroppedLogs(t *testing.T) {
	leaktest.Check(t)
	near, far, err := process.SocketPair()
	if err != nil {
		t.Fatal(err)
	}
	s := newSystem("test", SystemOptions{})
	parent := &logReader{make(chan wireRecord, 1<<16), make(chan wireEvent, 1<<16)}
	reader := connect(t, s, far, parent)
	s.parent = connect(t, s, near, &logReader{records: make(chan wireRecord)})

	own := slog.New(&logHandler{sys: s, path: "/a"})
	passed := codec.ControlParams(wireRecord{Text: "from below", Path: "/a/b"})
	sent := 0
	for s.dropped() < 10 {
		own.Info(strings.Repeat("x", 10_000))
		s.logRecord(passed)
		s.Emit(actor.Event{Type: actor.EventCastFailed, Path: "/a", Detail: strings.Repeat("y", 10_000)})
		if sent += 3; sent*5000 > 8*(maxUpward+2*maxBacklogBytes) {
			t.Fatal("nothing was dropped")
		}
	}
	if n := s.parent.Buffered(); n > maxUpward+20_000 {
		t.Errorf("%d bytes wait", n)
	}
	s.logRecord(codec.ControlParams(wireRecord{Text: "the last"}))
	sent++

	reader.Start()
	for got, last := 0, false; got < sent; {
		select {
		case w := <-parent.records:
			got++
			if len(w.Attrs) > 0 && w.Attrs[0].Key == "dropped" {
				got += int(w.Attrs[0].attr().Value.Int64()) - 1
			}
			last = w.Text == "the last"
		case e := <-parent.events:
			got++
			if n := 0; e.Type == string(actor.EventsDropped) {
				if _, err := fmt.Sscan(e.Detail, &n); err != nil {
					t.Fatal(err)
				}
				got += n - 1
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%d came or are counted, of %d", got, sent)
		}
		if got == sent && !last {
			t.Fatal("the last record did not come last")
		}
	}
	select {
	case w := <-parent.records:
		t.Errorf("then it said %+v", w)
	default:
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

// dropped returns how many records and events are missing so far, if both are.
func (s *System) dropped() int {
	s.upward.mu.Lock()
	defer s.upward.mu.Unlock()
	return min(s.upward.records.dropped, s.upward.events.dropped)
}
