package actor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/mailbox"
)

// envActor tells a re-exec'ed child that it is an actor: its value is the
// system's id.
const envActor = "UNDERSTUDY_ACTOR"

// processBody is an incarnation in a process of its own.
type processBody struct {
	i      *Instance
	caller atomic.Pointer[client] // client, for the one who takes a reply

	mu       sync.Mutex
	proc     *process.Process
	conn     *conn.Conn
	server   *controlServer
	requests *requestQueue
	link     *link   // the connection as a link: the first client here uses it
	client   *client // who uses it
	plain    bool
	marks    *mailbox.Progress
	word     *ExitStatus // "$/ended"
	fault    error       // it broke the protocol
	killed   bool        // by us, after a request to stop
	late     bool        // by us, because the start took too long
	mute     bool        // by us, because it gave no sign of life
	helped   bool        // by us, because it lived on after its connection or its start had ended
	asked    bool
	timeout  time.Duration
	over     bool          // the connection has ended: no client can have it any more
	drained  chan struct{} // the connection has delivered its last message
}

func newProcessBody(i *Instance) *processBody {
	return &processBody{i: i, drained: make(chan struct{})}
}

func (b *processBody) pid() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.proc == nil {
		return 0
	}
	return b.proc.PID()
}

func (b *processBody) control() *conn.Conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.plain {
		return nil
	}
	return b.conn
}

// run is the whole life of the process, seen from its parent.
func (b *processBody) run(bp Blueprint) {
	i := b.i
	if err := b.spawn(bp); err != nil {
		err = fmt.Errorf("start %s: %w", i.path, err)
		i.failed(err)
		i.finished(ExitStatus{Reason: ReasonStartFailed, Err: err})
		return
	}
	if b.stopBegan() {
		b.proc.Kill()
	} else {
		b.start(bp)
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
		e := i.event(EventOutputDropped)
		e.Detail = fmt.Sprintf("%d lines", n)
		i.sys.Emit(e)
	}
	i.finished(b.report())
}

// drainTimeout is how long after a process's death its connection may stay
// open in somebody else's hands.
const drainTimeout = 100 * time.Millisecond

func (b *processBody) stopBegan() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}

func (b *processBody) connect(c *client) (*link, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.link == nil || b.over {
		return nil, errRetry
	}
	if b.client != nil && b.client != c {
		return nil, fmt.Errorf("%s: a second client of another kind: %w", b.i.path, ErrKindMismatch)
	}
	b.client = c
	b.caller.Store(c)
	return b.link, nil
}

// offer has the process serve a fresh link, and returns the sender's end.
func (b *processBody) offer(from string) (*os.File, error) {
	b.mu.Lock()
	conn, plain := b.conn, b.plain
	b.mu.Unlock()
	if plain {
		return nil, fmt.Errorf("%s speaks plain MessagePack-RPC and has one connection: only the process that supervises it can call it: %w", b.i.path, errors.ErrUnsupported)
	}
	sender, receiver, err := process.SocketPair()
	if err != nil {
		return nil, fmt.Errorf("link to %s: %w", b.i.path, err)
	}
	defer receiver.Close()
	token, err := conn.SendFile(receiver)
	if err == nil {
		err = conn.Notify(ctlLink, codec.ControlParams(linkOrder{Token: token, From: from}))
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

func (b *processBody) askStop(timeout time.Duration) {
	b.mu.Lock()
	b.asked, b.timeout = true, timeout
	conn, plain, proc := b.conn, b.plain, b.proc
	b.mu.Unlock()
	if conn == nil {
		return // run looks before it starts
	}
	if plain {
		conn.Close() // EOF is what a foreign program understands
		_ = proc.Signal(sigTerm)
		return
	}
	_ = conn.Notify(ctlStop, codec.ControlParams(stopOrder{Timeout: int64(timeout), Drain: b.i.settings.Drain}))
}

func (b *processBody) kill(asked bool) {
	b.mu.Lock()
	b.killed = b.killed || asked
	proc := b.proc
	b.mu.Unlock()
	if proc != nil {
		_ = proc.Kill()
	}
}

// output passes a line that the process printed to the log, under its name.
func (b *processBody) output(stream process.Stream, line []byte, cut bool) {
	s, ctx := b.i.sys, context.Background()
	if !s.logs(ctx, slog.LevelInfo) {
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelInfo, string(line), 0)
	r.AddAttrs(slog.String("stream", stream.String()))
	if cut {
		r.AddAttrs(slog.Bool("cut", true))
	}
	_ = s.deliver(ctx, b.i.path, b.pid(), r)
}
