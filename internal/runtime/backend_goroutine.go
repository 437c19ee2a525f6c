package runtime

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/mailbox"
	"github.com/understudy-go/understudy/transport"
)

// hosted is an incarnation whose host is in this process: what a goroutine and
// the actor of an actor's own process have in common.
type hosted struct {
	i *Instance
	h *host
}

func (b hosted) accuse(error)                           {} // it is this very code
func (b hosted) remote() bool                           { return false }
func (b hosted) childConn() *conn.Conn                  { return nil }
func (b hosted) tail() (stdout, stderr []string)        { return nil, nil }
func (b hosted) selfEnded() bool                        { return b.h.stopping() }
func (b hosted) connect(s *sender) (*connection, error) { return pipeToHost(b.h, s, b.i) }
func (b hosted) connectFor(from string) (*os.File, error) {
	return pairForHost(b.h, from)
}

// goroutineBackend is an incarnation in a goroutine of this process.
type goroutineBackend struct {
	hosted
	role EncodedRole

	once   sync.Once
	gone   chan struct{} // abandoned
	forced force         // before gone is closed
}

func newGoroutineBackend(i *Instance, bp EncodedRole) *goroutineBackend {
	b := &goroutineBackend{hosted: hosted{i: i}, role: bp, gone: make(chan struct{})}
	b.h = newHost(i.sys, i.kind, i.path, i.incarnation, i.settings.Mailbox.Messages, i.settings.Mailbox.Bytes, true)
	b.h.grace, b.h.series = stopTimeout(i.settings), i.settings.Series
	return b
}

func (b *goroutineBackend) pid() int { return 0 }

func (b *goroutineBackend) askStop(timeout time.Duration) { b.h.askStop(timeout, b.i.settings.Drain) }

var errKilled = errors.New("actor: killed")

// kill abandons what does not end: a goroutine cannot be killed.
func (b *goroutineBackend) kill(why force) {
	b.once.Do(func() {
		b.forced = why
		switch why {
		case byKill, byDeadline:
			b.h.inbox.Close()
			b.h.closeConnections() // before its contexts end: what it still does reaches no caller
			b.h.limit(0)
			if why == byDeadline {
				b.h.finish(actor.ExitStatus{Reason: actor.ReasonDeadline})
			} else {
				b.h.finish(actor.ExitStatus{Reason: actor.ReasonSignal, Signal: syscall.SIGKILL})
			}
			b.h.cancel(errKilled)
		case byStartTimeout:
			b.h.finish(actor.ExitStatus{Reason: actor.ReasonStartTimeout})
			b.h.cancel(actor.ErrStopping)
		}
		close(b.gone)
	})
}

func (b *goroutineBackend) run() {
	i, h := b.i, b.h
	// The arguments are decoded as for a process: an actor never shares memory
	// with the code that starts it.
	args := b.role.args
	go h.run(newSource(args.bytes, args.segments, i.sys), func(err error) {
		args.release()
		switch p := (*actor.PanicError)(nil); {
		case errors.As(err, &p): // finished says so, as of a process
		case err != nil:
			i.failed(fmt.Errorf("start %s: %w", i.path, carried(err, i.path)))
		default:
			i.succeeded()
		}
	})
	// An actor that ends by itself gives its handlers the usual time.
	go func() {
		select {
		case <-h.ending:
			if !i.stopAsked() && i.isReady() {
				i.bound(stopTimeout(i.settings), byLingerLimit)
			}
		case <-h.ended:
		}
	}()
	f := facts{startTimeout: startTimeout(i.settings)}
	select {
	case <-h.ended:
	case <-b.gone:
		f.forced = b.forced
		f.abandoned = !isDone(h.ended)
	}
	h.inbox.Close()
	h.closeConnections()
	if f.abandoned {
		e := i.event(actor.EventAbandoned)
		e.Detail = "a goroutine of the actor did not return in time"
		i.sys.Emit(e)
	}
	said := h.report()
	said.Err = carried(said.Err, i.path)
	f.said, f.asked, f.late = &said, i.stopAsked(), i.lateness()
	i.finished(exitStatus(f))
}

// selfBackend is the actor whose process this is.
type selfBackend struct {
	hosted
	c *child
}

func (b selfBackend) pid() int { return os.Getpid() }

func (b selfBackend) run() {} // the child does

func (b selfBackend) askStop(timeout time.Duration) { b.h.askStop(timeout, false) }

// kill ends the process: in order if the actor has ended by itself.
func (b selfBackend) kill(why force) {
	if why == byLingerLimit {
		b.c.leave(b.h)
	}
	os.Exit(1)
}

// pairForHost makes a connection to a host of this process for a sender elsewhere.
func pairForHost(h *host, from string) (*os.File, error) {
	theirs, ours, err := process.SparePair()
	if err != nil {
		return nil, fmt.Errorf("connection to %s: %w", h.path, err)
	}
	socket, err := transport.NewSocket(ours, newScanner(h.sys.opts.Inline).Frame, transport.SocketOptions{Files: conn.FileCount})
	if err == nil {
		err = h.accept(socket, from, nil)
	}
	if err != nil {
		theirs.Close()
		return nil, err
	}
	return theirs, nil
}

// pipeToHost makes a connection to a host of this process for one of its own senders.
func pipeToHost(h *host, s *sender, i *Instance) (*connection, error) {
	near, far := transport.Pipe()
	progress := mailbox.NewProgress()
	c := newConnection()
	c.inc, c.pid, c.progress, c.same, c.inst, c.capacity, c.capBytes = h.incarnation, i.PID(), progress, true, i, h.capacity, h.capBytes
	opts := h.sys.connOptions()
	opts.Local = true
	c.conn = conn.New(near, &connectionHandler{sender: s, connection: c}, opts)
	if err := h.accept(far, h.sys.fromPath(), progress); err != nil {
		near.Close()
		return nil, err
	}
	c.conn.Start()
	return c, nil
}
