package runtime

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/process"
)

// Instance is one incarnation of an actor, seen by the process that launched
// it. Supervisors are built on it: they decide, instances act.
type Instance struct {
	sys         *System
	path        string
	kind        *port.Kind
	settings    Settings
	incarnation actor.Incarnation
	number      int
	self        bool // not launched here: the actor whose process this is

	ready   chan struct{}
	done    chan struct{}
	backend backend // set before anything else happens

	mu       sync.Mutex
	startErr error
	started  bool // the outcome of the start is known
	exit     actor.ExitStatus
	late     error  // see KillLate
	why      string // see Because
	ended    bool
	asked    bool
	limits   limits
	inHand   []string // methods that its end cut off, as far as the senders here know
}

// Launch begins to start an incarnation of the role under path, and
// returns at once. Senders wait until it is ready.
func (s *System) Launch(path string, bp EncodedRole) *Instance {
	i := &Instance{sys: s, path: path, kind: bp.kind, settings: bp.settings, ready: make(chan struct{}), done: make(chan struct{})}
	i.incarnation, _ = uuid.NewV7() // fails only without randomness, and then with what there is
	s.mu.Lock()
	e := s.entryOf(path)
	e.lives++
	i.number = e.lives
	closed := s.closed
	s.mu.Unlock()
	if closed {
		i.backend = newBackend(i, bp)
		i.failed(fmt.Errorf("launch %s: system closed: %w", path, actor.ErrStopped))
		i.finished(actor.ExitStatus{Reason: actor.ReasonShutdown})
		return i
	}
	bp.args = bp.args.share() // released by the backend
	i.backend = newBackend(i, bp)
	s.setInstance(path, i, PathStarting)
	s.Emit(i.event(actor.EventStarting))
	i.bound(startTimeout(i.settings), byStartTimeout)
	go i.backend.run()
	return i
}

func (i *Instance) event(t actor.EventType) actor.Event {
	return actor.Event{Type: t, Path: i.path, Kind: i.kind.Name, PID: i.PID(), Incarnation: i.incarnation, Series: i.settings.Series}
}

// Ready is closed when the outcome of the start is known.
func (i *Instance) Ready() <-chan struct{} { return i.ready }

// StartErr returns the outcome after Ready: nil if the actor is ready, an
// error that wraps [ErrIgnore], or the cause.
func (i *Instance) StartErr() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.startErr
}

// Done is closed when the incarnation is gone: its process is reaped, or its
// goroutines have ended or were abandoned.
func (i *Instance) Done() <-chan struct{} { return i.done }

// Exit returns the report after Done.
func (i *Instance) Exit() actor.ExitStatus {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.exit
}

// PID returns the process id; 0 in-process or before there is a process.
func (i *Instance) PID() int {
	return i.backend.pid()
}

// Incarnation returns the id of this life.
func (i *Instance) Incarnation() actor.Incarnation { return i.incarnation }

// Number counts the lives under this path, from 1: for people.
func (i *Instance) Number() int { return i.number }

// Path returns the path.
func (i *Instance) Path() string { return i.path }

func (i *Instance) down() actor.Down {
	return actor.Down{Path: i.path, PID: i.PID(), Incarnation: i.incarnation, ExitStatus: i.Exit()}
}

// Stop asks the incarnation to end and returns at once; Done follows. After
// timeout it is ended by force: at once for 0, never for a negative one. It may be
// called again, also while it starts; the earliest end counts.
func (i *Instance) Stop(timeout time.Duration) {
	i.mu.Lock()
	if i.ended {
		i.mu.Unlock()
		return
	}
	news := !i.asked || timeout == 0
	i.asked = true
	if timeout > 0 {
		news = i.limits.set(time.Now().Add(timeout), byStopTimeout, i.expired) || news
	}
	i.mu.Unlock()
	if news {
		i.backend.askStop(timeout)
	}
	if timeout == 0 {
		i.backend.kill(byStopTimeout)
	}
}

// Kill ends the incarnation by force and returns at once; Done follows. It is
// reported as a process's end by SIGKILL, which a supervisor takes for a crash,
// unless the incarnation was asked to stop before. A goroutine cannot be killed:
// its contexts end, and if it does not return it is abandoned.
func (i *Instance) Kill() { i.backend.kill(byKill) }

// KillLate is Kill because of a handler that went on for too long: the reason is
// [actor.ReasonDeadline], and err says more.
func (i *Instance) KillLate(err error) {
	i.mu.Lock()
	i.late = err
	i.mu.Unlock()
	i.backend.kill(byDeadline)
}

// Because has the event of its end say why it was asked to end.
func (i *Instance) Because(why string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.why = why
}

// lateness is what KillLate was told.
func (i *Instance) lateness() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.late
}

// bound has the incarnation ended by force, for this reason, if it still is
// there after d. A negative d is no bound.
func (i *Instance) bound(d time.Duration, why force) {
	if d < 0 {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.ended {
		i.limits.set(time.Now().Add(d), why, i.expired)
	}
}

// unbound takes back what bound said.
func (i *Instance) unbound(why force) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.limits.clear(why)
}

// expired is called when the nearest limit has passed.
func (i *Instance) expired() {
	i.mu.Lock()
	why := i.limits.pass(time.Now())
	i.mu.Unlock()
	if why == byStartTimeout {
		stdout, stderr := i.backend.tail()
		x := exitStatus(facts{forced: byStartTimeout, startTimeout: startTimeout(i.settings), status: process.Status{Stdout: stdout, Stderr: stderr}})
		i.failed(fmt.Errorf("start %s: %w", i.path, exitErrorOf(i.path, i.PID(), i.incarnation, x, actor.BegunNo)))
	}
	if why != byItself {
		i.backend.kill(why)
	}
}

// limits are when an incarnation is ended by force, by reason. One timer runs, to
// the nearest.
type limits struct {
	at    [byStartTimeout + 1]time.Time // zero: never
	timer *time.Timer
}

// set brings a limit forward; it is false if there is one that is no later.
func (l *limits) set(at time.Time, why force, expired func()) bool {
	if old := l.at[why]; !old.IsZero() && !at.Before(old) {
		return false
	}
	l.at[why] = at
	if l.timer == nil {
		l.timer = time.AfterFunc(time.Until(at), expired)
	} else {
		l.rearm()
	}
	return true
}

func (l *limits) clear(why force) {
	l.at[why] = time.Time{}
	l.rearm()
}

func (l *limits) rearm() {
	if _, at := l.nearest(); at.IsZero() {
		l.stop()
	} else {
		l.timer.Reset(time.Until(at))
	}
}

func (l *limits) stop() {
	if l.timer != nil {
		l.timer.Stop()
	}
}

func (l *limits) nearest() (why force, at time.Time) {
	for w, t := range l.at {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			why, at = force(w), t
		}
	}
	return why, at
}

// pass takes away the nearest limit and returns its reason, if it has passed.
func (l *limits) pass(now time.Time) force {
	why, at := l.nearest()
	if at.IsZero() || at.After(now) {
		why = byItself
	} else {
		l.at[why] = time.Time{}
	}
	l.rearm()
	return why
}

func (i *Instance) stopAsked() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

func (i *Instance) selfEnded() bool { return i.backend.selfEnded() }

// succeeded says that the actor is ready.
func (i *Instance) succeeded() {
	i.mu.Lock()
	if i.started {
		i.mu.Unlock()
		return
	}
	i.started = true
	i.limits.clear(byStartTimeout)
	i.mu.Unlock()
	i.sys.setInstance(i.path, i, PathRunning)
	i.sys.Emit(i.event(actor.EventReady))
	close(i.ready)
}

// failed says that the start failed; the first word counts.
func (i *Instance) failed(err error) {
	i.mu.Lock()
	if i.started {
		i.mu.Unlock()
		return
	}
	i.started, i.startErr = true, err
	i.limits.clear(byStartTimeout)
	i.mu.Unlock()
	close(i.ready)
}

// hadInHand notes methods that its end cut off.
func (i *Instance) hadInHand(methods []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.inHand = append(i.inHand, methods...)
}

func (i *Instance) isReady() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.started && i.startErr == nil
}

// finished ends the incarnation's record.
func (i *Instance) finished(x actor.ExitStatus) {
	i.mu.Lock()
	if i.ended {
		i.mu.Unlock()
		return
	}
	d := actor.Down{Path: i.path, PID: i.PID(), Incarnation: i.incarnation, ExitStatus: x} // what senders go by
	if i.settings.Supervisor {
		x = endOfSupervisor(x)
	}
	i.ended, i.exit = true, x
	why := i.why
	i.limits.stop()
	inHand := strings.Join(i.inHand, ", ")
	startFailed := !i.started || i.startErr != nil
	if i.asked && ClassOf(x.Reason) == Shutdown {
		startFailed = false // we cut the start: an end like any other
	}
	i.mu.Unlock()
	i.failed(fmt.Errorf("start %s: %w", i.path, exitErrorOf(i.path, i.PID(), i.incarnation, x, actor.BegunNo)))
	e := i.event(actor.EventExited)
	e.Method = inHand
	if startFailed {
		e = i.event(actor.EventStartFailed)
		e.Err = i.StartErr()
		if errors.Is(e.Err, actor.ErrIgnore) {
			e.Type = actor.EventIgnored
		}
	}
	e.Exit, e.Detail = &x, why
	i.sys.recordExit(i.path, i, d)
	i.sys.Emit(e)
	close(i.done)
}

// remote reports whether the instance is another process of ours that can
// answer for what lies below it.
func (i *Instance) remote() bool { return i.backend.remote() }

func (i *Instance) childConn() *conn.Conn { return i.backend.childConn() }

// title is what people see in a process list.
func (i *Instance) title() string {
	return fmt.Sprintf("%s: %s #%d", i.sys.program, i.path, i.number)
}
