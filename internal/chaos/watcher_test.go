package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/internal/wire"
)

// watcher collects the events of the tree.
type watcher struct {
	mu      sync.Mutex
	changed chan struct{} // closed at the next event
	pids    map[uint16]int
	letters []letter
	lives   map[actor.Incarnation]life
	starts  map[uint16][]life // by role, in order
	counts  map[string]int
	faults  []string
	ended   chan struct{}
}

// life is an incarnation as events tell of it.
type life struct {
	inc   actor.Incarnation
	role  uint16
	pid   int
	start int64
	ready int64
}

func watch(sys *runtime.System) *watcher {
	w := &watcher{changed: make(chan struct{}), pids: make(map[uint16]int), lives: make(map[actor.Incarnation]life),
		starts: make(map[uint16][]life), counts: make(map[string]int), ended: make(chan struct{})}
	events := sys.Events(context.Background())
	go func() {
		defer close(w.ended)
		for e := range events {
			w.take(e)
		}
	}()
	return w
}

func (w *watcher) fault(format string, a ...any) {
	if len(w.faults) < maxFaults {
		w.faults = append(w.faults, fmt.Sprintf(format, a...))
	}
}

func (w *watcher) take(e actor.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
	w.counts[string(e.Type)]++
	r, known := roleOf(e.Path)
	if !known {
		r = roleInbox
	}
	switch e.Type {
	case actor.EventStarting:
		w.lives[e.Incarnation] = life{inc: e.Incarnation, role: r, start: e.Time.UnixNano()}
	case actor.EventReady:
		l := w.lives[e.Incarnation]
		l.pid, l.ready = e.PID, e.Time.UnixNano()
		w.lives[e.Incarnation] = l
		if e.PID != 0 {
			w.pids[r] = e.PID
		}
	case actor.EventExited, actor.EventStartFailed:
		if w.pids[r] == e.PID {
			delete(w.pids, r)
		}
		if e.Exit != nil {
			w.exited(e)
		}
	case actor.EventDeadLetter:
		sender := uint16(roleRoot)
		if s, ok := roleOf(e.Sender); ok {
			sender = s
		}
		d := letter{sender: sender, to: r, time: e.Time.UnixNano()}
		if x, ok := exitOf(e.Err); ok && x.Begun == actor.BegunYes {
			d.begun, d.inc = true, x.Incarnation
		}
		w.letters = append(w.letters, d)
	case actor.EventCastFailed:
		w.fault("the handler of a cast to %s from %s failed: %v", e.Path, e.Sender, e.Err)
	case actor.EventConnectionLost:
		w.counts[fmt.Sprintf("connection lost: %v", e.Err)]++
		if errors.Is(e.Err, wire.ErrProtocol) {
			w.fault("connection from %s to %s: %v", e.Sender, e.Path, e.Err)
		}
	case actor.EventSocketOnly:
		w.fault("no rings from %s to %s: %v", e.Sender, e.Path, e.Err)
	case actor.EventsDropped:
		w.fault("the test was too slow for the events: %s", e.Detail)
	case actor.EventGaveUp:
		w.fault("%s gave up: %v", e.Path, e.Err)
	}
}

// exited sorts out the ends that nobody ordered.
func (w *watcher) exited(e actor.Event) {
	x := e.Exit
	w.counts["exit: "+x.Reason.String()]++
	text := fmt.Sprint(x.Err)
	switch x.Reason {
	case actor.ReasonPanic:
		if !strings.Contains(text, panicMarker) {
			w.fault("%s crashed: %v", e.Path, text)
		}
	case actor.ReasonExitCode:
		if x.Code != 3 {
			w.fault("%s ended with exit code %d: %v %v", e.Path, x.Code, text, strings.Join(x.Stderr, "\n"))
		}
	case actor.ReasonSignal:
		if x.Signal != syscall.SIGKILL {
			w.fault("%s was killed by %v: %v", e.Path, x.Signal, text)
		}
	case actor.ReasonError:
		if !errors.Is(x.Err, errDeclined) && !strings.Contains(text, errDeclined.Error()) {
			w.fault("%s ended with %v", e.Path, text)
		}
	case actor.ReasonProtocol, actor.ReasonLost, actor.ReasonOutOfMemory, actor.ReasonStartTimeout:
		w.fault("%s ended: %v", e.Path, x)
	}
}

// evidence is what the verifier needs of the events.
func (w *watcher) evidence(records []record) evidence {
	w.mu.Lock()
	defer w.mu.Unlock()
	ev := evidence{records: records, letters: append([]letter(nil), w.letters...), lives: make(map[actor.Incarnation]uint64)}
	var born []record
	for _, r := range records {
		if r.Entry == entryBorn {
			born = append(born, r)
		}
	}
	for inc, l := range w.lives {
		for _, b := range born {
			if b.Self != l.role || l.ready == 0 {
				continue
			}
			if l.pid != 0 && int(b.PID) == l.pid || l.pid == 0 && b.Time >= l.start && b.Time <= l.ready {
				ev.lives[inc] = b.Actor
			}
		}
	}
	return ev
}

func (w *watcher) pid(r uint16) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pids[r]
}

// next returns a channel that is closed at the next event.
func (w *watcher) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}
