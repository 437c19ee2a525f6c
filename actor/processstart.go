package actor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/shm"
)

// start shakes hands and awaits the start's outcome or the process's end.
func (b *processBody) start(bp Blueprint) {
	i := b.i
	ctx, cancel := context.WithTimeout(i.sys.ctx, startTimeout(i.settings))
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
	err := b.handshake(ctx, bp)
	if err == nil {
		err = b.proc.Ready()
	}
	if err == nil {
		i.succeeded()
		if i.settings.Watchdog > 0 && !b.plain {
			go b.watch(i.settings.Watchdog)
		}
		return
	}
	switch {
	case isRemote(err): // the constructor's own word
		err = own(err, i.path)
		b.say(ExitStatus{Reason: ReasonStartFailed, Err: err, DoNotRestart: errors.Is(err, ErrDoNotRestart)})
		b.reap(time.Second) // it ends by itself once it has said so; a foreign one may not
		i.failed(fmt.Errorf("start %s: %w%s", i.path, err, quote(b.proc.Tail(process.Stdout), b.proc.Tail(process.Stderr))))
	case isDone(gone):
		// It died first: finished says why.
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		b.mu.Lock()
		b.late = true
		b.mu.Unlock()
		i.failed(i.startTimedOut(startTimeout(i.settings), b.proc.Tail(process.Stdout), b.proc.Tail(process.Stderr)))
		_ = b.proc.Kill()
	case ctx.Err() != nil: // the system was closed
		_ = b.proc.Kill()
	case isDone(b.drained) || isEOF(err) || isClosed(err):
		b.reap(time.Second) // it closed its end before it was ready: how it ends says why
	default:
		b.say(ExitStatus{Reason: ReasonStartFailed, Err: err})
		b.conn.Close() // there is nothing to talk about any more
		b.reap(time.Second)
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

// watch kills the process if it gives no sign of life.
func (b *processBody) watch(interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-b.drained:
			return
		}
		ctx, cancel := context.WithTimeout(b.i.sys.ctx, interval)
		r, err := request(ctx, b.conn, ctlPing, codec.Params())
		r.Drop()
		late := ctx.Err() == context.DeadlineExceeded
		cancel()
		if err != nil && late {
			b.mu.Lock()
			b.mute = true
			b.mu.Unlock()
			_ = b.proc.Kill()
			return
		}
		if err != nil && !isRemote(err) {
			return // it ended
		}
	}
}

func isRemote(err error) bool {
	var r *RemoteError
	return errors.As(err, &r) // a peer that does not know the request is alive too
}

// reap gives the process time to end by itself, with its own reason, then
// helps.
func (b *processBody) reap(grace time.Duration) {
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-b.proc.Done():
		return
	case <-t.C:
	}
	b.mu.Lock()
	b.helped = true
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	_ = b.proc.Terminate(ctx) // its death, and by what, is in the report
}

// say records a reason unless there is one.
func (b *processBody) say(x ExitStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.word == nil {
		b.word = &x
	}
}

func (b *processBody) handshake(ctx context.Context, bp Blueprint) error {
	s := b.i.sys
	buf := &codec.Buffer{Limits: wire.Limits{Bytes: s.opts.MaxMessage}}
	defer buf.Reset()
	if err := bp.encode(buf); err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	for _, seg := range buf.Segments {
		if err := b.conn.Announce(seg); err != nil {
			return fmt.Errorf("arguments: %w", err)
		}
	}
	order := startOrder{Kind: bp.kind.name, Path: b.i.path, Incarnation: b.i.incarnation.String(), Number: b.i.number,
		Args: buf.B, Segments: conn.SegmentIDs(nil, buf.Segments), Capacity: b.i.settings.Capacity, Bytes: b.i.settings.CapacityBytes,
		MaxMessage: s.opts.MaxMessage, Inline: s.opts.Inline, LogLevel: int(logLevel(s.Logger())),
		Program: s.program, From: s.fromPath(), Strict: shm.Strict(),
		Lane: int(s.opts.Lane), Spin: int64(s.opts.Spin), Memory: b.i.settings.Limits.Memory, StopTimeout: int64(stopTimeout(b.i.settings))}
	started := make(chan error, 1)
	begin := func() {
		go func() {
			r, err := request(ctx, b.conn, ctlStart, order.fields().Params())
			r.Drop()
			started <- err
		}()
	}
	ours := bp.kind.external == nil
	if ours {
		begin() // the same program: no need to wait for its hello
	}
	l := &link{peer: b.conn}
	if err := s.sayHello(ctx, l); err != nil {
		var refused *RemoteError
		if !errors.As(err, &refused) || ours {
			return fmt.Errorf("hello: %w", err)
		}
		b.mu.Lock()
		b.plain = true
		b.mu.Unlock()
		b.stand(&link{plain: true})
		return nil
	}
	l.same = l.same && ours
	b.stand(l)
	if !ours {
		begin()
	}
	return <-started
}

// stand makes the connection usable as a link.
func (b *processBody) stand(l *link) {
	l.capacity, l.capBytes = b.i.settings.Capacity, b.i.settings.CapacityBytes
	l.peer, l.inc, l.pid, l.inst, l.kept = b.conn, b.i.incarnation, b.proc.PID(), b.i, true
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over { // it ended after its hello: nobody else gives the page back
		if l.marks != nil {
			l.marks.Close()
		}
		return
	}
	b.link, b.marks = l, l.marks
}

// logLevel is the lowest level that l takes, among those that anybody uses.
func logLevel(l *slog.Logger) slog.Level {
	const most = 100
	for level := slog.Level(-most); level < most; level++ {
		if l.Enabled(context.Background(), level) {
			return level
		}
	}
	return most
}
