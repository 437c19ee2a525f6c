package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/shm"
)

// start shakes hands and awaits the start's outcome or the process's end.
func (b *processBackend) start() {
	i := b.i
	ctx, cancel := context.WithCancel(b.starting)
	defer cancel()
	gone := make(chan struct{})
	go func() { // the process's end, once it has said all, ends the handshake
		select {
		case <-b.proc.Done():
			select {
			case <-b.drained:
			case <-time.After(drainTimeout):
			}
			close(gone)
			cancel()
		case <-ctx.Done():
		}
	}()
	err := b.handshake(ctx)
	if err == nil {
		err = b.proc.Ready()
	}
	if err == nil {
		i.succeeded()
		return
	}
	i.unbound(byStartTimeout) // unless it passed, which says more
	switch {
	case isRemote(err): // the constructor's own word
		err = withPath(err, i.path)
		b.say(actor.ExitStatus{Reason: actor.ReasonStartFailed, Err: err, DoNotRestart: errors.Is(err, actor.ErrDoNotRestart)})
		i.bound(time.Second, byLingerLimit) // it ends by itself once it has said so; a foreign one may not
		<-b.proc.Done()
		stdout, stderr := b.tail()
		i.failed(fmt.Errorf("start %s: %w%s", i.path, err, port.Quote(stdout, stderr)))
	case isDone(gone):
		// It died first: finished says why.
	case ctx.Err() != nil: // the system was closed
		_ = b.proc.Kill()
	case isDone(b.drained) || isEOF(err) || isClosed(err):
		i.bound(time.Second, byLingerLimit) // it closed its end before it was ready: how it ends says why
	default:
		b.say(actor.ExitStatus{Reason: actor.ReasonStartFailed, Err: err})
		b.conn.Close() // there is nothing to talk about any more
		i.bound(time.Second, byLingerLimit)
	}
}

func isDone(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// minPingTime is the least time to answer a ping. A reader that is aside may take
// 40 ms to look; see conn/reader.go.
const minPingTime = 100 * time.Millisecond

// watch kills the process if it gives no sign of life.
func (b *processBackend) watch(interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-b.drained:
			return
		}
		ctx, cancel := context.WithTimeout(b.i.sys.ctx, max(interval, minPingTime))
		r, err := request(ctx, b.conn, ctlPing, codec.Params())
		r.Drop()
		late := ctx.Err() == context.DeadlineExceeded
		cancel()
		if err != nil && late {
			b.kill(byWatchdog)
			return
		}
		if err != nil && !isRemote(err) {
			return // it ended
		}
	}
}

func isRemote(err error) bool {
	var r *actor.RemoteError
	return errors.As(err, &r) // a peer that does not know the request is alive too
}

// handshake greets the process and has it start the actor.
func (b *processBackend) handshake(ctx context.Context) error {
	s, i := b.i.sys, b.i
	args := b.role.args
	for _, seg := range args.segments {
		if err := b.conn.Announce(seg); err != nil {
			return fmt.Errorf("arguments: %w", err)
		}
	}
	order := startOrder{Kind: i.kind.Name, Path: i.path, Incarnation: i.incarnation.String(), Number: i.number,
		Args: args.bytes, Segments: conn.SegmentIDs(nil, args.segments), Capacity: i.settings.Mailbox.Messages, Bytes: i.settings.Mailbox.Bytes,
		MaxMessage: s.opts.MaxMessage, Inline: s.opts.Inline, LogLevel: int(logLevel(s.Logger())),
		Program: s.program, From: s.fromPath(), Strict: shm.Strict(),
		Transport: int(s.opts.Transport), Spin: int64(s.opts.Spin), Memory: i.settings.Process.Memory, Series: i.settings.Series, StopTimeout: int64(stopTimeout(i.settings))}
	outcome := make(chan error, 1)
	started, err := b.program.greet(ctx, func() {
		go func() {
			r, err := request(ctx, b.conn, ctlStart, mapOf(&order).Params())
			r.Drop()
			outcome <- err
		}()
	})
	if err == nil && started {
		err = <-outcome
	}
	if err == nil && i.settings.Watchdog > 0 {
		b.mu.Lock()
		c := b.connection
		b.mu.Unlock()
		if c != nil && c.pings {
			go b.watch(i.settings.Watchdog)
		} else {
			s.say(slog.LevelWarn, "the watchdog is off: while it works, the peer may not answer pings, and would be taken for dead", slog.String("path", i.path))
		}
	}
	return err
}

// greet begins at once: to the same program there is no need to wait for its
// hello.
func (b *processBackend) greet(ctx context.Context, begin func()) (started bool, err error) {
	begin()
	c := newConnection()
	c.conn = b.conn
	if err := b.i.sys.sayHello(ctx, c); err != nil {
		return true, fmt.Errorf("hello: %w", err)
	}
	b.stand(c)
	return true, nil
}

func (b *processBackend) deaf() bool { return true }

func (b *processBackend) written() {} // the receiver's credits say when there is room

func (b *processBackend) encodeError(err error) []byte { return encodeRemote(err) }

// stand makes the connection usable as a connection.
func (b *processBackend) stand(c *connection) {
	c.capacity, c.capBytes = b.i.settings.Mailbox.Messages, b.i.settings.Mailbox.Bytes
	c.conn, c.inc, c.pid, c.inst, c.kept = b.conn, b.i.incarnation, b.proc.PID(), b.i, true
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over { // it ended after its hello: this is the last place that knows the page
		if c.progress != nil {
			c.progress.Close()
		}
		return
	}
	b.connection, b.progress = c, c.progress
}

// logLevel is the lowest level that l takes, among those in use.
func logLevel(l *slog.Logger) slog.Level {
	const most = 100
	for level := slog.Level(-most); level < most; level++ {
		if l.Enabled(context.Background(), level) {
			return level
		}
	}
	return most
}
