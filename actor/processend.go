package actor

import (
	"errors"
	"time"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
)

// report puts the reasons in order: what we did, the crash text, the actor's
// own word, the wait status.
func (b *processBody) report() ExitStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := b.proc.Status()
	x := ExitStatus{Code: max(st.Code, 0), Signal: st.Signal, Stdout: st.Stdout, Stderr: st.Stderr}
	if b.fault != nil {
		x.Err = b.fault
	}
	switch {
	case b.late:
		x.Reason = ReasonStartTimeout
	case b.mute && st.Killed:
		x.Reason = ReasonUnresponsive
	case b.fault != nil && (st.Killed || st.Signal != 0 || st.Success()):
		x.Reason = ReasonProtocol
	case b.killed && st.Killed && st.Signal == sigKill:
		x.Reason = ReasonKilled
	case st.OutOfMemory:
		x.Reason = ReasonOutOfMemory
		x.Err = crashError(st.Crash)
	case st.Crash != "":
		x.Reason, x.Err = ReasonPanic, crashError(st.Crash)
		if b.word != nil && b.word.Reason == ReasonStartFailed && b.word.Err != nil && !isEOF(b.word.Err) {
			x.Reason = ReasonStartFailed
		}
	case b.word != nil && (st.Signal == 0 || b.asked || b.helped):
		x.Reason, x.Err, x.DoNotRestart = b.word.Reason, b.word.Err, b.word.DoNotRestart
	case b.helped && !b.asked:
		x.Reason = ReasonLost
		x.Err = errors.New("the process closed its connection and did not end")
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

// processHandler is what arrives from the process.
type processHandler processBody

// Message is what the process itself asks for.
func (p *processHandler) Message(m *conn.Incoming) { p.requests.put(m) }

// foreignError encodes an error for the process: words alone in plain mode.
func (b *processBody) foreignError(err error) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.plain {
		return codec.EncodeControl(err.Error())
	}
	return encodeRemote(&noKind, err)
}

func (p *processHandler) Reply(id uint32, r conn.Reply) {
	c := p.caller.Load()
	if c == nil {
		r.Drop()
		return
	}
	c.reply(p.conn, id, r)
}

func (p *processHandler) Control(m *conn.Incoming) {
	p.mu.Lock()
	c, l := p.client, p.link
	p.mu.Unlock()
	if m.Method == ctlEnded {
		var w wireExit
		if codec.DecodeControl(m.Params, &w) == nil {
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
	if b.fault == nil && !isEOF(err) && !isClosed(err) {
		b.fault = err
	}
	b.over = true
	fault, c, l, marks := b.fault, b.client, b.link, b.marks
	b.mu.Unlock()
	b.server.close()
	b.requests.close()
	if fault != nil {
		e := b.i.event(EventLinkLost)
		e.Err = fault
		b.i.sys.Emit(e)
		_ = b.proc.Kill() // it cannot be talked to any more
	}
	if c != nil {
		c.down(l, err) // first: who sees the end finds no link
	}
	close(b.drained)
	if marks != nil {
		marks.Close()
	}
	if fault == nil && !b.stopBegan() {
		// A peer that closes its end and lives on is as good as dead.
		go b.reap(lingerTimeout)
	}
}

// accuse says what the process did against the protocol; the end of the
// connection follows, and ends the process.
func (b *processBody) accuse(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fault == nil {
		b.fault = err
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
