package runtime

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/understudy-go/understudy/actor"
)

// guard prepares a goroutine for user code: a write to read-only memory is a
// panic with a stack, and in-process a panic ends only the actor. Use: defer h.guard(&err)().
func (h *host) guard(err *error) func() {
	debug.SetPanicOnFault(true)
	return func() {
		if !h.local {
			return // let it crash: the runtime's own report is the best there is
		}
		if r := recover(); r != nil {
			e := &actor.PanicError{Text: fmt.Sprintf("panic: %v", r), Stack: string(debug.Stack()), Value: r}
			if err != nil {
				*err = e
			}
			h.finish(actor.ExitStatus{Reason: actor.ReasonPanic, Err: e})
		}
	}
}

// leave calls done at the end of a goroutine of the actor. One that panics in an
// actor's process is never done: the end of the actor must wait for the crash,
// which comes when its deferred calls have run.
func (h *host) leave(returned bool, done func()) {
	var goexit, exit bool
	if !returned {
		goexit, exit = endedByGoexit()
	}
	if goexit && !exit {
		h.finish(actor.ExitStatus{Reason: actor.ReasonError, Err: errGoexit})
	}
	if returned || goexit || h.local {
		done()
	}
}

// errGoexit is why an actor ended whose code called runtime.Goexit, as
// testing's FailNow does: its slot would not be served any more.
var errGoexit = errors.New("runtime.Goexit ended a goroutine of the actor")

// endedByGoexit reports, in a deferred call, whether the goroutine is ending by
// runtime.Goexit and not by a panic, and whether actor.Exit called that.
func endedByGoexit() (goexit, exit bool) {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	for {
		f, more := frames.Next()
		switch {
		case goexit:
			return true, strings.HasSuffix(f.Function, "/runtime.(*host).Exit")
		case f.Function == "runtime.Goexit":
			goexit = true
		case f.Function == "runtime.gopanic":
			return false, false
		}
		if !more {
			return goexit, false
		}
	}
}

// Exit implements [port.Actor].
func (h *host) Exit(err error) {
	h.finish(endedItself(err))
	runtime.Goexit()
}
