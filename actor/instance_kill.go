package actor

import (
	"errors"
	"syscall"
)

var errKilled = errors.New("actor: killed")

// Kill ends the incarnation by force and returns at once; Done follows. It is
// reported as a process's end by SIGKILL, which a supervisor takes for a crash,
// unless the incarnation was asked to stop before. A goroutine cannot be killed:
// its contexts end, and if it does not return it is abandoned.
func (i *Instance) Kill() {
	switch b := i.body.(type) {
	case *localBody:
		b.h.inbox.Close()
		b.h.closeLinks() // before its contexts end: what it still does, nobody hears
		b.h.limit(0)
		b.h.finish(ExitStatus{Reason: ReasonSignal, Signal: syscall.SIGKILL})
		b.h.cancel(errKilled)
		b.kill(false)
	case *processBody:
		b.mu.Lock()
		b.doomed = true // if there is no process yet, run looks
		b.mu.Unlock()
		b.kill(false)
	}
}
