package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/internal/wire"
)

// short is a start timeout for those who never become ready.
var short = runtime.Settings{StartTimeout: 300 * time.Millisecond}

func TestExecutables(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	plainFile := filepath.Join(dir, "not-executable")
	noFormat := filepath.Join(dir, "no-format")
	if err := errors.Join(os.WriteFile(plainFile, []byte("#!/bin/sh\n"), 0o644), os.WriteFile(noFormat, []byte{1, 2, 3}, 0o755)); err != nil {
		t.Fatal(err)
	}
	for path, c := range map[string]struct {
		args   foreignArgs
		given  runtime.Settings
		reason actor.Reason
		is     error
		says   string
	}{
		"/missing":        {args: foreignArgs{Path: filepath.Join(dir, "nobody")}, reason: actor.ReasonStartFailed, is: fs.ErrNotExist, says: "nobody"},
		"/not-executable": {args: foreignArgs{Path: plainFile}, reason: actor.ReasonStartFailed, is: fs.ErrPermission, says: "not-executable"},
		"/no-format":      {args: foreignArgs{Path: noFormat}, reason: actor.ReasonStartFailed, is: syscall.ENOEXEC},
		"/not-in-path":    {args: foreignArgs{Path: "no-such-program-anywhere"}, reason: actor.ReasonStartFailed, is: exec.ErrNotFound},
		"/directory":      {args: foreignArgs{Path: dir}, reason: actor.ReasonStartFailed, is: fs.ErrPermission},
		"/bad-dir":        {args: foreignArgs{Role: "noisy"}, given: runtime.Settings{Process: actor.Process{Dir: filepath.Join(dir, "nowhere")}}, reason: actor.ReasonStartFailed, is: fs.ErrNotExist},
		"/silent":         {args: foreignArgs{Path: "/bin/sh", Args: []string{"-c", "echo I am silent >&2; exec sleep 1000"}}, given: short, reason: actor.ReasonStartTimeout},
		"/gone":           {args: foreignArgs{Path: "/bin/sh", Args: []string{"-c", "echo good bye >&2; exit 7"}}, reason: actor.ReasonExitCode, says: "good bye"},
		"/gone-well":      {args: foreignArgs{Path: "/bin/true"}, reason: actor.ReasonStartFailed, says: "before it was ready"},
		"/killed":         {args: foreignArgs{Path: "/bin/sh", Args: []string{"-c", "kill -9 $$"}}, reason: actor.ReasonSignal, says: "killed"},
		"/never-again":    {args: foreignArgs{Path: "/bin/sh", Args: []string{"-c", "exit 125"}}, reason: actor.ReasonExitCode},
		"/closes-fd-3":    {args: foreignArgs{Path: "/bin/sh", Args: []string{"-c", "exec 3>&-; trap '' TERM; sleep 1000 & wait; wait"}}, reason: actor.ReasonLost},
	} {
		t.Run(path[1:], func(t *testing.T) {
			w := w.in(t)
			x, err := w.fails(path, Foreigns.With(c.args), c.given)
			if x.Reason != c.reason || c.is != nil && (!errors.Is(err, c.is) || !errors.Is(x.Err, c.is)) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("start: %v\nexit: %v", err, x)
			}
			if x.DoNotRestart != (path == "/never-again") {
				t.Errorf("do not restart: %v", x.DoNotRestart)
			}
		})
	}
}

// in is the world in a subtest.
func (w *world) in(t testing.TB) *world {
	ctx, cancel := context.WithTimeout(w.ctx, patience/2)
	t.Cleanup(cancel)
	return &world{TB: t, ctx: ctx, sys: w.sys, healthy: w.healthy, ref: w.ref, log: w.log}
}

func init() {
	// noisy prints what no line reader likes, in both streams, and serves.
	roles["noisy"] = func([]string) {
		line := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		for _, f := range []*os.File{os.Stdout, os.Stderr} {
			f.Write(line)
			f.Write([]byte("\n\x00\xff\xfe\x1b[2J\r\n\n\n"))
			f.Write(bytes.Repeat([]byte{0, 0xff, '\n'}, 20000))
			f.Write([]byte("no end of line"))
		}
		r := newRaw(3)
		if shake(r, "plain") == nil {
			serveEcho(r)
		}
	}
	// badhello NAME answers hello in one of many wrong ways.
	roles["badhello"] = func(args []string) {
		r := newRaw(3)
		e, err := r.await("$/hello")
		if err != nil {
			return
		}
		if err := hellos[args[0]].do(r, e.ID); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(9)
		}
		if e, err := r.await("$/start"); err == nil {
			_ = r.respond(e.ID, nil, true)
			for e, err := r.read(); err == nil; e, err = r.read() {
				if e.Type == wire.Request && r.notify("$/begin", codec.Params(1)) == nil {
					_ = r.respond(e.ID, nil, "pong")
				}
			}
		}
	}
}

// serveEcho answers every request with its first argument until the end.
func serveEcho(r *raw) {
	for {
		e, err := r.read()
		if err != nil {
			return
		}
		if e.Type == wire.Request {
			_ = r.respond(e.ID, nil, strings.Trim(text(e.Params), "[]"))
		}
	}
}

func TestNoisyProgram(t *testing.T) {
	w := newWorld(t)
	i := w.launch("/noisy", Foreigns.With(foreignArgs{Role: "noisy"}))
	if got, err := ForeignEcho.Call(w.ctx, w.foreign("/noisy"), "through the noise"); err != nil || got != "through the noise" {
		t.Errorf("%q, %v", got, err)
	}
	if x := w.stop(i); x.Reason != actor.ReasonShutdown {
		t.Errorf("exit %v", x)
	}
}

var hellos = map[string]struct {
	do func(r *raw, id uint64) error
	ok bool // tolerated
}{
	"good": {ok: true, do: func(r *raw, id uint64) error { return r.respond(id, nil, helloMap(nil)) }},
	"from tomorrow": {ok: true, do: func(r *raw, id uint64) error {
		return r.respond(id, nil, helloMap(map[string]any{"max": 99, "colour": []int{1}, "caps": []string{"x"}}))
	}},
	"too new": {do: func(r *raw, id uint64) error { return r.respond(id, nil, helloMap(map[string]any{"min": 2, "max": 9})) }},
	"too old": {do: func(r *raw, id uint64) error { return r.respond(id, nil, helloMap(map[string]any{"min": 0, "max": 0})) }},
	"upside down": {do: func(r *raw, id uint64) error {
		return r.respond(id, nil, helloMap(map[string]any{"min": 9, "max": -9}))
	}},
	"a number": {do: func(r *raw, id uint64) error { return r.respond(id, nil, 42) }},
	"a list":   {do: func(r *raw, id uint64) error { return r.respond(id, nil, []string{"a", "b"}) }},
	"nothing":  {do: func(r *raw, id uint64) error { return r.send(wire.AppendResponse(nil, id, nil, nil, nil)) }},
	"bad types": {do: func(r *raw, id uint64) error {
		return r.respond(id, nil, helloMap(map[string]any{"build": 7, "caps": "x"}))
	}},
	"no page": {do: func(r *raw, id uint64) error { return r.respond(id, nil, helloMap(map[string]any{"progress": 9})) }},
	"lost page": {do: func(r *raw, id uint64) error {
		return errors.Join(r.notify("$/file", codec.Params(9)), r.respond(id, nil, helloMap(map[string]any{"progress": 9})))
	}},
	"unsealed page": {do: page(4096, 0)},
	"small page":    {do: page(8, sealSize)},
	"pipe as a page": {do: func(r *raw, id uint64) error {
		var p [2]int
		return errors.Join(unix.Pipe2(p[:], unix.O_CLOEXEC), r.send(wire.AppendNotify(nil, "$/file", codec.Params(9), nil), p[0]),
			r.respond(id, nil, helloMap(map[string]any{"progress": 9})))
	}},
	"page and begin": {ok: true, do: page(4096, sealSize)},
}

// page answers with a progress page of its own making. A peer that then says
// "$/begin" all the same must not make us write to what we can only read.
func page(size int64, seals int) func(r *raw, id uint64) error {
	return func(r *raw, id uint64) error {
		fd, err := memfd(size, seals)
		return errors.Join(err, r.send(wire.AppendNotify(nil, "$/file", codec.Params(9), nil), fd),
			r.respond(id, nil, helloMap(map[string]any{"progress": 9})))
	}
}

func TestHello(t *testing.T) {
	w := newWorld(t)
	for name, h := range hellos {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			path := "/" + strings.ReplaceAll(name, " ", "-")
			bp := Foreigns.With(foreignArgs{Role: "badhello", Args: []string{name}})
			if h.ok {
				i := w.launch(path, bp)
				if got, err := ForeignEcho.Call(w.ctx, w.foreign(path), "ping"); err != nil || got != "pong" {
					t.Error(got, err)
				}
				i.Stop(0)
				w.wait(i.Done(), "the end of "+path)
				return
			}
			x, err := w.fails(path, bp)
			if x.Reason != actor.ReasonStartFailed || !errors.Is(x.Err, wire.ErrProtocol) && !errors.Is(x.Err, actor.ErrLost) {
				t.Errorf("start: %v\nexit: %v", err, x)
			}
		})
	}
}

func TestConstructors(t *testing.T) {
	w := newWorld(t)
	for mode, c := range map[string]struct {
		reason actor.Reason
		is     error
		says   string
		given  runtime.Settings
		never  bool
	}{
		"hang":    {reason: actor.ReasonStartTimeout, says: "not ready", given: short},
		"loop":    {reason: actor.ReasonStartTimeout, says: "not ready", given: short},
		"panic":   {reason: actor.ReasonPanic, says: "constructor panics"},
		"exit0":   {reason: actor.ReasonStartFailed, says: "before it was ready"},
		"exit3":   {reason: actor.ReasonExitCode, says: "constructor prints"},
		"exit125": {reason: actor.ReasonExitCode, never: true},
		"error":   {reason: actor.ReasonStartFailed, says: errStart.Error()},
		"ignore":  {reason: actor.ReasonStartFailed, is: actor.ErrIgnore},
		"never":   {reason: actor.ReasonStartFailed, is: actor.ErrDoNotRestart, says: "out of business", never: true},
		"nil":     {reason: actor.ReasonStartFailed, says: "neither"},
		"goexit":  {reason: actor.ReasonStartFailed, says: errStart.Error()},
	} {
		t.Run(mode, func(t *testing.T) {
			w := w.in(t)
			x, err := w.fails("/"+mode, Victims.With(mode), c.given)
			if x.Reason != c.reason || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("start: %v\nexit: %v", err, x)
			}
			if x.DoNotRestart != c.never {
				t.Errorf("do not restart: %v", x.DoNotRestart)
			}
		})
	}
}
