package actor

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/mailbox"
	"github.com/understudy-go/understudy/transport"
)

// Instance is one incarnation of an actor, seen by whoever launched it. It is
// what supervisors are built on: they decide, instances act.
type Instance struct {
	sys         *System
	path        string
	kind        *kindCore
	settings    Settings
	incarnation Incarnation
	number      int
	self        bool // not launched here: the actor whose process this is

	ready chan struct{}
	done  chan struct{}
	body  body // set before anything else happens

	mu       sync.Mutex
	startErr error
	started  bool // the outcome of the start is known
	exit     ExitStatus
	ended    bool
	timer    *time.Timer
	killAt   time.Time // zero: not asked; far future: forever
	asked    bool
}

// body is how an incarnation exists: as a process, or in this one.
type body interface {
	pid() int
	askStop(timeout time.Duration)
	kill(asked bool) // end it now, by force
	connect(c *client) (*link, error)
	offer(from string) (*os.File, error)
}

// Launch begins to start an incarnation of the blueprint under path, and
// returns at once. Senders wait until it is ready.
func (s *System) Launch(path string, bp Blueprint) *Instance {
	i := &Instance{sys: s, path: path, kind: bp.kind, settings: bp.settings, ready: make(chan struct{}), done: make(chan struct{})}
	i.incarnation, _ = uuid.NewV7() // fails only without randomness, and then with what there is
	s.mu.Lock()
	s.names["#"+path]++
	i.number = s.names["#"+path]
	closed := s.closed
	s.mu.Unlock()
	if bp.settings.InProcess {
		i.body = newLocalBody(i)
	} else {
		i.body = newProcessBody(i)
	}
	if closed {
		i.failed(fmt.Errorf("launch %s: system closed: %w", path, ErrStopped))
		i.finished(ExitStatus{Reason: ReasonShutdown})
		return i
	}
	s.setInstance(path, i, PathStarting)
	s.Emit(i.event(EventStarting))
	switch b := i.body.(type) {
	case *localBody:
		go b.run(bp)
	case *processBody:
		go b.run(bp)
	}
	return i
}

func (i *Instance) event(t EventType) Event {
	return Event{Type: t, Path: i.path, Kind: i.kind.name, PID: i.PID(), Incarnation: i.incarnation}
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
func (i *Instance) Exit() ExitStatus {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.exit
}

// PID returns the process id; 0 in-process or before there is a process.
func (i *Instance) PID() int {
	if i.self {
		return os.Getpid()
	}
	return i.body.pid()
}

// Incarnation returns the id of this life.
func (i *Instance) Incarnation() Incarnation { return i.incarnation }

// Number counts the lives under this path, from 1: for people.
func (i *Instance) Number() int { return i.number }

// Path returns the path.
func (i *Instance) Path() string { return i.path }

func (i *Instance) down() Down {
	return Down{Path: i.path, PID: i.PID(), Incarnation: i.incarnation, ExitStatus: i.Exit()}
}

// Stop asks the incarnation to end and returns at once; Done follows. After
// timeout it is ended by force: at once for 0, never for [Forever]. It may be
// called again, also while it starts; the earliest end counts.
func (i *Instance) Stop(timeout time.Duration) {
	const forever = 1 << 61
	at := time.Now().Add(time.Duration(forever))
	if timeout >= 0 {
		at = time.Now().Add(timeout)
	}
	i.mu.Lock()
	if i.ended || i.asked && !at.Before(i.killAt) {
		i.mu.Unlock()
		return
	}
	i.asked, i.killAt = true, at
	if i.timer != nil {
		i.timer.Stop()
		i.timer = nil
	}
	if timeout > 0 {
		i.timer = time.AfterFunc(timeout, func() { i.body.kill(true) })
	}
	i.mu.Unlock()
	i.body.askStop(timeout)
	if timeout == 0 {
		i.body.kill(true)
	}
}

func (i *Instance) stopAsked() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// succeeded says that the actor is ready.
func (i *Instance) succeeded() {
	i.mu.Lock()
	if i.started {
		i.mu.Unlock()
		return
	}
	i.started = true
	i.mu.Unlock()
	i.sys.setInstance(i.path, i, PathRunning)
	i.sys.Emit(i.event(EventReady))
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
	i.mu.Unlock()
	close(i.ready)
}

// startTimedOut is the error of a start that took too long.
func (i *Instance) startTimedOut(timeout time.Duration, stdout, stderr []string) error {
	x := ExitStatus{Reason: ReasonStartTimeout, Err: fmt.Errorf("not ready after %v", timeout), Stdout: stdout, Stderr: stderr}
	return fmt.Errorf("start %s: %w", i.path, exitErrorOf(i.path, i.PID(), i.incarnation, x, BegunNo))
}

func (i *Instance) isReady() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.started && i.startErr == nil
}

// finished ends the incarnation's record.
func (i *Instance) finished(x ExitStatus) {
	i.mu.Lock()
	if i.ended {
		i.mu.Unlock()
		return
	}
	i.ended, i.exit = true, x
	if i.timer != nil {
		i.timer.Stop()
	}
	wasReady := i.started && i.startErr == nil
	i.mu.Unlock()
	i.failed(fmt.Errorf("start %s: %w", i.path, exitErrorOf(i.path, i.PID(), i.incarnation, x, BegunNo)))
	e := i.event(EventExited)
	if !wasReady {
		e = i.event(EventStartFailed)
		e.Err = i.StartErr()
		if errors.Is(e.Err, ErrIgnore) {
			e.Type = EventIgnored
		}
	}
	e.Exit = &x
	i.sys.recordExit(i.path, i, i.down())
	i.sys.Emit(e)
	close(i.done)
}

// remote reports whether the instance is another process of ours that can
// answer for what lies below it.
func (i *Instance) remote() bool {
	_, ok := i.body.(*processBody)
	return ok
}

func (i *Instance) peer() *conn.Conn {
	b, ok := i.body.(*processBody)
	if !ok {
		return nil
	}
	return b.control()
}

func (i *Instance) connect(c *client) (*link, error) { return i.body.connect(c) }

func (i *Instance) offer(from string) (*os.File, error) { return i.body.offer(from) }

// title is what people see in a process list.
func (i *Instance) title() string {
	return fmt.Sprintf("%s: %s #%d", i.sys.program, i.path, i.number)
}

// pairForHost makes a link to a host of this process for somebody elsewhere.
func pairForHost(h *host, from string) (*os.File, error) {
	theirs, ours, err := process.SocketPair()
	if err != nil {
		return nil, err
	}
	lane, err := transport.NewSocket(ours, newScanner(h.sys.opts.Inline), transport.WithFileCount(conn.FileCount))
	if err == nil {
		err = h.accept(lane, from, nil)
	}
	if err != nil {
		theirs.Close()
		return nil, err
	}
	return theirs, nil
}

// pipeToHost makes a link to a host of this process for one of its own clients.
func pipeToHost(h *host, c *client, i *Instance) (*link, error) {
	near, far := transport.Pipe()
	marks := mailbox.NewProgress()
	l := &link{inc: h.incarnation, pid: i.PID(), marks: marks, same: true, inst: i, capacity: h.capacity, capBytes: h.capBytes}
	opts := h.sys.peerOptions()
	opts.Local = true
	l.peer = conn.New(near, &linkHandler{c: c, l: l}, opts)
	if err := h.accept(far, h.sys.fromPath(), marks); err != nil {
		near.Close()
		return nil, err
	}
	l.peer.Start()
	return l, nil
}
