package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"

	"github.com/understudy-go/understudy/internal/codec"
)

// The handler of actors is what slog wants of one, and so is what comes out at
// the other end of the wire.
func TestLogHandlerIsAHandler(t *testing.T) {
	for name, system := range map[string]func(root *System) *System{
		"in-process": func(root *System) *System { return root },
		"process":    wired,
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			var root, sys *System
			slogtest.Run(t, func(*testing.T) slog.Handler {
				out.Reset()
				root = newSystem("test", SystemOptions{Logger: slog.New(slog.NewJSONHandler(&out, nil))})
				sys = system(root)
				return &logHandler{sys: sys, path: "/a"}
			}, func(t *testing.T) map[string]any {
				sys.sink.flush()
				root.sink.flush()
				var m map[string]any
				if err := json.Unmarshal(out.Bytes(), &m); err != nil {
					t.Fatal(err)
				}
				if m["path"] != "/a" {
					t.Errorf("not named: %s", out.Bytes())
				}
				return m
			})
		})
	}
}

// wired is a system whose records go over the wire to root, in its own process.
func wired(root *System) *System {
	return newSystem("test", SystemOptions{Logger: slog.New(overWire{root})})
}

type overWire struct{ root *System }

func (overWire) Enabled(context.Context, slog.Level) bool { return true }
func (h overWire) WithAttrs([]slog.Attr) slog.Handler     { return h }
func (h overWire) WithGroup(string) slog.Handler          { return h }

func (h overWire) Handle(_ context.Context, r slog.Record) error {
	h.root.logRecord(codec.ControlParams(toWireRecord("", 1, r))) // it is named already
	return nil
}

// A program that makes an actor's logger the default one, or the system's own,
// has not made a circle.
func TestLoggerOfItself(t *testing.T) {
	var out bytes.Buffer
	before := lastResort
	lastResort = slog.NewTextHandler(&out, nil)
	defer func() { lastResort = before }()
	s := newSystem("test", SystemOptions{})
	l := slog.New(&logHandler{sys: s, path: "/a"})
	s.opts.Logger = l.With("round", "and round")
	l.Info("hello")
	s.sink.flush()
	if got := out.String(); strings.Count(got, "hello") != 1 || !strings.Contains(got, "path=/a") {
		t.Errorf("it logged %q", got)
	}
}

// A peer may put anything into a record.
func TestForeignRecords(t *testing.T) {
	var out bytes.Buffer
	s := newSystem("test", SystemOptions{Logger: slog.New(slog.NewTextHandler(&out, nil))})
	for _, v := range []any{
		map[string]any{"text": "one", "attrs": []any{map[string]any{"key": "k", "type": "time", "value": 7}}},
		map[string]any{"text": "two", "attrs": []any{map[string]any{"key": "k", "type": "duration", "value": "long"}}},
		map[string]any{"text": "three", "attrs": []any{map[string]any{"key": "k", "type": "group", "value": 1}, map[string]any{"type": "?"}}},
		map[string]any{"text": "four", "time": -1, "level": 1 << 40, "attrs": nil},
		map[string]any{"text": 5},
		"six",
	} {
		s.logRecord(codec.ControlParams(v))
	}
	s.sink.flush()
	for _, want := range []string{"msg=one pid=0 k=7", "msg=two pid=0 k=long", "msg=three", "msg=four"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}
