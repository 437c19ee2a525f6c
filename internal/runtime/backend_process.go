package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/mailbox"
)

// processBackend is an incarnation in a process of its own, which executes this
// program again.
type processBackend struct {
	i       *Instance
	role    EncodedRole
	program program
	caller  atomic.Pointer[sender] // sender, for the goroutine that takes a reply

	crashLines crashLines

	mu         sync.Mutex
	proc       *process.Process
	conn       *conn.Conn
	server     *controlServer
	requests   *requestQueue
	connection *connection // the connection as a connection: the first sender here uses it
	sender     *sender     // who uses it
	progress   *mailbox.Progress
	facts      facts         // as far as they are known
	over       bool          // the connection has ended: no sender can have it any more
	refusals   refusals      // of direct connections
	drained    chan struct{} // the connection has delivered its last message

	starting context.Context // ends with the start, or with the time for it
	stop     context.CancelFunc
}

// program is what a process executes: this program again, or another.
type program interface {
	// command says how.
	command() (process.Command, error)
	// greet shakes hands. begin starts the actor, and may be called once; the
	// connection is a connection as soon as it stands.
	greet(ctx context.Context, begin func()) (started bool, err error)
	// encodeError encodes an answer to a request of the process.
	encodeError(err error) []byte
	// deaf reports whether it does nothing on TERM, INT and HUP.
	deaf() bool
	// written is called when the connection has written all that it was given.
	written()
}

func newProcessBackend(i *Instance, bp EncodedRole) *processBackend {
	b := &processBackend{i: i, role: bp, drained: make(chan struct{})}
	b.starting, b.stop = context.WithCancel(i.sys.ctx)
	b.facts.startTimeout = startTimeout(i.settings)
	b.program = b
	b.crashLines.deliver = b.logPrinted
	return b
}

func (b *processBackend) pid() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.proc == nil {
		return 0
	}
	return b.proc.PID()
}

func (b *processBackend) remote() bool { return true }

func (b *processBackend) childConn() *conn.Conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.conn
}

func (b *processBackend) tail() (stdout, stderr []string) {
	b.mu.Lock()
	proc := b.proc
	b.mu.Unlock()
	if proc == nil {
		return nil, nil
	}
	return proc.Tail(process.Stdout), proc.Tail(process.Stderr)
}

// run is the whole life of the process, seen from its parent.
func (b *processBackend) run() {
	i := b.i
	defer b.stop()
	defer b.role.args.release()
	if err := b.spawn(); err != nil {
		err = fmt.Errorf("start %s: %w", i.path, err)
		i.failed(err)
		b.mu.Lock()
		b.facts.unmade = err
		f := b.facts
		b.mu.Unlock()
		i.finished(exitStatus(f))
		return
	}
	if b.unwanted() {
		_ = b.proc.Kill()
	} else {
		b.start()
	}
	<-b.proc.Done()
	b.conn.Resume() // its last words are in the connection
	// Death is the pidfd's word. What it had sent is in the socket and comes
	// first; a descendant that holds the other end does not keep us.
	select {
	case <-b.drained:
	case <-time.After(drainTimeout):
		b.conn.Close()
		<-b.drained
	}
	if n := b.proc.OutputDropped(); n > 0 {
		e := i.event(actor.EventOutputDropped)
		e.Detail = fmt.Sprintf("%d lines", n)
		i.sys.Emit(e)
	}
	status := b.proc.Status()
	status.Stdout, status.Stderr = b.tail() // with what came by the connection
	b.crashLines.end(status.Crash)
	stops := !b.stopBegan() && !b.program.deaf() && toldToEnd(status) && i.sys.stopsWithin(signalGrace)
	b.mu.Lock()
	f := b.facts
	b.mu.Unlock()
	f.status, f.asked, f.early, f.late = status, f.asked || stops, !i.isReady(), i.lateness()
	i.finished(exitStatus(f))
}

// drainTimeout is how long after a process's death its connection may stay
// open in the hands of a descendant.
const drainTimeout = 100 * time.Millisecond

func (b *processBackend) stopBegan() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.facts.asked
}

// unwanted reports whether it was to end before there was a process.
func (b *processBackend) unwanted() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.facts.asked || b.facts.forced != byItself
}

func (b *processBackend) connect(s *sender) (*connection, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.connection == nil || b.over {
		return nil, errRetry
	}
	if b.sender != nil && b.sender != s {
		return nil, fmt.Errorf("%s: a second sender of another kind: %w", b.i.path, actor.ErrKindMismatch)
	}
	b.sender = s
	b.caller.Store(s)
	return b.connection, nil
}

// connectFor has the process serve a fresh connection, and returns the sender's end.
func (b *processBackend) connectFor(from string) (*os.File, error) {
	b.mu.Lock()
	conn := b.conn
	b.mu.Unlock()
	switch {
	case b.refusals.take(from):
		return nil, fmt.Errorf("connection to %s: it is out of descriptors: %w", b.i.path, actor.ErrLost)
	case conn.Buffered() > maxUnreadDescriptors:
		return nil, fmt.Errorf("connection to %s: %w", b.i.path, errBusy)
	}
	sender, receiver, err := process.SparePair()
	if err != nil {
		return nil, fmt.Errorf("connection to %s: %w", b.i.path, err)
	}
	defer receiver.Close()
	token, err := conn.SendFile(receiver)
	if err == nil {
		err = conn.Notify(ctlConnect, codec.ControlParams(connectOrder{Token: token, From: from}))
	}
	if err != nil {
		sender.Close()
		if isClosed(err) {
			err = errRetry
		}
		return nil, err
	}
	return sender, nil
}

// asks notes that the process is asked to stop, and returns the connection, if
// there is one: run looks before it starts.
func (b *processBackend) asks() *conn.Conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.facts.asked = true
	return b.conn
}

func (b *processBackend) askStop(timeout time.Duration) {
	if conn := b.asks(); conn != nil {
		_ = conn.Notify(ctlStop, codec.ControlParams(stopOrder{Timeout: int64(timeout), Drain: b.i.settings.Drain}))
	}
}

func (b *processBackend) kill(why force) {
	b.mu.Lock()
	b.facts.forced = max(b.facts.forced, why)
	proc := b.proc
	b.mu.Unlock()
	switch {
	case proc == nil:
		b.stop()
	case why == byLingerLimit && !b.program.deaf(): // it may have something to say yet
		ctx, cancel := context.WithTimeout(context.Background(), lingerTimeout)
		defer cancel()
		_ = proc.Terminate(ctx)
	default:
		_ = proc.Kill()
	}
}

// accuse says what the process did against the protocol; the end of the
// connection follows, and ends the process.
func (b *processBackend) accuse(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.facts.fault == nil {
		b.facts.fault = err
	}
}

// say records what the actor itself said of its end: the first counts.
func (b *processBackend) say(x actor.ExitStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.facts.said == nil {
		b.facts.said = &x
	}
}

// raced reports a race that the detector found in the process.
func (b *processBackend) raced(report string) {
	e := b.i.event(actor.EventDataRace)
	e.Detail = report
	b.i.sys.Emit(e)
}

func (b *processBackend) selfEnded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.facts.said != nil
}

// output passes a line that the process printed to the log, under its name.
func (b *processBackend) output(stream process.Stream, line []byte, cut bool) {
	if s := b.i.sys; len(line) == 0 || s.parent != nil && !s.logs(context.Background(), slog.LevelInfo) {
		return
	}
	b.crashLines.line(printed{time.Now(), stream, string(line), cut})
}

// logPrinted makes a record of a line that the process printed.
func (b *processBackend) logPrinted(l printed) {
	r := slog.NewRecord(l.at, slog.LevelInfo, l.text, 0)
	r.AddAttrs(slog.String("stream", l.stream.String()))
	if l.cut {
		r.AddAttrs(slog.Bool("cut", true))
	}
	b.i.sys.deliver(context.Background(), b.i.path, b.pid(), r)
}
