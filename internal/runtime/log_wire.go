package runtime

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/understudy-go/understudy/internal/codec"
)

// wireRecord is a log record of an actor's process, or a line that it printed,
// on its way to the root.
type wireRecord struct {
	Time  int64      `msgpack:"time,omitempty"` // ns of the Unix epoch; 0 is none
	Level int        `msgpack:"level"`
	Text  string     `msgpack:"text"`
	Path  string     `msgpack:"path"` // of the actor that logged or printed it
	PID   int        `msgpack:"pid"`
	Attrs []wireAttr `msgpack:"attrs,omitempty"`
}

// wireAttr is an attribute. Type says what MessagePack has no word for.
type wireAttr struct {
	Key   string     `msgpack:"key"`
	Value any        `msgpack:"value"`
	Type  string     `msgpack:"type,omitempty"`
	Group []wireAttr `msgpack:"group,omitempty"`
}

const (
	wireDuration = "duration" // Value is ns
	wireTime     = "time"     // Value is RFC 3339
	wireGroup    = "group"    // Group has the members
)

func toWireRecord(path string, pid int, r slog.Record) wireRecord {
	w := wireRecord{Level: int(r.Level), Text: r.Message, Path: path, PID: pid}
	if !r.Time.IsZero() {
		w.Time = r.Time.UnixNano()
	}
	r.Attrs(func(a slog.Attr) bool {
		w.Attrs = append(w.Attrs, toWireAttr(a))
		return true
	})
	return w
}

func toWireAttr(a slog.Attr) wireAttr {
	w := wireAttr{Key: a.Key}
	switch v := a.Value; v.Kind() {
	case slog.KindGroup:
		w.Type = wireGroup
		for _, m := range v.Group() {
			w.Group = append(w.Group, toWireAttr(m))
		}
	case slog.KindDuration:
		w.Type, w.Value = wireDuration, int64(v.Duration())
	case slog.KindTime:
		w.Type, w.Value = wireTime, v.Time().Format(time.RFC3339Nano)
	default:
		w.Value = v.Any()
	}
	return w
}

func (w wireRecord) record() slog.Record {
	var at time.Time
	if w.Time != 0 {
		at = time.Unix(0, w.Time)
	}
	r := slog.NewRecord(at, slog.Level(w.Level), w.Text, 0)
	for _, a := range w.Attrs {
		r.AddAttrs(a.attr())
	}
	return r
}

// attr rebuilds the attribute. What a foreign peer made of it is shown as it is.
func (w wireAttr) attr() slog.Attr {
	a := slog.Any(w.Key, w.Value)
	switch w.Type {
	case wireGroup:
		members := make([]slog.Attr, 0, len(w.Group))
		for _, m := range w.Group {
			members = append(members, m.attr())
		}
		a.Value = slog.GroupValue(members...)
	case wireDuration:
		switch a.Value.Kind() {
		case slog.KindInt64:
			a.Value = slog.DurationValue(time.Duration(a.Value.Int64()))
		case slog.KindUint64: // other encoders choose the shortest form
			a.Value = slog.DurationValue(time.Duration(a.Value.Uint64()))
		}
	case wireTime:
		text, _ := w.Value.(string)
		if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
			a.Value = slog.TimeValue(t)
		}
	}
	return a
}

// childLevel is the level below which records stay in the child.
var childLevel slog.LevelVar

func setLogLevel(level int) { childLevel.Set(slog.Level(level)) }

// logs reports whether records of that level are wanted.
func (s *System) logs(ctx context.Context, level slog.Level) bool {
	if s.parent != nil {
		return level >= min(childLevel.Level(), lastWordsLevel)
	}
	return s.logTarget().Enabled(ctx, level)
}

// deliver gives the system's logger a record under the name of the actor that made it.
// From a process below the root it goes straight to the root.
func (s *System) deliver(ctx context.Context, path string, pid int, r slog.Record) {
	if s.parent != nil {
		params, err := codec.TryControlParams(toWireRecord(path, pid, r))
		if err != nil { // groups inside groups, or too much: the message alone, then
			bare := slog.NewRecord(r.Time, r.Level, cut(r.Message, maxErrorText), 0)
			bare.AddAttrs(slog.String("attributes_lost", cut(err.Error(), maxErrorText)))
			params = codec.ControlParams(toWireRecord(path, pid, bare))
		}
		s.sendUpward(&s.upward.records, ctlLog, params)
		if r.Level >= lastWordsLevel {
			s.settle()
		}
		return
	}
	s.toSink(recordSize(r), func() { s.write(ctx, path, pid, r) })
}

// write gives a record to the logger, on the sink's goroutine.
func (s *System) write(ctx context.Context, path string, pid int, r slog.Record) {
	if !s.logTarget().Enabled(ctx, r.Level) {
		return
	}
	named := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	if path != "" { // else it was made before the process was told who it is
		named.AddAttrs(slog.String("path", path))
	}
	named.AddAttrs(slog.Int("pid", pid))
	r.Attrs(func(a slog.Attr) bool {
		named.AddAttrs(a)
		return true
	})
	_ = s.logTarget().Handle(ctx, named) // where would one say that a log fails?
}

// logRecord delivers, or passes on, a record from a process below.
func (s *System) logRecord(params []byte) {
	params = bytes.Clone(params) // they are lent
	if s.parent != nil {
		s.sendUpward(&s.upward.records, ctlLog, params)
		return
	}
	s.toSink(len(params), func() {
		var w wireRecord
		if codec.DecodeControl(params, &w) == nil {
			s.write(context.Background(), w.Path, w.PID, w.record())
		}
	})
}

// logTarget is where records come out. A program may have made an in-process
// actor's logger the default one, and that logs to the default one.
func (s *System) logTarget() slog.Handler {
	h := s.Logger().Handler()
	if a, ok := h.(*logHandler); ok && a.sys == s {
		return lastResort
	}
	return h
}

var lastResort slog.Handler = slog.NewTextHandler(os.Stderr, nil)
