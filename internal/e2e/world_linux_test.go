package e2e_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/runtime"
)

// patience is how long anything may take before a test gives up. Nothing is
// asserted on time, but for the root's end.
const patience = time.Minute

// world is a system with a healthy actor in it, which is called all the time
// and must never notice anything.
type world struct {
	testing.TB
	ctx       context.Context
	sys       *runtime.System
	transport string
	healthy   *runtime.Instance
	ref       actor.Ref[victim]

	log *eventLog
}

// eventLog is what happened in the system so far.
type eventLog struct {
	mu     sync.Mutex
	events []actor.Event
	more   chan struct{} // closed with the next event
}

func (l *eventLog) add(e actor.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	close(l.more)
	l.more = make(chan struct{})
}

// transports are what messages travel by: the socket alone, and rings from a connection's
// first message on.
var transports = []struct {
	name      string
	transport string
}{{"socket", "socket"}, {"ring", "ring"}}

// overTransports runs a test of connections over each transport.
func overTransports(t *testing.T, test func(t *testing.T, w *world)) {
	for _, l := range transports {
		t.Run(l.name, func(t *testing.T) { test(t, newWorldOver(t, l.transport)) })
	}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOver(t, "auto")
}

var byName = map[string]runtime.Transport{"auto": runtime.AutoTransport, "socket": runtime.SocketTransport, "ring": runtime.RingTransport}

func newWorldOver(t testing.TB, transport string) *world {
	t.Helper()
	leaktest.Check(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	sys, err := runtime.NewSystem(runtime.SystemOptions{Logger: slog.New(slog.DiscardHandler), Transport: byName[transport]})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{TB: t, ctx: ctx, sys: sys, transport: transport, log: &eventLog{more: make(chan struct{})}}
	events := sys.Events(context.Background())
	var reader sync.WaitGroup
	reader.Go(func() {
		for e := range events {
			w.log.add(e)
		}
	})
	w.healthy = w.launch("/healthy", Victims.With("healthy"))
	w.ref = w.victim("/healthy")
	quit := make(chan struct{})
	var pings sync.WaitGroup
	pings.Go(func() { w.ping(quit) })
	t.Cleanup(func() {
		close(quit)
		pings.Wait()
		select {
		case <-w.healthy.Done():
			t.Errorf("the healthy actor ended: %v", w.healthy.Exit())
		default:
		}
		w.healthy.Stop(patience)
		<-w.healthy.Done()
		if x := w.healthy.Exit(); x.Reason != actor.ReasonShutdown {
			t.Errorf("the healthy actor ended as %v", x)
		}
		if err := sys.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		reader.Wait()
		cancel()
	})
	return w
}

// ping calls the healthy actor until quit. Its counter tells that it is one
// and the same life, and that each call was handled once.
func (w *world) ping(quit chan struct{}) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		if got, err := VictimCount.Call(w.ctx, w.ref, 1); err != nil || got != n {
			w.Errorf("the healthy actor answered %d, %v to call %d", got, err, n)
			return
		}
		select {
		case <-tick.C:
		case <-quit:
			return
		}
	}
}

// begin begins to start an actor, with at most one Settings.
func (w *world) begin(path string, r actor.Role, given ...runtime.Settings) *runtime.Instance {
	w.Helper()
	var s runtime.Settings
	if len(given) > 0 {
		s = given[0]
	}
	bp, err := runtime.EncodeRole(r, s, w.sys.MaxMessage())
	if err != nil {
		w.Fatalf("%s: %v", path, err)
	}
	defer bp.Release()
	return w.sys.Launch(path, bp)
}

// launch starts an actor that must become ready.
func (w *world) launch(path string, r actor.Role, given ...runtime.Settings) *runtime.Instance {
	w.Helper()
	i := w.begin(path, r, given...)
	w.wait(i.Ready(), path+" is ready")
	if err := i.StartErr(); err != nil {
		w.Fatalf("start %s: %v", path, err)
	}
	return i
}

// fails starts an actor that must not, waits for its end, and returns why.
func (w *world) fails(path string, r actor.Role, given ...runtime.Settings) (actor.ExitStatus, error) {
	w.Helper()
	i := w.begin(path, r, given...)
	w.wait(i.Ready(), path+" fails to start")
	err := i.StartErr()
	if err == nil {
		i.Stop(0)
		w.Fatalf("%s started", path)
	}
	w.wait(i.Done(), path+" is gone")
	names(w, err, path)
	return i.Exit(), err
}

func (w *world) victim(path string) actor.Ref[victim] {
	w.Helper()
	r, err := Victims.Lookup(w.sys, path)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func (w *world) wait(ch <-chan struct{}, what string) {
	w.Helper()
	select {
	case <-ch:
	case <-w.ctx.Done():
		w.Fatalf("%s: %v", what, context.Cause(w.ctx))
	}
}

// stop ends an actor in order.
func (w *world) stop(i *runtime.Instance) actor.ExitStatus {
	w.Helper()
	i.Stop(patience)
	w.wait(i.Done(), "stop of "+i.Path())
	return i.Exit()
}

// await waits for an event.
func (w *world) await(what string, match func(actor.Event) bool) actor.Event {
	w.Helper()
	for {
		w.log.mu.Lock()
		i, more := slices.IndexFunc(w.log.events, match), w.log.more
		if i >= 0 {
			defer w.log.mu.Unlock()
			return w.log.events[i]
		}
		w.log.mu.Unlock()
		w.wait(more, what)
	}
}

// exitError demands that err is the end of the actor at path for a reason.
func exitError(t testing.TB, err error, path string, reason actor.Reason) *actor.ExitError {
	t.Helper()
	var x *actor.ExitError
	if !errors.As(err, &x) {
		t.Fatalf("error %v (%T), want an *ExitError of %s", err, err, path)
	}
	if x.Path != path || x.Reason != reason {
		t.Fatalf("exit of %s for reason %q, want %s and %q: %v", x.Path, x.Reason, path, reason, err)
	}
	names(t, err, path)
	return x
}

// exitOf returns the end of an actor that err is about, if it is.
func exitOf(err error) (x *actor.ExitError, ok bool) {
	ok = errors.As(err, &x)
	return x, ok
}
