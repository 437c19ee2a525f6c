package runtime

import (
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
)

// processHandler is what arrives from the process.
type processHandler processBackend

// Message is what the process itself asks for.
func (p *processHandler) Message(m *conn.Incoming) { p.requests.put(m) }

func (p *processHandler) Reply(id uint32, r conn.Reply) {
	s := p.caller.Load()
	if s == nil {
		r.Drop()
		return
	}
	s.reply(p.conn, id, r)
}

func (p *processHandler) Control(m *conn.Incoming) {
	p.mu.Lock()
	s, c := p.sender, p.connection
	p.mu.Unlock()
	if h := controls[m.Method]; h.parent != nil {
		h.parent((*processBackend)(p), m)
		return
	}
	if s != nil && s.control(c, m) {
		return
	}
	p.server.serve(m)
}

// selfReported takes what the actor itself says of its end.
func (b *processBackend) selfReported(m *conn.Incoming) {
	var w wireExit
	if codec.DecodeControl(m.Params, &w) == nil {
		x := w.exit()
		x.Err = withPath(x.Err, b.i.path)
		b.say(x)
	}
}

func (p *processHandler) Closed(err error) {
	b := (*processBackend)(p)
	if !isEOF(err) && !isClosed(err) {
		b.accuse(err)
	}
	b.mu.Lock()
	b.over = true
	fault, s, c, progress := b.facts.fault, b.sender, b.connection, b.progress
	b.mu.Unlock()
	b.server.close()
	b.requests.close()
	if fault != nil {
		e := b.i.event(actor.EventConnectionLost)
		e.Err = fault
		b.i.sys.Emit(e)
		_ = b.proc.Kill() // it cannot be talked to any more
	}
	if s != nil {
		s.down(c, err) // first: who sees the end finds no connection
	}
	close(b.drained)
	if progress != nil {
		progress.Close()
	}
	if fault == nil && !b.stopBegan() {
		// A peer that closes its end and lives on is as good as dead.
		b.i.bound(lingerTimeout, byLingerLimit)
	}
}

// lingerTimeout is how long a process may live after it closed its connection
// without being asked to: it may be flushing its crash report.
const lingerTimeout = 2 * time.Second
