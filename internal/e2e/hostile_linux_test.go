package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/internal/wire"
)

// An attack is what a foreign peer does to its parent when it is called. The
// call is in its hands meanwhile.
type attack struct {
	// do returns what the call is answered with, if it comes that far.
	do func(r *raw, id uint64) (answer any, err error)
	// violates: the peer is ended for it. Otherwise the connection goes on.
	violates bool
	// call checks the outcome of the call where it is not the plain answer "done".
	call func(t testing.TB, answer string, err error)
	mode string // "hello" or "plain": only there; "": both
}

// send is an attack of bytes alone.
func send(b []byte) func(*raw, uint64) (any, error) {
	return func(r *raw, _ uint64) (any, error) { return "done", r.send(b) }
}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// segmentAttack announces a descriptor and then says done.
func segmentAttack(size, mode uint64, open func() (int, error)) func(*raw, uint64) (any, error) {
	return func(r *raw, _ uint64) (any, error) {
		fd, err := open()
		if err != nil {
			return nil, err
		}
		return "done", r.announce(77, size, mode, fd)
	}
}

func answer(v any) func(*raw, uint64) (any, error) {
	return func(*raw, uint64) (any, error) { return v, nil }
}

// fails is the check of a call that has no usable answer.
func fails(method string) func(testing.TB, string, error) {
	return func(t testing.TB, _ string, err error) {
		t.Helper()
		var e *actor.RemoteError
		if errors.As(err, &e) && e.Method == method && e.Path != "" {
			return
		}
		if err == nil || !strings.Contains(err.Error(), method) {
			t.Errorf("error %v, want one that names %s", err, method)
		}
		if x, ok := exitOf(err); ok && x.PID != 0 {
			t.Errorf("the actor ended: %v", err)
		}
	}
}

// blobAttack sends a large message that is a lie.
func blobAttack(size uint64, body []byte) func(*raw, uint64) (any, error) {
	return func(r *raw, _ uint64) (any, error) {
		fd, err := memfd(4096, 0)
		if err != nil {
			return nil, err
		}
		if _, err := unix.Pwrite(fd, body, 0); err != nil {
			return nil, err
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, sealFrozen); err != nil {
			return nil, err
		}
		if err := r.announce(66, 4096, frozen, fd); err != nil {
			return nil, err
		}
		m := wire.Meta{Segments: []uint64{66}}
		return "done", r.send(wire.AppendNotify(nil, "$/blob", codec.Params(size), m.Append(nil)))
	}
}

// attackConnection gets a connection to the healthy actor and misbehaves on it: the actor
// ends the connection and nothing else.
func attackConnection(r *raw, _ uint64) (any, error) {
	e, err := r.call("$/introduce", list(map[string]any{"path": "/healthy", "kind": "victim", "from": "/liar"}), nil)
	if err != nil || e.Err != nil || len(r.files) == 0 {
		return nil, fmt.Errorf("no introduction: %s, %d descriptors, %v", text(e.Err), len(r.files), err)
	}
	l := newRaw(r.files[0])
	r.files = r.files[1:]
	defer l.close()
	if _, err := l.call("$/hello", list(helloMap(nil)), nil); err != nil {
		return nil, err
	}
	if e, err := l.call("echo", list("I am the root"), nil); err != nil || text(e.Result) != "I am the root" {
		return nil, fmt.Errorf("a good message: %s, %v", text(e.Err), err)
	}
	if err := l.send([]byte{0xdd, 0xff, 0xff, 0xff, 0xff}); err != nil {
		return nil, err
	}
	return "done", l.drain()
}

func init() {
	// hostile MODE ATTACK
	roles["hostile"] = func(args []string) {
		r := newRaw(3)
		if err := hostile(r, args[0], attacks[args[1]]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(9)
		}
	}
}

// shake answers the parent's hello (and start) in the given mode.
func shake(r *raw, mode string) error {
	e, err := r.await("$/hello")
	if err != nil {
		return err
	}
	if mode == "plain" {
		return r.respond(e.ID, "unknown method", nil)
	}
	if err := r.respond(e.ID, nil, helloMap(nil)); err != nil {
		return err
	}
	if e, err = r.await("$/start"); err != nil {
		return err
	}
	return r.respond(e.ID, nil, true)
}

func hostile(r *raw, mode string, a attack) error {
	if err := shake(r, mode); err != nil {
		return err
	}
	begun := uint64(0)
	for {
		e, err := r.read()
		if err != nil {
			return nil // the parent has gone: the usual end
		}
		if e.Type != wire.Request || strings.HasPrefix(e.Method, "$/") {
			continue
		}
		if begun++; mode == "hello" {
			_ = r.notify("$/begin", codec.Params(begun))
		}
		v := any("pong")
		if begun == 1 {
			if v, err = a.do(r, e.ID); err != nil && !a.violates {
				_ = r.respond(e.ID, "the attack went wrong: "+err.Error(), nil)
				continue
			}
		}
		if v != nil && !(a.violates && begun == 1) {
			if err := r.respond(e.ID, nil, v); err != nil {
				return err
			}
		}
	}
}

func TestHostilePeer(t *testing.T) {
	w := newWorld(t)
	var before goruntime.MemStats
	goruntime.ReadMemStats(&before)
	for _, mode := range []string{"hello", "plain"} {
		// Side by side, a few at a time: most of the time goes into starting processes.
		type job struct{ name, path string }
		jobs := make(chan job)
		var running []chan struct{}
		for range 4 {
			done := make(chan struct{})
			running = append(running, done)
			go func() {
				defer close(done)
				for j := range jobs {
					attackOnce(w, j.path, mode, j.name)
				}
			}()
		}
		for k, name := range slices.Sorted(maps.Keys(attacks)) {
			if m := attacks[name].mode; m == "" || m == mode {
				jobs <- job{name, fmt.Sprintf("/%s-%d", mode, k)}
			}
		}
		close(jobs)
		for _, done := range running {
			<-done
		}
	}
	var after goruntime.MemStats
	goruntime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 512<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

// attackOnce has one peer attack, and checks what came of it.
func attackOnce(w *world, path, mode, name string) {
	if w.ctx.Err() != nil {
		return // it has failed already
	}
	a := attacks[name]
	what := mode + "/" + name
	i := w.begin(path, Foreigns.With(foreignArgs{Role: "hostile", Args: []string{mode, name}}))
	<-i.Ready()
	if err := i.StartErr(); err != nil {
		w.Errorf("%s: start: %v", what, err)
		return
	}
	ref, err := Foreigns.Lookup(w.sys, path)
	if err != nil {
		w.Errorf("%s: %v", what, err)
		return
	}
	got, err := ForeignEcho.Call(w.ctx, ref, "attack")
	switch {
	case a.call != nil:
		a.call(subject{w, what}, got, err)
	case a.violates:
		x, ok := exitOf(err)
		if !ok || x.Path != path || x.Reason != actor.ReasonProtocol || x.PID == 0 || x.PID != i.PID() {
			w.Errorf("%s: call: %v, want a protocol violation of %s", what, err, path)
		}
		names(subject{w, what}, err, path)
	case err != nil || got != "done":
		w.Errorf("%s: answer %q, %v", what, got, err)
	}
	if a.violates {
		<-i.Done()
		if x := i.Exit(); a.call == nil && (x.Reason != actor.ReasonProtocol || runtime.ClassOf(x.Reason) != runtime.Abnormal) {
			w.Errorf("%s: exit %v", what, x)
		}
		if a.call == nil && name != "forged last word" {
			w.await(what+": connection lost", func(e actor.Event) bool {
				return e.Type == actor.EventConnectionLost && e.Path == path && errors.Is(e.Err, wire.ErrProtocol)
			})
		}
		return
	}
	if got, err := ForeignEcho.Call(w.ctx, ref, "still there?"); err != nil || got != "pong" {
		w.Errorf("%s: afterwards: %q, %v", what, got, err)
	}
	i.Stop(0)
	<-i.Done()
}

// subject puts a name before what a check says.
type subject struct {
	*world
	name string
}

func (s subject) Errorf(format string, args ...any) {
	s.world.Errorf("%s: %s", s.name, fmt.Sprintf(format, args...))
}
