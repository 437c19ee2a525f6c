package actor

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/understudy-go/understudy/mailbox"
)

// wireRecord is a log record of an actor's process on its way to the root.
type wireRecord struct {
	Time  int64      `msgpack:"time"`
	Level int        `msgpack:"level"`
	Text  string     `msgpack:"text"`
	Path  string     `msgpack:"path"`
	PID   int        `msgpack:"pid"`
	Attrs []wireAttr `msgpack:"attrs,omitempty"`
}

type wireAttr struct {
	Key   string `msgpack:"key"`
	Value any    `msgpack:"value"`
}

// maxLogBuffered is how many bytes may wait on the connection before records
// are dropped: a log must not stop an actor.
const maxLogBuffered = 1 << 20

// childLevel is the level below which records stay in the child.
var childLevel slog.LevelVar

func setLogLevel(level int) { childLevel.Set(slog.Level(level)) }

// logToParent makes the parent the destination of slog's default logger.
func (c *child) logToParent() {
	slog.SetDefault(slog.New(&parentHandler{c: c}))
}

// parentHandler is a slog.Handler over the connection to the parent.
type parentHandler struct {
	c      *child
	attrs  []wireAttr
	prefix string
}

func (h *parentHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= childLevel.Level()
}

func (h *parentHandler) Handle(_ context.Context, r slog.Record) error {
	if h.c.peer.Buffered() > maxLogBuffered {
		return nil
	}
	w := wireRecord{Time: r.Time.UnixNano(), Level: int(r.Level), Text: r.Message, Path: h.c.sys.fromPath(), PID: os.Getpid(),
		Attrs: h.attrs[:len(h.attrs):len(h.attrs)]}
	r.Attrs(func(a slog.Attr) bool {
		w.Attrs = appendAttr(w.Attrs, h.prefix, a)
		return true
	})
	return h.c.peer.Notify(ctlLog, mailbox.ControlParams(w))
}

func (h *parentHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	n.attrs = h.attrs[:len(h.attrs):len(h.attrs)]
	for _, a := range attrs {
		n.attrs = appendAttr(n.attrs, h.prefix, a)
	}
	return &n
}

func (h *parentHandler) WithGroup(name string) slog.Handler {
	n := *h
	n.prefix = h.prefix + name + "."
	return &n
}

// appendAttr flattens groups and keeps what MessagePack can carry.
func appendAttr(to []wireAttr, prefix string, a slog.Attr) []wireAttr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, g := range v.Group() {
			to = appendAttr(to, prefix, g)
		}
		return to
	case slog.KindInt64:
		return append(to, wireAttr{prefix + a.Key, v.Int64()})
	case slog.KindUint64:
		return append(to, wireAttr{prefix + a.Key, v.Uint64()})
	case slog.KindFloat64:
		return append(to, wireAttr{prefix + a.Key, v.Float64()})
	case slog.KindBool:
		return append(to, wireAttr{prefix + a.Key, v.Bool()})
	}
	if a.Key == "" && prefix == "" {
		return to
	}
	return append(to, wireAttr{prefix + a.Key, v.String()})
}

// logRecord logs, or passes on, a record from a process below.
func (s *System) logRecord(params []byte) {
	if s.parent != nil {
		_ = s.parent.Notify(ctlLog, params)
		return
	}
	var w wireRecord
	if mailbox.DecodeControl(params, &w) != nil {
		return
	}
	l := s.Logger()
	if !l.Enabled(context.Background(), slog.Level(w.Level)) {
		return
	}
	r := slog.NewRecord(time.Unix(0, w.Time), slog.Level(w.Level), w.Text, 0)
	r.AddAttrs(slog.String("path", w.Path), slog.Int("pid", w.PID))
	for _, a := range w.Attrs {
		r.AddAttrs(slog.Any(a.Key, a.Value))
	}
	_ = l.Handler().Handle(context.Background(), r)
}
