package supervisor

import (
	"context"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/internal/seal"
)

// stage is a system without actors: it keeps what it is told, and has fakes
// play the children.
type stage struct {
	mu     sync.Mutex
	log    []string // "+/a" launched, "-/a" asked to stop, "!/a" killed
	states map[string]runtime.PathState
	events []actor.Event
	alive  map[string]*fake
	next   map[string][]script // of the next incarnations of a path
	usual  map[string]script
	twice  []string // paths that had two incarnations at once
	held   map[*cue]bool
	late   []string // paths launched from what had been released
}

// script is how one incarnation behaves.
type script struct {
	startIn  time.Duration // until ready; <0: never
	startErr error
	stopIn   time.Duration // how long it takes to obey; <0: it does not
	reapIn   time.Duration // from the failed start to the end
}

// fake is an instance by script.
type fake struct {
	st     *stage
	path   string
	s      script
	id     actor.Incarnation
	ready  chan struct{}
	done   chan struct{}
	wake   chan struct{}
	mu     sync.Mutex
	err    error
	exit   actor.ExitStatus
	killAt *time.Time
	asked  bool
	over   bool
}

func newStage() *stage {
	return &stage{states: map[string]runtime.PathState{}, alive: map[string]*fake{}, next: map[string][]script{}, usual: map[string]script{}, held: map[*cue]bool{}}
}

func (st *stage) SetState(path string, s runtime.PathState) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.states[path] = s
}

func (st *stage) SetCause(path string, err error) {}

func (st *stage) Emit(e actor.Event) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.events = append(st.events, e)
}

func (st *stage) state(path string) runtime.PathState {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.states[path]
}

// did returns the log since the last look.
func (st *stage) did() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	s := strings.Join(st.log, " ")
	st.log = nil
	return s
}

func (st *stage) note(s string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.log = append(st.log, s)
}

func (st *stage) instance(path string) *fake {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.alive[path]
}

// part is the body of a child that a fake plays.
type part struct{ st *stage }

func (p part) kind() string { return "fake" }

func (p part) Runnable(seal.Seal) any { return p }

func (p part) prepare(path string, in *plan, c Child) (launcher, Child, error) {
	c = c.or(in.defaults)
	if err := c.check(); err != nil {
		return nil, c, err
	}
	p.st.mu.Lock()
	defer p.st.mu.Unlock()
	l := &cue{part: p, path: path}
	p.st.held[l] = true
	return l, c, nil
}

// cue is the launcher of a part. The stage knows which are not released.
type cue struct {
	part
	path string
}

func (c *cue) release() {
	c.st.mu.Lock()
	defer c.st.mu.Unlock()
	delete(c.st.held, c)
}

func (p part) tell(h host, path string, st runtime.PathState) { h.SetState(path, st) }

func (c *cue) launch(_ *Tree, path string) instance {
	st := c.st
	f := &fake{st: st, path: path, id: uuid.Must(uuid.NewV7()), ready: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1)}
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.held[c] {
		st.late = append(st.late, path)
	}
	if st.alive[path] != nil {
		st.twice = append(st.twice, path)
	}
	st.alive[path] = f
	st.log = append(st.log, "+"+path)
	f.s = st.usual[path]
	if q := st.next[path]; len(q) > 0 {
		f.s, st.next[path] = q[0], q[1:]
	}
	go f.play()
	return f
}

// actor makes a child that a fake plays.
func (st *stage) actor(name string, fields ...Child) Child {
	var c Child
	if len(fields) > 0 {
		c = fields[0]
	}
	c.Name, c.Run = name, part{st}
	return c
}

func (f *fake) play() {
	if f.s.startIn >= 0 {
		select {
		case <-time.After(f.s.startIn):
			f.mu.Lock()
			f.err = f.s.startErr
			f.mu.Unlock()
			if f.err == nil {
				f.st.SetState(f.path, runtime.PathRunning)
				close(f.ready)
			} else {
				close(f.ready)
				time.Sleep(f.s.reapIn)
				f.end(actor.ExitStatus{Reason: actor.ReasonStartFailed, Err: f.err})
			}
		case <-f.wake:
			f.wake <- struct{}{}
		}
	}
	for {
		f.mu.Lock()
		over, at, asked := f.over, f.killAt, f.asked
		f.mu.Unlock()
		if over {
			break
		}
		var kill, obey <-chan time.Time
		if at != nil {
			kill = time.After(time.Until(*at))
		}
		if asked && f.s.stopIn >= 0 {
			obey = time.After(f.s.stopIn)
		}
		select {
		case <-f.wake:
		case <-kill:
			f.st.note("!" + f.path)
			f.end(actor.ExitStatus{Reason: actor.ReasonKilled})
		case <-obey:
			f.end(actor.ExitStatus{Reason: actor.ReasonShutdown})
		}
	}
	f.st.mu.Lock()
	delete(f.st.alive, f.path)
	f.st.mu.Unlock()
	select {
	case <-f.ready:
	default:
		f.mu.Lock()
		if f.err == nil {
			f.err = actor.ErrStopped
		}
		f.mu.Unlock()
		close(f.ready)
	}
	close(f.done)
}

// end has the instance end with that report.
func (f *fake) end(x actor.ExitStatus) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.over, f.exit = true, x
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *fake) Ready() <-chan struct{} { return f.ready }
func (f *fake) StartErr() error        { f.mu.Lock(); defer f.mu.Unlock(); return f.err }
func (f *fake) Done() <-chan struct{}  { return f.done }
func (f *fake) Exit() actor.ExitStatus { f.mu.Lock(); defer f.mu.Unlock(); return f.exit }
func (f *fake) PID() int               { return 4711 }

func (f *fake) Incarnation() actor.Incarnation { return f.id }

func (f *fake) Kill() {
	f.st.note("!!" + f.path)
	f.end(actor.ExitStatus{Reason: actor.ReasonSignal, Signal: syscall.SIGKILL})
}

func (f *fake) Stop(timeout time.Duration) {
	f.st.note("-" + f.path)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = true
	if timeout >= 0 {
		if at := time.Now().Add(timeout); f.killAt == nil || at.Before(*f.killAt) {
			f.killAt = &at
		}
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// crash has the present incarnation of the path end by itself.
func (st *stage) crash(t *testing.T, path string) {
	t.Helper()
	st.ends(t, path, actor.ExitStatus{Reason: actor.ReasonPanic, Err: errBoom})
}

func (st *stage) ends(t *testing.T, path string, x actor.ExitStatus) {
	t.Helper()
	f := st.instance(path)
	if f == nil {
		t.Fatalf("%s does not run", path)
	}
	f.end(x)
}

// start starts a tree of fakes.
func (st *stage) start(ctx context.Context, spec Spec) (*Tree, error) {
	p, err := makePlan("/", spec, Child{}, 0)
	if err != nil {
		return nil, err
	}
	t := newTree("/", p, nil, st)
	return t, t.await(ctx)
}

func (st *stage) check(t *testing.T) {
	t.Helper()
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.twice) > 0 {
		t.Errorf("two incarnations at once: %v", st.twice)
	}
	if len(st.late) > 0 {
		t.Errorf("launched after the release: %v", st.late)
	}
}

// gone fails the test if anything is left of the tree.
func (st *stage) gone(t *testing.T) {
	t.Helper()
	st.check(t)
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.alive) > 0 {
		t.Errorf("alive after the end: %v", st.alive)
	}
	for c := range st.held {
		t.Errorf("the arguments of %s are held after the end", c.path)
	}
	for path, s := range st.states {
		if s != runtime.PathGone && path != "/" {
			t.Errorf("senders to %s were told %v at the end", path, s)
		}
	}
}
