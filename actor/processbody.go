package actor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/mailbox"
	"github.com/understudy-go/understudy/transport"
)

// envActor tells a re-exec'ed child that it is an actor: its value is the
// system's id.
const envActor = "UNDERSTUDY_ACTOR"

// processBody is an incarnation in a process of its own.
type processBody struct {
	i *Instance

	mu      sync.Mutex
	proc    *process.Process
	conn    *mailbox.Peer
	server  *controlServer
	link    *link   // the connection as a link: the first client here uses it
	client  *client // who uses it
	plain   bool
	marks   *mailbox.Marks
	word    *ExitStatus // "$/ended"
	fault   error       // it broke the protocol
	killed  bool        // by us, after a request to stop
	late    bool        // by us, because the start took too long
	asked   bool
	timeout time.Duration
	drained chan struct{} // the connection has delivered its last message
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

func (b *processBody) control() *mailbox.Peer {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.plain {
		return nil
	}
	return b.conn
}

func programName() string { return filepath.Base(os.Args[0]) }

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

// spawn makes the process and the connection.
func (b *processBody) spawn(bp Blueprint) error {
	i := b.i
	if err := process.Supported(); err != nil {
		return err
	}
	if bp.kind.external == nil && !mainCalled.Load() {
		return ErrNoMain
	}
	if i.sys.parent == nil {
		if err := i.sys.guard.start(i.sys.id); err != nil {
			return fmt.Errorf("guardian: %w", err)
		}
	}
	cmd, err := b.command(bp)
	if err != nil {
		return err
	}
	ours, theirs, err := process.SocketPair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	cmd.Files = []*os.File{theirs}
	ctx, cancel := context.WithTimeout(i.sys.ctx, startTimeout(i.settings))
	defer cancel()
	proc, err := process.Start(ctx, cmd)
	if err != nil {
		ours.Close()
		return err
	}
	lane, err := transport.NewSocket(ours, newScanner(i.sys.opts.Inline), transport.WithFileCount(mailbox.FileCount),
		transport.WithDrained(b.lessBuffered))
	if err != nil {
		_ = proc.Kill()
		<-proc.Done()
		return err
	}
	b.mu.Lock()
	b.proc = proc
	b.conn = mailbox.NewPeer(lane, (*processHandler)(b), i.sys.peerOptions())
	b.server = newControlServer(i.sys, b.conn)
	b.mu.Unlock()
	b.conn.Start()
	return nil
}

func startTimeout(s Settings) time.Duration {
	if s.StartTimeout != 0 {
		return s.StartTimeout
	}
	return DefaultStartTimeout
}

// command says what to execute: this program again, or another.
func (b *processBody) command(bp Blueprint) (process.Command, error) {
	i := b.i
	cmd := process.Command{Title: i.title(), Limits: process.Limits(i.settings.Limits), Output: b.output, Dir: i.settings.Dir}
	env := environment()
	if bp.kind.external != nil {
		c := bp.kind.external(bp.args)
		if c == nil {
			return cmd, errors.New("the kind's command function returned nil")
		}
		if c.Err != nil {
			return cmd, c.Err
		}
		cmd.Path, cmd.Args = c.Path, c.Args[min(1, len(c.Args)):]
		if c.Dir != "" {
			cmd.Dir = c.Dir
		}
		if c.Env != nil {
			env = c.Env
		}
		if c.SysProcAttr != nil {
			cmd.Credential = c.SysProcAttr.Credential
		}
		cmd.Title = c.Path
		if len(c.Args) > 0 {
			cmd.Title = c.Args[0]
		}
		cmd.Env = append(append([]string{process.Cookie(i.sys.id), "UNDERSTUDY_FD=3"}, i.settings.Env...), env...)
		return cmd, nil
	}
	cmd.Env = append(append([]string{process.Cookie(i.sys.id), envActor + "=" + i.sys.id}, i.settings.Env...), process.WithQuickExit(env)...)
	return cmd, nil
}

func environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "UNDERSTUDY_") {
			env = append(env, e)
		}
	}
	return env
}

// start shakes hands and awaits the start's outcome or the process's end.
func (b *processBody) start(bp Blueprint) {
	i := b.i
	ctx, cancel := context.WithTimeout(i.sys.ctx, startTimeout(i.settings))
	defer cancel()
	gone := make(chan struct{})
	go func() { // the process's end ends the handshake
		select {
		case <-b.proc.Done():
			close(gone)
			cancel()
		case <-ctx.Done():
		}
	}()
	err := b.handshake(ctx, bp)
	if err == nil {
		i.succeeded()
		return
	}
	select {
	case <-gone:
		return // finished says why
	case <-b.drained:
		// The peer closed its end before it was ready. Give its death the
		// first word, then help.
		_ = b.proc.Terminate(shortly(time.Second))
		return
	default:
	}
	switch {
	case b.stopBegan():
	case ctx.Err() != nil:
		b.mu.Lock()
		b.late = true
		b.mu.Unlock()
		i.failed(fmt.Errorf("start %s: not ready after %v%s", i.path, startTimeout(i.settings), printed(b.proc.Stderr())))
		_ = b.proc.Kill()
	default:
		i.failed(fmt.Errorf("start %s: %w", i.path, err))
		b.say(ExitStatus{Reason: ReasonStartFailed, Err: err, DoNotRestart: errors.Is(err, ErrDoNotRestart)})
		// It ends by itself once it has said so; a foreign one may not.
		_ = b.proc.Terminate(shortly(time.Second))
	}
}

func shortly(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func printed(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "; it printed: " + strings.Join(lines, " | ")
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
	buf := new(mailbox.Buffer)
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
		Args: buf.B, Segments: mailbox.SegmentIDs(buf.Segments), Capacity: b.i.settings.Capacity, Bytes: b.i.settings.CapacityBytes,
		MaxMessage: s.opts.MaxMessage, Inline: s.opts.Inline, LogLevel: int(logLevel(s.Logger())),
		StopTimeout: int64(stopTimeout(b.i.settings))}
	started := make(chan error, 1)
	begin := func() {
		go func() {
			r, err := request(ctx, b.conn, ctlStart, mailbox.ControlParams(order))
			r.Drop()
			started <- err
		}()
	}
	ours := bp.kind.external == nil
	if ours {
		begin() // the same program: no need to wait for its hello
	}
	r, err := request(ctx, b.conn, ctlHello, mailbox.ControlParams(s.hello()))
	if err != nil {
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
	defer r.Drop()
	l := &link{peer: b.conn}
	if err := s.greet(l, r); err != nil {
		return fmt.Errorf("hello: %w", err)
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
	l.peer, l.inc, l.pid, l.inst, l.kept = b.conn, b.i.incarnation, b.proc.PID(), b.i, true
	b.mu.Lock()
	defer b.mu.Unlock()
	b.link, b.marks = l, l.marks
}

func logLevel(l *slog.Logger) slog.Level {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if l.Enabled(context.Background(), level) {
			return level
		}
	}
	return slog.LevelError + 1
}

func (b *processBody) connect(c *client) (*link, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.link == nil || isDone(b.drained) {
		return nil, errRetry
	}
	if b.client != nil && b.client != c {
		return nil, fmt.Errorf("%s: a second client of another kind: %w", b.i.path, ErrKindMismatch)
	}
	b.client = c
	return b.link, nil
}

func isDone(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
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
		err = conn.Notify(ctlLink, mailbox.ControlParams(linkOrder{Token: token, From: from}))
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
	_ = conn.Notify(ctlStop, mailbox.ControlParams(stopOrder{Timeout: int64(timeout)}))
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

// output passes a line that the process printed to the log.
func (b *processBody) output(stream process.Stream, line []byte, cut bool) {
	attrs := []slog.Attr{slog.String("path", b.i.path), slog.Int("pid", b.pid()), slog.String("stream", stream.String())}
	if cut {
		attrs = append(attrs, slog.Bool("cut", true))
	}
	b.i.sys.Logger().LogAttrs(context.Background(), slog.LevelInfo, string(line), attrs...)
}

// report puts the reasons in order: what we did, the crash text, the actor's
// own word, the wait status.
func (b *processBody) report() ExitStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := b.proc.Status()
	x := ExitStatus{Code: max(st.Code, 0), Signal: st.Signal, Stderr: st.Stderr}
	if b.fault != nil {
		x.Err = b.fault
	}
	switch {
	case b.late:
		x.Reason = ReasonStartTimeout
	case b.fault != nil && (st.Killed || st.Signal != 0 || st.Success()):
		x.Reason = ReasonProtocol
	case b.killed && st.Killed && st.Signal == sigKill:
		x.Reason = ReasonKilled
	case st.OutOfMemory:
		x.Reason = ReasonOutOfMemory
		x.Err = textError(st.Crash)
	case st.Crash != "":
		x.Reason, x.Err = ReasonPanic, textError(st.Crash)
		if b.word != nil && b.word.Reason == ReasonStartFailed && b.word.Err != nil && !isEOF(b.word.Err) {
			x.Reason = ReasonStartFailed
		}
	case b.word != nil && (st.Signal == 0 || b.asked):
		x.Reason, x.Err, x.DoNotRestart = b.word.Reason, b.word.Err, b.word.DoNotRestart
	case st.Signal != 0 && b.asked && (st.Signal == sigTerm || st.Signal == sigKill):
		x.Reason = ReasonShutdown
	case st.Signal != 0:
		x.Reason = ReasonSignal
	case st.Unknown:
		x.Reason = ReasonLost
	case st.Code == 0 && b.asked:
		x.Reason = ReasonShutdown
	case st.Code == 0:
		x.Reason = ReasonNormal
	default:
		x.Reason = ReasonExitCode
	}
	x.DoNotRestart = x.DoNotRestart || st.Code == ExitCodeDoNotRestart
	return x
}

func textError(s string) error {
	if s == "" {
		return nil
	}
	return errors.New(strings.TrimSpace(s))
}

// processHandler is what arrives from the process.
type processHandler processBody

func (p *processHandler) Message(m *mailbox.Incoming) {
	defer m.Drop()
	if m.Call { // requests of a peer to its parent have no receiver
		b := (*processBody)(p)
		_ = b.conn.Respond(m.ID, foreignError(b.plain, fmt.Errorf("method %q: %w", m.Method, ErrUnknown)), nil, nil)
	}
}

func foreignError(plain bool, err error) []byte {
	if plain {
		return mailbox.EncodeControl(err.Error())
	}
	return encodeRemote(&noKind, err)
}

func (p *processHandler) Reply(id uint32, r mailbox.Reply) {
	p.mu.Lock()
	c := p.client
	p.mu.Unlock()
	if c == nil {
		r.Drop()
		return
	}
	c.reply(id, r)
}

func (p *processHandler) Control(m *mailbox.Incoming) {
	p.mu.Lock()
	c, l := p.client, p.link
	p.mu.Unlock()
	if m.Method == ctlEnded {
		var w wireExit
		if mailbox.DecodeControl(m.Params, &w) == nil {
			(*processBody)(p).say(w.exit())
		}
		return
	}
	if c != nil && c.control(l, m) {
		return
	}
	p.server.serve(m)
}

func (p *processHandler) Closed(err error) {
	b := (*processBody)(p)
	b.mu.Lock()
	if !isEOF(err) && !isClosed(err) {
		b.fault = err
	}
	fault, c, l, marks := b.fault, b.client, b.link, b.marks
	b.mu.Unlock()
	b.server.close()
	if fault != nil {
		e := b.i.event(EventLinkLost)
		e.Err = fault
		b.i.sys.Emit(e)
		_ = b.proc.Kill() // it cannot be talked to any more
	}
	close(b.drained)
	if c != nil {
		c.down(l, err)
	}
	if marks != nil {
		marks.Close()
	}
	if fault == nil && !b.stopBegan() {
		// A peer that closes its end and lives on is as good as dead.
		go func() { _ = b.proc.Terminate(shortly(lingerTimeout)) }()
	}
}

// lingerTimeout is how long a process may live after it closed its connection
// without being asked to: it may be flushing its crash report.
const lingerTimeout = 2 * time.Second

// lessBuffered lets a peer in plain mode, which has no credits, get more.
func (b *processBody) lessBuffered() {
	b.mu.Lock()
	c, l := b.client, b.link
	b.mu.Unlock()
	if c == nil || l == nil || !l.plain {
		return
	}
	go c.drained(l)
}
