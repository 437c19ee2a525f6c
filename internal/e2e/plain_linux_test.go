package e2e_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/shm"
)

// The plain peer knows MessagePack-RPC and nothing of this library: it stands
// for editors and language servers. It is strict: what is not an array of
// exactly four or three elements ends it. Nothing here uses our packages.

// plainReader takes values off a connection: integers, nil, booleans, strings
// and lists are all it knows.
type plainReader struct{ f *os.File }

func (p plainReader) bytes(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(p.f, b); err != nil {
		os.Exit(0) // the parent is gone
	}
	return b
}

func (p plainReader) number(n int) int {
	b := append(make([]byte, 8-n), p.bytes(n)...)
	return int(binary.BigEndian.Uint64(b))
}

func (p plainReader) value() any {
	c := p.bytes(1)[0]
	switch {
	case c < 0x80:
		return int(c)
	case c < 0x90:
		return p.pairs(int(c & 15))
	case c < 0xa0:
		return p.list(int(c & 15))
	case c < 0xc0:
		return string(p.bytes(int(c & 31)))
	case c >= 0xe0:
		return int(int8(c))
	}
	switch c {
	case 0xc0:
		return nil
	case 0xc2, 0xc3:
		return c == 0xc3
	case 0xc4, 0xd9:
		return string(p.bytes(p.number(1)))
	case 0xc5, 0xda:
		return string(p.bytes(p.number(2)))
	case 0xc6, 0xdb:
		return string(p.bytes(p.number(4)))
	case 0xcc, 0xcd, 0xce, 0xcf:
		return p.number(1 << (c - 0xcc))
	case 0xdc:
		return p.list(p.number(2))
	case 0xde:
		return p.pairs(p.number(2))
	}
	fmt.Fprintf(os.Stderr, "plain peer: what is 0x%02x?\n", c)
	os.Exit(5)
	return nil
}

func (p plainReader) list(n int) []any {
	l := make([]any, n)
	for i := range l {
		l[i] = p.value()
	}
	return l
}

func (p plainReader) pairs(n int) []any { return p.list(2 * n) }

// plainText is a short string on the wire.
func plainText(s string) []byte {
	return append([]byte{0xda, byte(len(s) >> 8), byte(len(s))}, s...)
}

func plainID(id int) []byte { return binary.BigEndian.AppendUint32([]byte{0xce}, uint32(id)) }

func init() {
	roles["plain"] = func([]string) {
		f := os.NewFile(3, "parent")
		in := plainReader{f}
		write := func(parts ...[]byte) { _, _ = f.Write(cat(parts...)) }
		yes := func(id int, s string) { write([]byte{0x94, 1}, plainID(id), []byte{0xc0}, plainText(s)) }
		no := func(id int, s string) { write([]byte{0x94, 1}, plainID(id), plainText(s), []byte{0xc0}) }
		late := -1
		for {
			m, ok := in.value().([]any)
			if !ok || len(m) < 3 || len(m) != 4-m[0].(int)/2 {
				fmt.Fprintf(os.Stderr, "plain peer: %v is no message\n", m)
				os.Exit(6)
			}
			if m[0] == 2 {
				if m[1] == "leave" {
					os.Exit(0)
				}
				continue
			}
			id, method, what := m[1].(int), m[2].(string), ""
			if args := m[3].([]any); len(args) > 0 {
				what, _ = args[0].(string)
			}
			switch {
			case method != "do":
				no(id, "E117: Unknown function: "+method)
			case what == "die":
				fmt.Fprintln(os.Stderr, "plain peer: dying")
				os.Exit(11)
			case what == "later":
				late = id
			case what == "now":
				yes(late, "late")
				yes(late, "twice")
				yes(id, "now")
			case what == "ask":
				write([]byte{0x94, 0, 9}, plainText("their_method"), []byte{0x91, 1})
				r := in.value().([]any)
				s, text := r[2].(string)
				if r[0] != 1 || r[1] != 9 || !text || r[3] != nil {
					s = fmt.Sprintf("bad answer: %v", r)
				}
				write([]byte{0x93, 2}, plainText("redraw"), []byte{0x90})
				yes(id, s)
			default:
				yes(id, what)
			}
		}
	}
}

const pythonPeer = `
import os, socket, struct, sys
s = socket.socket(fileno=3)
f = s.makefile("rb")
def take(n):
    b = f.read(n)
    if len(b) < n: sys.exit(0)
    return b
def num(n): return int.from_bytes(take(n), "big")
def value():
    c = take(1)[0]
    if c < 0x80: return c
    if c < 0x90: return dict((value(), value()) for _ in range(c & 15))
    if c < 0xa0: return [value() for _ in range(c & 15)]
    if c < 0xc0: return take(c & 31).decode()
    if c >= 0xe0: return c - 256
    if c == 0xc0: return None
    if c in (0xc2, 0xc3): return c == 0xc3
    if c in (0xc4, 0xd9): return take(num(1)).decode()
    if c in (0xc5, 0xda): return take(num(2)).decode()
    if c in (0xc6, 0xdb): return take(num(4)).decode()
    if 0xcc <= c <= 0xcf: return num(1 << (c - 0xcc))
    if c == 0xdc: return [value() for _ in range(num(2))]
    if c == 0xde: return dict((value(), value()) for _ in range(num(2)))
    sys.exit("what is 0x%02x?" % c)
def text(t): b = t.encode(); return b"\xda" + struct.pack(">H", len(b)) + b
def ident(i): return b"\xce" + struct.pack(">I", i)
def yes(i, t): s.sendall(b"\x94\x01" + ident(i) + b"\xc0" + text(t))
def no(i, t): s.sendall(b"\x94\x01" + ident(i) + text(t) + b"\xc0")
late = 0
while True:
    m = value()
    if len(m) != (3 if m[0] == 2 else 4): sys.exit("no message: %r" % (m,))
    if m[0] == 2:
        if m[1] == "leave": sys.exit(0)
        continue
    i, method, args = m[1:]
    what = args[0] if args else None
    if method != "do": no(i, "E117: Unknown function: " + method)
    elif what == "die": sys.stderr.write("plain peer: dying\n"); sys.stderr.flush(); os._exit(11)
    elif what == "later": late = i
    elif what == "now": yes(late, "late"); yes(late, "twice"); yes(i, "now")
    elif what == "ask":
        s.sendall(b"\x94\x00\x09" + text("their_method") + b"\x91\x01")
        r = value()
        s.sendall(b"\x93\x02" + text("redraw") + b"\x90")
        yes(i, r[2] if r[0] == 1 and r[1] == 9 and isinstance(r[2], str) and r[3] is None else "bad answer: %r" % (r,))
    else: yes(i, what)
`

func TestPlainPeer(t *testing.T) {
	t.Run("go", func(t *testing.T) { plainPeer(t, foreignArgs{Role: "plain"}) })
	t.Run("python", func(t *testing.T) {
		python, err := exec.LookPath("/usr/bin/python3")
		if err != nil {
			if python, err = exec.LookPath("python3"); err != nil {
				t.Skip("no python3")
			}
		}
		script := filepath.Join(t.TempDir(), "peer.py")
		if err := os.WriteFile(script, []byte(pythonPeer), 0o600); err != nil {
			t.Fatal(err)
		}
		plainPeer(t, foreignArgs{Path: python, Args: []string{script}})
	})
}

func plainPeer(t *testing.T, args foreignArgs) {
	w := newWorld(t)
	i := w.launch("/editor", Foreigns.With(args))
	ref := w.foreign("/editor")
	do := func(what, want string) {
		t.Helper()
		// With a deadline, which must not reach a peer that has no word for it.
		ctx, cancel := context.WithTimeout(w.ctx, time.Hour)
		defer cancel()
		if got, err := ForeignDo.Call(ctx, ref, what); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", what, got, err, want)
		}
	}
	do("hello", "hello")
	do("Grüße, 世界", "Grüße, 世界")
	do(strings.Repeat("long ", 10000), strings.Repeat("long ", 10000))
	do("ask", `method "their_method": `+actor.ErrUnknown.Error())

	_, err := ForeignEcho.Call(w.ctx, ref, "x")
	var e *actor.RemoteError
	if !errors.As(err, &e) || e.Path != "/editor" || e.Method != "echo" || !strings.Contains(e.Text, "E117") {
		t.Errorf("unknown function: %v", err)
	}
	// A call that is given up, and answered afterwards; then answered again.
	ctx, cancel := context.WithCancel(w.ctx)
	f := ForeignDo.Go(ctx, ref, "later")
	do("behind it", "behind it")
	cancel()
	if _, err := f.Result(); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	do("now", "now")
	do("after the late answers", "after the late answers")
	f = ForeignDo.Go(w.ctx, ref, "later")
	do("now", "now")
	if got, err := f.Result(); err != nil || got != "late" {
		t.Errorf("a late answer: %q, %v", got, err)
	}

	// What it has no words for is refused here.
	a, err := shm.New[float64](10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ForeignSum.Call(w.ctx, ref, a); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("an array: %v", err)
	} else {
		names(t, err, "/editor")
	}
	a.Release()
	for _, err = range ForeignList.Open(w.ctx, ref, 3) {
		break
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a stream: %v", err)
	}
	if _, err := ForeignDo.Call(w.ctx, ref, strings.Repeat("x", 5<<20)); !errors.Is(err, actor.ErrTooLarge) {
		t.Errorf("5 MiB: %v", err)
	}
	do("still there", "still there")

	// It dies with three calls in its hands.
	f, g := ForeignDo.Go(w.ctx, ref, "later"), ForeignDo.Go(w.ctx, ref, "die")
	for _, f := range []*actor.Future[string]{f, g} {
		_, err := f.Result()
		x := exitError(t, err, "/editor", actor.ReasonExitCode)
		if x.Code != 11 || x.Begun != actor.BegunUnknown || len(x.Stderr) == 0 || !strings.Contains(err.Error(), "plain peer: dying") {
			t.Errorf("died mid-call: %v", err)
		}
	}
	w.wait(i.Done(), "its end")

	i = w.launch("/editor", Foreigns.With(args))
	do("the next", "the next")
	if x := w.stop(i); x.Reason != actor.ReasonShutdown {
		t.Errorf("stopped: %v", x)
	}
	i = w.launch("/editor", Foreigns.With(args))
	if err := ForeignLeave.Cast(w.ctx, ref, actor.None{}); err != nil {
		t.Error(err)
	}
	w.wait(i.Done(), "its leave")
	if x := i.Exit(); x.Reason != actor.ReasonNormal {
		t.Errorf("left: %v", x)
	}
}
