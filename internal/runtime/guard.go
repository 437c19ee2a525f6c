package runtime

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/understudy-go/understudy/actor"
)

// guard prepares a goroutine for user code: Exit finds the actor, a write to
// read-only memory is a panic with a stack, and in-process a panic ends only
// the actor. Use: defer h.guard(&err)().
func (h *host) guard(err *error) func() {
	debug.SetPanicOnFault(true)
	leave := enterHost(h)
	return func() {
		defer leave()
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
	_, exits := exiting.LoadAndDelete(goroutineID())
	goexit := !returned && !exits && endedByGoexit()
	if goexit {
		h.finish(actor.ExitStatus{Reason: actor.ReasonError, Err: errGoexit})
	}
	if returned || exits || goexit || h.local {
		done()
	}
}

// errGoexit is why an actor ended whose code called runtime.Goexit, as
// testing's FailNow does: its slot would not be served any more.
var errGoexit = errors.New("runtime.Goexit ended a goroutine of the actor")

// endedByGoexit reports, in a deferred call, whether the goroutine is ending
// by runtime.Goexit and not by a panic.
func endedByGoexit() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	for {
		f, more := frames.Next()
		switch f.Function {
		case "runtime.Goexit":
			return true
		case "runtime.gopanic":
			return false
		}
		if !more {
			return false
		}
	}
}

// exiting are the goroutines that Exit is ending, by id.
var exiting sync.Map

// hosts finds the in-process actor whose goroutine calls Exit.
var hosts sync.Map // goroutine id -> *host

func enterHost(h *host) (leave func()) {
	if !h.local {
		return func() {}
	}
	id := goroutineID()
	old, _ := hosts.Swap(id, h)
	return func() {
		if old != nil {
			hosts.Store(id, old)
		} else {
			hosts.Delete(id)
		}
	}
}

// goroutineID reads the id from the head of a stack trace ("goroutine 7 ["):
// there is no other way, and it is read once per handler goroutine.
func goroutineID() uint64 {
	var b [32]byte
	n := runtime.Stack(b[:], false)
	var id uint64
	for _, c := range b[len("goroutine "):n] {
		if c < '0' || c > '9' {
			break
		}
		id = id*10 + uint64(c-'0')
	}
	return id
}

// Exit implements [port.Runtime].
func (thisProcess) Exit(err error) {
	h := mainHost.Load()
	if v, ok := hosts.Load(goroutineID()); ok {
		h = v.(*host)
	}
	if h == nil {
		panic("actor.Exit: called outside of an actor")
	}
	h.finish(endedItself(err))
	exiting.Store(goroutineID(), true)
	runtime.Goexit()
}
