package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/vmihailenco/msgpack/v5"
	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/wire"
)

// rawActor is an actor's process whose parent is this test, in raw bytes.
type rawActor struct {
	testing.TB
	*raw // its descriptor 3
	cmd  *exec.Cmd
	done chan error
}

func startRaw(t testing.TB, start map[string]any) *rawActor {
	t.Helper()
	r, theirs, err := rawPair()
	if err != nil {
		t.Fatal(err)
	}
	a := &rawActor{TB: t, raw: r, cmd: exec.Command(self), done: make(chan error, 1)}
	a.cmd.Env = append(os.Environ(), "UNDERSTUDY_ACTOR="+uuid.NewString(), "GORACE=atexit_sleep_ms=0")
	a.cmd.ExtraFiles = []*os.File{theirs}
	a.cmd.Stderr = os.Stderr
	err = a.cmd.Start()
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() { a.done <- a.cmd.Wait() }()
	t.Cleanup(func() {
		a.raw.close()
		_ = a.cmd.Process.Kill()
		a.done <- <-a.done
	})
	if start == nil {
		return a
	}
	if e, err := a.call("$/hello", list(helloMap(nil)), nil); err != nil || e.Err != nil {
		t.Fatal(text(e.Err), err)
	}
	if e, err := a.call("$/start", list(start), nil); err != nil || e.Err != nil {
		t.Fatal(text(e.Err), err)
	}
	return a
}

func startMap(change map[string]any) map[string]any {
	s := map[string]any{"kind": "victim", "path": "/raw", "incarnation": uuid.NewString(), "number": 1, "args": msgpack.RawMessage(list("raw")),
		"capacity": 8, "bytes": 1 << 16, "max_message": 64 << 20, "inline": 4 << 20, "stop_timeout": 0, "log_level": 8}
	for k, v := range change {
		s[k] = v
	}
	return s
}

// connection gives the actor one end of a connection of its own.
func (a *rawActor) connection(from string) *raw {
	a.Helper()
	r, theirs, err := rawPair()
	if err != nil {
		a.Fatal(err)
	}
	defer theirs.Close()
	a.Cleanup(r.close)
	a.lastID++
	err = errors.Join(a.send(wire.AppendNotify(nil, "$/file", codec.Params(a.lastID), nil), int(theirs.Fd())),
		a.notify("$/connect", list(map[string]any{"token": a.lastID, "from": from})))
	if err != nil {
		a.Fatal(err)
	}
	return r
}

// greeted is a connection that said hello.
func (a *rawActor) greeted(from string) *raw {
	a.Helper()
	l := a.connection(from)
	if e, err := l.call("$/hello", list(helloMap(nil)), nil); err != nil || e.Err != nil {
		a.Fatal(text(e.Err), err)
	}
	return l
}

// reference is the wire form of an array of float64 (type 10).
func reference(index any, offset, length, code any, shape ...any) []any {
	return append([]any{index, offset, length, code}, shape...)
}

const float64Code = 10

// A violation on a direct connection ends that connection, is reported with its cause, and
// ends nothing else.
func TestDirectConnectionViolations(t *testing.T) {
	leaktest.Check(t)
	a := startRaw(t, startMap(nil))
	good := a.greeted("/good")
	answers := func() {
		t.Helper()
		if e, err := good.call("echo", list("fine"), nil); err != nil || text(e.Result) != "fine" {
			t.Fatalf("the good connection: %s, %v", text(e.Err), err)
		}
	}
	for name, do := range map[string]func(*raw) error{
		"garbage":    func(r *raw) error { return r.send([]byte{0xc1}) },
		"oversized":  func(r *raw) error { return r.send([]byte{0x93, 2, 0xa1, 'x', 0xc6, 0xff, 0xff, 0xff, 0xff}) },
		"array bomb": func(r *raw) error { return r.send([]byte{0x93, 2, 0xa1, 'x', 0xdd, 0xff, 0xff, 0xff, 0xff}) },
		"nested bomb": func(r *raw) error {
			return r.send(append([]byte{0x93, 2, 0xa1, 'x'}, bytes.Repeat([]byte{0x91}, 1000)...))
		},
		"bad envelope": func(r *raw) error { return r.send([]byte{0x91, 0}) },
		"unsealed": func(r *raw) error {
			fd, err := memfd(4096, 0)
			defer unix.Close(fd)
			return errors.Join(err, r.announce(1, 4096, frozen, fd))
		},
		"beyond its credit": func(r *raw) error {
			if _, err := r.request("do", list("wait"), nil); err != nil {
				return err
			}
			for range 100 {
				if err := r.notify("count", list(0)); err != nil {
					return nil // ended already
				}
			}
			return nil
		},
		"beyond its bytes": func(r *raw) error {
			if _, err := r.request("do", list("wait"), nil); err != nil {
				return err
			}
			for range 4 {
				if err := r.notify("echo", list(strings.Repeat("x", 50000))); err != nil {
					return nil
				}
			}
			return nil
		},
		"want nonsense":   func(r *raw) error { return r.notify("$/want", list("x")) },
		"cancel nonsense": func(r *raw) error { return r.notify("$/cancel", list()) },
		"more nonsense":   func(r *raw) error { return r.notify("$/more", list(1)) },
		"probe nonsense":  func(r *raw) error { return r.notify("$/probe", list(7)) },
		"answer beyond":   func(r *raw) error { return r.send(wire.AppendResponse(nil, 1<<40, nil, nil, nil)) },
	} {
		from := "/bad/" + strings.ReplaceAll(name, " ", "-")
		l := a.greeted(from)
		if err := do(l); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := l.drain(); err != nil {
			t.Errorf("%s: the connection does not end: %v", name, err)
		}
		a.lost(name, from)
		answers()
	}
	// Before hello nothing is accepted.
	l := a.connection("/rude")
	if _, err := l.request("echo", list("x"), nil); err != nil {
		t.Error(err)
	}
	if e, err := l.read(); err != io.EOF {
		t.Errorf("a message before hello: %s %s, %v", text(e.Result), text(e.Err), err)
	}
	answers()
	a.endsWell()
}

// lost waits for the event of a connection's end. It comes over descriptor 3, with
// the sender and the cause.
func (a *rawActor) lost(name, from string) {
	a.Helper()
	for {
		e, err := a.await("$/event")
		if err != nil {
			a.Fatalf("%s: no event: %v", name, err)
		}
		if s := text(e.Params); strings.Contains(s, "connection lost") && strings.Contains(s, from) {
			if !strings.Contains(s, "mailbox.ErrProtocol") {
				a.Errorf("%s: the event has no cause: %s", name, s)
			}
			return
		}
	}
}

// endsWell stops the actor and demands an orderly end.
func (a *rawActor) endsWell() {
	a.Helper()
	if err := a.notify("$/stop", list(map[string]any{"timeout": int64(5e9)})); err != nil {
		a.Error(err)
	}
	if e, err := a.await("$/ended"); err != nil || !strings.Contains(text(e.Params), "reason:1") {
		a.Errorf("last word %s, %v", text(e.Params), err)
	}
	err := <-a.done
	a.done <- err
	if err != nil {
		a.Errorf("exit: %v", err)
	}
}

// What a direct connection says that is wrong, but concerns one message only.
func TestDirectConnectionMistakes(t *testing.T) {
	leaktest.Check(t)
	a := startRaw(t, startMap(nil))
	l := a.greeted("/clumsy")
	refused := func(what string, e wire.Envelope, err error, words string) {
		t.Helper()
		if err != nil || e.Err == nil || !strings.Contains(text(e.Err), words) {
			t.Errorf("%s: answered %s, %s, %v; want %q", what, text(e.Err), text(e.Result), err, words)
		}
	}
	call := func(what, method string, params, meta []byte, words string) {
		t.Helper()
		e, err := l.call(method, params, meta)
		refused(what, e, err, words)
	}
	call("an unknown method", "nonsense", list(), nil, "actor.ErrUnknown")
	call("an unknown control request", "$/nonsense", list(), nil, "actor.ErrUnknown")
	call("a second hello", "$/hello", list(helloMap(nil)), nil, "mailbox.ErrProtocol")
	call("a stop over a connection", "$/stop", list(map[string]any{"timeout": 0}), nil, "actor.ErrUnknown")
	call("a start over a connection", "$/start", list(startMap(nil)), nil, "actor.ErrUnknown")
	call("arguments of another type", "count", list("x"), nil, "bad arguments")
	call("too few arguments", "count", list(), nil, "bad arguments")
	call("too many arguments", "count", list(1, 2, 3), nil, "bad arguments")
	call("a map for a text", "echo", list(map[string]any{"a": 1}), nil, "bad arguments")
	call("an extension for a map", "sum", []byte{0x91, 0xd6, 5, 0xdf, 0xff, 0xff, 0xff}, nil, "bad array reference")
	unknown := wire.Meta{Segments: []uint64{99}}
	call("an unknown segment", "echo", list("x"), unknown.Append(nil), "never announced")

	fd, err := memfd(4096, sealFrozen)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := l.announce(5, 4096, frozen, fd); err != nil {
		t.Fatal(err)
	}
	meta := wire.Meta{Segments: []uint64{5}}
	with := meta.Append(nil)
	big := uint64(1) << 63
	for what, ref := range map[string]any{
		"no list":           7,
		"too short":         []any{0, 0, 1, float64Code},
		"too long":          reference(0, 0, 1, float64Code, make([]any, 40)...),
		"nil fields":        reference(0, nil, nil, nil, 1),
		"a text index":      reference("0", 0, 512, float64Code, 512),
		"index beyond":      reference(1, 0, 512, float64Code, 512),
		"index negative":    reference(-1, 0, 512, float64Code, 512),
		"index huge":        reference(big, 0, 512, float64Code, 512),
		"another type":      reference(0, 0, 512, 4, 512),
		"unknown type":      reference(0, 0, 512, 99, 512),
		"misaligned":        reference(0, 4, 10, float64Code, 10),
		"offset negative":   reference(0, -8, 10, float64Code, 10),
		"offset huge":       reference(0, big, 10, float64Code, 10),
		"offset beyond":     reference(0, 4096, 1, float64Code, 1),
		"too many":          reference(0, 0, 513, float64Code, 513),
		"over the end":      reference(0, 8, 512, float64Code, 512),
		"shape unlike":      reference(0, 0, 512, float64Code, 511),
		"shape negative":    reference(0, 0, 512, float64Code, -512, -1),
		"elements overflow": reference(0, 0, 0, float64Code, 1<<33, 1<<33),
		"bytes overflow":    reference(0, 0, uint64(1)<<61, float64Code, uint64(1)<<61),
		"empty with index":  reference(0, 0, 0, float64Code, 0),
		"full without":      reference(nil, 0, 512, float64Code, 512),
		"floats":            reference(0.0, 0.0, 512.0, 10.0, 512.0),
	} {
		e, err := l.call("sum", list(ref), with)
		refused("a reference, "+what, e, err, "bad array reference")
	}
	if e, err := l.call("sum", list(reference(0, 8, 511, float64Code, 7, 73)), with); err != nil || e.Err != nil {
		t.Errorf("a good reference: %s, %v", text(e.Err), err)
	}

	if t.Failed() {
		for {
			if e, err := a.await("$/event"); err != nil || strings.Contains(text(e.Params), "connection lost") {
				t.Fatal(text(e.Params), err)
			}
		}
	}
	// Of things that are not there, and of too many of one thing.
	errs := []error{
		l.notify("$/cancel", codec.Params(4711)), l.notify("$/more", codec.Params(4711, 1<<62)), l.notify("$/want", codec.Params(1<<62)),
		l.send(wire.AppendResponse(nil, 4711, nil, nil, nil)), l.notify("$/connect", list("x")), l.notify("$/connect", list(map[string]any{"token": 3})),
		l.notify("$/start", list()), l.notify("$/lost", codec.Params(1)), l.notify("", list()),
	}
	stream := wire.Meta{Stream: true, Window: 1}
	id, err := l.request("stream", list(3), stream.Append(nil))
	errs = append(errs, err)
	for range 1000 {
		errs = append(errs, l.notify("$/more", codec.Params(id, 1<<63)))
	}
	if e, err := l.answerTo(id); err != nil || e.Err != nil {
		t.Errorf("a stream that is granted much: %s, %v", text(e.Err), err)
	}
	// The same id twice at a time: each is answered.
	for range 2 {
		errs = append(errs, l.send(wire.AppendRequest(nil, 7, "echo", list("twin"), nil)))
	}
	for range 2 {
		if e, err := l.answerTo(7); err != nil || text(e.Result) != "twin" {
			t.Errorf("a request id used twice: %s, %v", text(e.Err), err)
		}
	}
	// Byte at a time.
	l.lastID++
	for _, b := range wire.AppendRequest(nil, l.lastID, "echo", list("slowly"), nil) {
		errs = append(errs, l.send([]byte{b}))
	}
	if e, err := l.answerTo(l.lastID); err != nil || text(e.Result) != "slowly" {
		t.Errorf("byte at a time: %s, %v", text(e.Err), err)
	}
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	a.endsWell()
}

// What a reader grants while its stream still waits to be begun is part of the
// window with which it begins.
func TestGrantBeforeBegin(t *testing.T) {
	leaktest.Check(t)
	a := startRaw(t, startMap(nil))
	l := a.greeted("/early")
	for _, grants := range [][]uint64{{2}, {1, 1}, {1 << 63, 1 << 63}} {
		busy, err := l.request("do", list("wait"), nil)
		if err != nil {
			t.Fatal(err)
		}
		stream := wire.Meta{Stream: true, Window: 1}
		id, err := l.request("stream", list(3), stream.Append(nil))
		for _, n := range grants {
			err = errors.Join(err, l.notify("$/more", codec.Params(id, n)))
		}
		if err = errors.Join(err, l.notify("$/cancel", codec.Params(busy))); err != nil {
			t.Fatal(err)
		}
		if e, err := l.answerTo(id); err != nil || e.Err != nil {
			t.Errorf("granted %d early: %s, %v", grants, text(e.Err), err)
		}
	}
	a.endsWell()
}

// A parent that breaks the protocol, goes away, or speaks another version: its
// child ends, whatever state it is in.
func TestBadParent(t *testing.T) {
	leaktest.Check(t)
	for name, c := range map[string]struct {
		start bool
		do    func(a *rawActor) error
	}{
		"gone at once":      {do: func(a *rawActor) error { a.raw.close(); return nil }},
		"gone when ready":   {start: true, do: func(a *rawActor) error { a.raw.close(); return nil }},
		"garbage at once":   {do: func(a *rawActor) error { return a.send([]byte{0xc1}) }},
		"garbage later":     {start: true, do: func(a *rawActor) error { return a.send([]byte{0xc1}) }},
		"bomb at once":      {do: func(a *rawActor) error { return a.send([]byte{0xdd, 0xff, 0xff, 0xff, 0xff}) }},
		"half a message":    {start: true, do: func(a *rawActor) error { err := a.send([]byte{0x94, 0, 1}); a.raw.close(); return err }},
		"busy when gone":    {start: true, do: func(a *rawActor) error { _, err := a.request("do", list("wait"), nil); a.raw.close(); return err }},
		"stop before start": {do: func(a *rawActor) error { return a.notify("$/stop", list(map[string]any{"timeout": 1})) }},
		"another version": {do: func(a *rawActor) error {
			e, err := a.call("$/hello", list(helloMap(map[string]any{"min": 5, "max": 6})), nil)
			if err == nil && !strings.Contains(text(e.Err), "mailbox.ErrProtocol") {
				err = fmt.Errorf("answered %s, %s", text(e.Err), text(e.Result))
			}
			a.raw.close()
			return err
		}},
		"bad starts": {do: func(a *rawActor) error {
			for _, params := range [][]byte{list(), list(1), list(map[string]any{}), list(startMap(map[string]any{"kind": "nobody"})),
				list(startMap(map[string]any{"incarnation": "x"})), list(startMap(map[string]any{"segments": []int{4}})), list(startMap(map[string]any{"args": "x"}))} {
				e, err := a.call("$/start", params, nil)
				if err != nil || e.Err == nil {
					return fmt.Errorf("start %s: %s, %v", text(params), text(e.Result), err)
				}
			}
			a.raw.close()
			return nil
		}},
		"second start": {start: true, do: func(a *rawActor) error {
			e, err := a.call("$/start", list(startMap(nil)), nil)
			if err == nil && !strings.Contains(text(e.Err), "second start") {
				err = errors.New(text(e.Err))
			}
			f, err2 := a.call("$/hello", list(helloMap(nil)), nil)
			if err2 == nil && !strings.Contains(text(f.Err), "second hello") {
				err2 = errors.New(text(f.Err))
			}
			a.raw.close()
			return errors.Join(err, err2)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var start map[string]any
			if c.start {
				start = startMap(nil)
			}
			a := startRaw(t, start)
			if err := c.do(a); err != nil {
				t.Error(err)
			}
			a.done <- <-a.done // or the test times out
		})
	}
}
