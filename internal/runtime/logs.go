package runtime

import (
	"context"
	"log"
	"log/slog"
	"os"
	"slices"
)

// logToParent makes the parent the destination of slog's default logger.
func (c *child) logToParent() {
	slog.SetDefault(slog.New(&logHandler{sys: c.sys}))
	log.SetOutput(lastWords{log.Writer()})
}

// logHandler is the slog.Handler of one actor, in both modes.
type logHandler struct {
	sys  *System
	path string     // empty: that of the actor whose process this is, once it is known
	open []logGroup // the attributes so far, by open group; the first is no group
}

type logGroup struct {
	name  string
	attrs []slog.Attr
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.sys.logs(ctx, level)
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	var attrs []slog.Attr
	r.Attrs(func(a slog.Attr) bool {
		attrs = appendPlain(attrs, a)
		return true
	})
	for i, g := range slices.Backward(h.open) {
		attrs = append(g.attrs[:len(g.attrs):len(g.attrs)], attrs...)
		if i > 0 && len(attrs) > 0 {
			attrs = []slog.Attr{{Key: g.name, Value: slog.GroupValue(attrs...)}}
		}
	}
	path := h.path
	if self := mainHost.Load(); path == "" && self != nil {
		path = self.path
	}
	n := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	n.AddAttrs(attrs...)
	h.sys.deliver(context.WithoutCancel(ctx), path, os.Getpid(), n)
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := h.clone()
	g := &n.open[len(n.open)-1]
	g.attrs = slices.Clip(g.attrs) // others hold it, too
	for _, a := range attrs {
		g.attrs = appendPlain(g.attrs, a)
	}
	return n
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	n := h.clone()
	n.open = append(n.open, logGroup{name: name})
	return n
}

// clone returns a copy whose list of groups is its own and not empty.
func (h *logHandler) clone() *logHandler {
	n := *h
	if n.open = slices.Clone(h.open); len(n.open) == 0 {
		n.open = make([]logGroup, 1)
	}
	return &n
}

// appendPlain appends what can cross to another process of an attribute: the
// same in-process, so that logs do not change with the mode. It is resolved
// on the goroutine that logs, which may go on to change what it refers to.
func appendPlain(to []slog.Attr, a slog.Attr) []slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		var members []slog.Attr
		for _, m := range v.Group() {
			members = appendPlain(members, m)
		}
		if a.Key == "" || len(members) == 0 {
			return append(to, members...)
		}
		v = slog.GroupValue(members...)
	case slog.KindAny:
		if v.Any() != nil {
			v = slog.StringValue(v.String())
		} else if a.Key == "" {
			return to // slog ignores what is no attribute at all
		}
	}
	return append(to, slog.Attr{Key: a.Key, Value: v})
}
