package e2e_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/internal/wire"
)

// A sender that breaks its ring, or offers what is none, loses its connection. The
// actor goes on serving the others, and by ring.
func TestRingViolations(t *testing.T) {
	leaktest.Check(t)
	a := startRaw(t, startMap(nil))
	good := a.ringed("/good")
	attacks := map[string]func(*raw) error{
		"beginning without rings": func(r *raw) error { return r.notify("$/ringed", list()) },
		"memory that may shrink":  offer(func(g *rawRing) (err error) { g.mem, err = memfd(ringMemory, unix.F_SEAL_GROW); return err }),
		"memory too small":        offer(func(g *rawRing) (err error) { g.mem, err = memfd(ringMemory-4096, sealSize); return err }),
		"memory that is a file": offer(func(g *rawRing) (err error) {
			g.mem, err = unix.Open(self, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			return err
		}),
		"a head beyond the tail": func(r *raw) error {
			g, err := r.offerRings()
			if err != nil {
				return err
			}
			defer g.end()
			g.greedy = true
			*g.word(g.ours, headWord) = 1 << 40
			for range 1000 { // it is looked at when the ring is full
				if _, err := g.ask("echo", list(strings.Repeat("x", 500))); err != nil {
					return nil
				}
			}
			return errors.New("nobody minds")
		},
	}
	for name, do := range scribbles {
		attacks[name] = func(r *raw) error {
			g, err := r.offerRings()
			if err != nil {
				return err
			}
			defer g.end()
			return do(g)
		}
	}
	for name, do := range attacks {
		from := "/bad/" + strings.ReplaceAll(name, " ", "-")
		l := a.greeted(from)
		if err := do(l); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := l.drain(); err != nil {
			t.Errorf("%s: the connection does not end: %v", name, err)
		}
		a.lost(name, from)
		if e, err := good.ask("echo", list("fine")); err != nil || text(e.Result) != "fine" {
			t.Fatalf("%s: the good connection: %s, %v", name, text(e.Err), err)
		}
	}
	good.raw.close()
	a.endsWell()
}

// ringed is a connection that has rings.
func (a *rawActor) ringed(from string) *rawRing {
	a.Helper()
	g, err := a.greeted(from).offerRings()
	if err != nil {
		a.Fatal(err)
	}
	a.Cleanup(g.end)
	return g
}

// offer asks for rings with another file than the ring's.
func offer(replace func(*rawRing) error) func(*raw) error {
	return func(r *raw) error {
		g, err := newRing(r)
		if err != nil {
			return err
		}
		defer g.end()
		mem := g.mem
		if err := replace(g); err != nil {
			return err
		}
		if g.mem != mem {
			defer unix.Close(mem)
		}
		params, err := g.give()
		if err == nil {
			_, err = r.request("$/ring", params, nil)
		}
		return err
	}
}

// What is odd, but can be lived with.
func TestRingMistakes(t *testing.T) {
	leaktest.Check(t)
	a := startRaw(t, startMap(nil))

	// Descriptors that do not arrive are no rings, and no offence.
	l := a.greeted("/poor")
	errFile := l.notify("$/file", codec.Params(1))
	e, err := l.call("$/ring", codec.Params(1), nil)
	if err = errors.Join(errFile, err); err != nil || e.Err == nil {
		t.Errorf("rings without memory: %s, %v", text(e.Result), err)
	}
	if e, err := l.call("echo", list("still"), nil); err != nil || text(e.Result) != "still" {
		t.Errorf("after a refusal: %s, %v", text(e.Err), err)
	}

	// A record that comes before the message of the socket that precedes it waits.
	g := a.ringed("/odd")
	g.number, g.quiet = 1, true
	err = errors.Join(g.put(wire.AppendRequest(nil, 2, "echo", list("second"), nil)),
		g.send(wire.AppendRequest(nil, 1, "echo", list("first"), nil)))
	for i, want := range []string{"first", "second"} {
		if e, err2 := g.next(); errors.Join(err, err2) != nil || e.ID != uint64(i+1) || text(e.Result) != want {
			t.Errorf("answer %d: %d %s, %v", i, e.ID, text(e.Result), errors.Join(err, err2))
		}
	}

	// A reader that does not give room back is answered by the socket.
	g.greedy, g.quiet = true, false
	long := strings.Repeat("x", 1000)
	for i := range 300 {
		if e, err := g.ask("echo", list(long)); err != nil || text(e.Result) != long {
			t.Fatalf("answer %d of many: %s, %v", i, text(e.Err), err)
		}
	}

	// A descriptor cannot come by ring: what refers to it is told so.
	*g.word(g.ours, parkedWord) = 1 << 63
	if err := g.put(wire.AppendNotify(nil, "$/file", codec.Params(77), nil)); err != nil {
		t.Error(err)
	}
	if e, err := g.ask("echo", list("alive")); err != nil || text(e.Result) != "alive" {
		t.Errorf("after a file without a descriptor: %s, %v", text(e.Err), err)
	}
	a.endsWell()
}

func init() {
	// scribbler ATTACK [connection]: the program breaks its ring when it is called, on
	// its parent's connection or on a connection to a sibling.
	roles["scribbler"] = func(args []string) {
		if err := scribble(newRaw(3), args); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(9)
		}
	}
}

func scribble(parent *raw, args []string) error {
	caps := helloMap(map[string]any{"caps": []string{"begin", "files", "streams", "connect", "rings"}})
	greet := func(r *raw) error {
		e, err := r.await("$/hello")
		if err == nil {
			err = r.respond(e.ID, nil, caps)
		}
		return err
	}
	err := greet(parent)
	if err != nil {
		return err
	}
	e, err := parent.await("$/start")
	if err == nil {
		err = parent.respond(e.ID, nil, true)
	}
	r := parent
	if err == nil && len(args) > 1 {
		if _, err = parent.await("$/connect"); err == nil {
			r = newRaw(parent.files[len(parent.files)-1])
			parent.files = nil
			err = greet(r)
		}
	}
	if err != nil {
		return err
	}
	g, err := r.acceptRings()
	if err != nil {
		return err
	}
	if _, err := g.next(); err != nil {
		return err
	}
	if err := errors.Join(g.put(wire.AppendNotify(nil, "$/begin", codec.Params(1), nil)), g.settled(), scribbles[args[0]](g)); err != nil {
		return err
	}
	_ = r.drain()
	if r != parent {
		fmt.Println("the connection has ended")
	}
	return parent.drain()
}

// An actor that breaks the ring to its supervisor is ended for it, and nothing
// else is.
func TestScribblers(t *testing.T) {
	w := newWorldOver(t, "ring")
	for k, name := range slices.Sorted(maps.Keys(scribbles)) {
		path := fmt.Sprintf("/scribbler-%d", k)
		i := w.launch(path, Foreigns.With(foreignArgs{Role: "scribbler", Args: []string{name}}))
		_, err := ForeignEcho.Call(w.ctx, w.foreign(path), "attack")
		exitError(subject{w, name}, err, path, actor.ReasonProtocol)
		w.wait(i.Done(), "end of "+path)
		if x := i.Exit(); x.Reason != actor.ReasonProtocol {
			t.Errorf("%s: exit %v", name, x)
		}
		w.await(name+": connection lost", func(e actor.Event) bool {
			return e.Type == actor.EventConnectionLost && e.Path == path && errors.Is(e.Err, wire.ErrProtocol)
		})
	}
}

// One that breaks the ring to a sibling loses that connection. Both live on.
func TestScribblingSibling(t *testing.T) {
	w := newWorldOver(t, "ring")
	i := w.launch("/scribbler", Foreigns.With(foreignArgs{Role: "scribbler", Args: []string{"a tail beyond the ring", "connection"}}))
	a := w.launch("/a", Victims.With(""))
	_, err := VictimTrust.Call(w.ctx, w.victim("/a"), w.foreign("/scribbler"))
	if err == nil || !strings.Contains(err.Error(), "lives on") {
		t.Errorf("call of the sibling: %v", err)
	}
	b := w.launch("/b", Victims.With(""))
	if n, err := VictimAsk.Call(w.ctx, w.victim("/a"), w.victim("/b")); err != nil || n != 1 {
		t.Errorf("another connection of the same actor: %d, %v", n, err)
	}
	for _, i := range []*runtime.Instance{i, a, b} {
		select {
		case <-i.Done():
			t.Errorf("%s ended: %v", i.Path(), i.Exit())
		default:
		}
		i.Stop(0)
		w.wait(i.Done(), "end of "+i.Path())
	}
}
