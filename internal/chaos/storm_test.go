package chaos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/mailbox"
	"github.com/understudy-go/understudy/supervisor"
)

// watchdog is the interval in which processes are asked for a sign of life.
const watchdog = 400 * time.Millisecond

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

func watch(sys *actor.System) *watcher {
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
		if x, ok := actor.IsExit(e.Err); ok && x.Begun == actor.BegunYes {
			d.begun, d.inc = true, x.Incarnation
		}
		w.letters = append(w.letters, d)
	case actor.EventCastFailed:
		w.fault("the handler of a cast to %s from %s failed: %v", e.Path, e.Sender, e.Err)
	case actor.EventLinkLost:
		w.counts[fmt.Sprintf("link lost: %v", e.Err)]++
		if errors.Is(e.Err, mailbox.ErrProtocol) {
			w.fault("link from %s to %s: %v", e.Sender, e.Path, e.Err)
		}
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

// theater is the tree and all that is done to it.
type theater struct {
	tree    *supervisor.Tree
	w       *watcher
	rng     *rand.Rand
	logf    func(string, ...any)
	pending sync.WaitGroup // processes that are to be continued
	done    map[string]int
}

// signal sends a signal to the process of a role, if that is one of ours.
func (th *theater) signal(r uint16, sig syscall.Signal) bool {
	pid := th.w.pid(r)
	if pid == 0 {
		return false
	}
	p, err := os.FindProcess(pid) // a pidfd: whoever it is now, it stays the same
	if err != nil {
		return false
	}
	defer p.Release()
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil || !bytes.Contains(env, []byte(process.Cookie(th.tree.System().ID()))) {
		return false
	}
	return p.Signal(sig) == nil
}

// adminOf returns the supervisor of a role and its id there, if it is one that
// the root can reach.
func (th *theater) adminOf(r uint16) (*supervisor.Tree, string) {
	parts := strings.Split(strings.TrimPrefix(cast[r].path, "/"), "/")
	if len(parts) == 1 {
		return th.tree, parts[0]
	}
	if parts[0] != "team" {
		return nil, ""
	}
	team, err := th.tree.Supervisor("team")
	if err != nil {
		return nil, ""
	}
	return team, parts[1]
}

// bounce stops a child by hand and starts it again.
func (th *theater) bounce(ctx context.Context, t *supervisor.Tree, id string) {
	if err := t.StopChild(ctx, id); err != nil && ctx.Err() == nil && !isOver(t) {
		th.logf("stop %s in %s: %v", id, t.Path(), err)
	}
	for ctx.Err() == nil && !isOver(t) {
		err := t.RestartChild(ctx, id)
		if err == nil || errors.Is(err, supervisor.ErrRunning) || errors.Is(err, supervisor.ErrRestarting) {
			return
		}
	}
}

func isOver(t *supervisor.Tree) bool {
	select {
	case <-t.Done():
		return true
	default:
		return false
	}
}

// rage does one thing after the other until ctx ends.
func (th *theater) rage(ctx context.Context) {
	all := targets()
	for ctx.Err() == nil {
		r := all[th.rng.IntN(len(all))]
		what := "nothing"
		switch th.rng.IntN(10) {
		case 0, 1, 2, 3:
			if th.signal(r, syscall.SIGKILL) {
				what = "kill"
			}
		case 4, 5:
			what = th.freeze(r, time.Duration(th.rng.IntN(150))*time.Millisecond)
		case 6:
			what = th.freeze(r, 3*watchdog)
		case 7, 8:
			if t, id := th.adminOf(r); t != nil {
				what = "stop and start by hand"
				th.bounce(context.Background(), t, id)
			}
		case 9:
			if th.rng.IntN(3) == 0 {
				what = "stop and start the team"
				th.bounce(context.Background(), th.tree, "team")
			}
		}
		th.done[what]++
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(20+th.rng.IntN(120)) * time.Millisecond):
		}
	}
	th.pending.Wait()
}

func (th *theater) freeze(r uint16, d time.Duration) string {
	if !th.signal(r, syscall.SIGSTOP) {
		return "nothing"
	}
	th.pending.Add(1)
	time.AfterFunc(d, func() {
		defer th.pending.Done()
		th.signal(r, syscall.SIGCONT)
	})
	if d > 2*watchdog {
		return "freeze long"
	}
	return "freeze"
}

// heal ends what hangs: after it, everybody answers.
func (th *theater) heal(ctx context.Context, dir string) error {
	for _, r := range targets() {
		if cast[r].concurrent {
			th.signal(r, syscall.SIGKILL) // one of its slots may hang, and nobody sees it
		}
	}
	for _, r := range targets() {
		ref, err := refOf(th.tree, r)
		if err != nil {
			return err
		}
		for seen := -1; ; {
			try, cancel := context.WithTimeout(ctx, 3*time.Second)
			asked := time.Now()
			_, err := Ping.Call(try, ref, actor.NoArgs{})
			if d := time.Since(asked); d > time.Second {
				th.logf("%s: ping took %v: %v", cast[r].path, d, err)
			}
			late := try.Err() != nil
			cancel()
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("%s does not come back: %w", cast[r].path, err)
			}
			if !late {
				continue
			}
			if now := begunBy(dir, r); now > seen {
				seen = now // it works, perhaps
				continue
			}
			th.logf("%s hangs: %v", cast[r].path, err)
			if t, id := th.adminOf(r); t != nil && cast[r].inProcess {
				th.bounce(ctx, t, id)
			} else {
				th.signal(r, syscall.SIGKILL)
			}
		}
	}
	return nil
}

// begunBy counts the messages that a role has begun.
func begunBy(dir string, role uint16) int {
	records, _ := readJournal(dir)
	n := 0
	for _, r := range records {
		if r.Entry == entryBegin && r.Self == role {
			n++
		}
	}
	return n
}

// finish has every actor come to the end of its sends.
func (th *theater) finish(ctx context.Context) error {
	var all sync.WaitGroup
	errs := make([]error, len(cast))
	for _, r := range targets() {
		all.Add(1)
		go func() {
			defer all.Done()
			ref, err := refOf(th.tree, r)
			for err == nil {
				var yes bool
				if yes, err = Finish.Call(ctx, ref, actor.NoArgs{}); yes && err == nil {
					return
				}
				if ctx.Err() == nil {
					th.logf("%s: finish: %v", cast[r].path, err)
					err = nil
				}
			}
			errs[r] = fmt.Errorf("%s cannot finish: %w", cast[r].path, err)
		}()
	}
	all.Wait()
	return errors.Join(errs...)
}

// autopsy says what everybody waits for, and has the processes print their
// stacks into the log.
func (th *theater) autopsy(dir string) {
	records, err := readJournal(dir)
	if err != nil {
		th.logf("%v", err)
		return
	}
	a := verify(th.w.evidence(records))
	running := make(map[uint64]bool)
	for _, r := range targets() {
		for p, b := range a.born {
			if b.Self == r && int(b.PID) == th.w.pid(r) {
				running[p] = true
			}
		}
	}
	running[self] = true
	for l, ms := range a.messages {
		for i, m := range ms {
			if running[l.process] && m.outcome == 0 {
				th.logf("waits: %s (%v), begun %d, ended %v", a.name(l, uint64(i)+1), m.op, m.begins, m.ended)
			}
		}
	}
	for _, r := range targets() {
		th.signal(r, syscall.SIGQUIT)
	}
}
