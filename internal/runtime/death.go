package runtime

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/process"
)

// Why an incarnation ended is decided in this file, and nowhere else: exitStatus
// makes the report from all facts, which the backends collect; selfReport is what
// an actor says of its own end.

// force is why we ended an incarnation by force. Where there were several
// reasons, the greatest counts.
type force int

const (
	byItself       force = iota // we did not
	byLingerLimit               // it lived on after its connection, its start or its own end
	byKill                      // Kill was called
	byDeadline                  // KillLate was called
	byStopTimeout               // it was asked to stop, and did not in time
	byWatchdog                  // it gave no sign of life
	byStartTimeout              // it was not ready in time
)

// facts are what is known of an incarnation that has ended.
type facts struct {
	unmade       error             // why it could not be made; nil if it was
	startTimeout time.Duration     // how long it had to become ready
	asked        bool              // it was asked to stop
	forced       force             // why it was ended by force
	late         error             // byDeadline: whose deadline, and what was late
	fault        error             // what it did against the protocol
	said         *actor.ExitStatus // its self-reported reason, if it gave one
	status       process.Status    // of its process; zero for a goroutine
	early        bool              // it was never ready
	abandoned    bool              // a goroutine of it did not return in time
}

// exitStatus puts the reasons in order: what we did, the crash text, the actor's
// self-reported reason, the wait status.
func exitStatus(f facts) actor.ExitStatus {
	st := f.status
	x := actor.ExitStatus{Code: max(st.Code, 0), Signal: st.Signal, Stdout: st.Stdout, Stderr: st.Stderr, Err: f.fault}
	bySignal := st.Signal != 0
	switch {
	case f.forced == byStartTimeout:
		x.Reason = actor.ReasonStartTimeout
		if x.Err == nil {
			x.Err = fmt.Errorf("not ready after %v", f.startTimeout)
		}
	case f.unmade != nil:
		x.Reason, x.Err = actor.ReasonStartFailed, f.unmade
	case f.forced == byWatchdog && st.Killed:
		x.Reason = actor.ReasonUnresponsive
	case f.forced == byDeadline && (st.Killed || st.Signal == 0 && f.said != nil && f.said.Reason == actor.ReasonDeadline):
		x.Reason, x.Err = actor.ReasonDeadline, f.late
	case f.fault != nil && (st.Killed || bySignal || st.Success()):
		x.Reason = actor.ReasonProtocol
	case f.forced == byStopTimeout && st.Killed && st.Signal == syscall.SIGKILL:
		x.Reason = actor.ReasonKilled
	case st.OutOfMemory:
		x.Reason, x.Err = actor.ReasonOutOfMemory, errors.Join(st.MemoryError(), crashError(st.Crash))
	case fatalSignal(st.Crash) != 0: // Go ends with exit code 2 then, and the signal is what happened
		x.Reason, x.Signal, x.Code, x.Err = actor.ReasonSignal, fatalSignal(st.Crash), 0, crashError(st.Crash)
	case st.Crash != "":
		x.Reason, x.Err = actor.ReasonPanic, crashError(st.Crash)
		if f.said != nil && f.said.Reason == actor.ReasonStartFailed && f.said.Err != nil && !isEOF(f.said.Err) {
			x.Reason = actor.ReasonStartFailed
		}
	case f.forced == byKill && f.said != nil && !bySignal: // a goroutine
		x.Reason, x.Signal, x.Err = f.said.Reason, f.said.Signal, f.said.Err
	case f.said != nil && (!bySignal || f.asked || f.forced == byLingerLimit):
		x.Reason, x.Err, x.DoNotRestart = f.said.Reason, f.said.Err, f.said.DoNotRestart
		if f.abandoned && x.Reason == actor.ReasonShutdown {
			x.Reason = actor.ReasonKilled
		}
	case f.forced == byLingerLimit && !f.asked:
		x.Reason = actor.ReasonLost
		x.Err = errors.New("the process closed its connection and did not end")
	case bySignal && f.asked && (endSignal(st.Signal) || st.Signal == syscall.SIGKILL && st.Killed): // else the kill was not ours
		x.Reason = actor.ReasonShutdown
	case bySignal:
		x.Reason = actor.ReasonSignal
	case st.Unknown:
		x.Reason = actor.ReasonLost
	case f.asked: // whatever the exit code: it was asked to end, and did
		x.Reason = actor.ReasonShutdown
	case st.Code == 0 && f.early:
		x.Reason, x.Err = actor.ReasonStartFailed, errEarly
	case st.Code == 0:
		x.Reason = actor.ReasonNormal
	default:
		x.Reason = actor.ReasonExitCode
	}
	x.DoNotRestart = x.DoNotRestart || st.Code == actor.ExitCodeDoNotRestart
	return x
}

// errEarly is what is wrong with an exit code 0 before the actor was ready.
var errEarly = errors.New("the process exited before it was ready")

// endSignal reports whether a signal asks a process to end.
func endSignal(s syscall.Signal) bool {
	return s == syscall.SIGTERM || s == syscall.SIGINT || s == syscall.SIGHUP
}

// toldToEnd reports whether a process that we did not ask to end may have been
// asked by a signal: it died of it, ended in order, or says so in its exit code,
// in the way of a shell.
func toldToEnd(st process.Status) bool {
	return !st.Unknown && (endSignal(st.Signal) || st.Success() || st.Code > 128 && endSignal(syscall.Signal(st.Code-128)))
}

// signalGrace is how long the end of a process of another program that was told to
// end waits for the stop of the whole system. A service manager and a ^C signal
// both, in any order.
const signalGrace = 100 * time.Millisecond

// endOfSupervisor is how the end of an actor that is a supervisor is reported.
// That its tree gave up, or shut down by itself, it has said with the error, or
// without one, that Run returned; nothing else in it can say so, and an exit code
// is another reason.
func endOfSupervisor(x actor.ExitStatus) actor.ExitStatus {
	if x.Reason == actor.ReasonError || x.Reason == actor.ReasonNormal {
		x.Reason = actor.ReasonShutdown
	}
	return x
}

// Class is what a supervisor decides by.
type Class int

const (
	Normal Class = iota
	Shutdown
	Abnormal
)

// ClassOf returns the class of a reason. Killed counts as shutdown: we asked for
// it.
func ClassOf(r actor.Reason) Class {
	switch r {
	case actor.ReasonNormal:
		return Normal
	case actor.ReasonShutdown, actor.ReasonKilled:
		return Shutdown
	}
	return Abnormal
}

// fatalSignals are those whose arrival in native code ends a Go program with a
// crash text that begins with their name.
var fatalSignals = map[string]syscall.Signal{
	"SIGSEGV": syscall.SIGSEGV, "SIGBUS": syscall.SIGBUS, "SIGFPE": syscall.SIGFPE, "SIGILL": syscall.SIGILL, "SIGABRT": syscall.SIGABRT,
	"SIGTRAP": syscall.SIGTRAP, "SIGSYS": syscall.SIGSYS, "SIGQUIT": syscall.SIGQUIT,
}

// fatalSignal returns the signal that a crash text is about; 0 if it is about a
// panic, as a fault in Go code is, or if there is none.
func fatalSignal(crash string) syscall.Signal {
	name, _, _ := strings.Cut(crash, ":")
	return fatalSignals[name]
}

// crashError makes an error of a process's crash report.
func crashError(report string) error {
	report = strings.TrimSpace(report)
	if report == "" {
		return nil
	}
	text, _, _ := strings.Cut(report, "\n")
	return &actor.PanicError{Text: text, Stack: report}
}

// selfReport is what an actor says of its own end. The first reason counts, but
// for a failure on the way of a stop, and a constructor's.
type selfReport struct {
	asked  bool // it was asked to stop
	status *actor.ExitStatus
}

// end adds a reason to end; first says that the end begins with it.
func (r *selfReport) end(x actor.ExitStatus) (first bool) {
	if r.status == nil {
		r.status = &x
		return true
	}
	if r.status.Reason == actor.ReasonShutdown && ClassOf(x.Reason) == Abnormal {
		*r.status = x // it crashed while it was being stopped: its own reason is the better one
	}
	return false
}

// startFailed returns the reason of an actor whose constructor failed, for end. Exit in a constructor is such a failure, too.
func (r *selfReport) startFailed(err error) actor.ExitStatus {
	if r.asked {
		return actor.ExitStatus{Reason: actor.ReasonShutdown, Err: err}
	}
	x := actor.ExitStatus{Reason: actor.ReasonStartFailed, Err: err, DoNotRestart: errors.Is(err, actor.ErrDoNotRestart)}
	if r.status != nil && (r.status.Reason == actor.ReasonNormal || r.status.Reason == actor.ReasonError) {
		*r.status = x
	}
	return x
}

// note adds why the end was not a clean one.
func (r *selfReport) note(err error) {
	if r.status != nil && r.status.Err == nil {
		r.status.Err = err
	}
}

// report returns what is said: a shutdown, as long as nothing else is.
func (r *selfReport) report() actor.ExitStatus {
	if r.status == nil {
		return actor.ExitStatus{Reason: actor.ReasonShutdown}
	}
	return *r.status
}

// endedItself is the reason of an actor whose Run returned err, or that called
// Exit with it.
func endedItself(err error) actor.ExitStatus {
	if err == nil {
		return actor.ExitStatus{Reason: actor.ReasonNormal}
	}
	return actor.ExitStatus{Reason: actor.ReasonError, Err: err, DoNotRestart: errors.Is(err, actor.ErrDoNotRestart)}
}

// exitCode is the exit code of an actor's process that ends in this way.
func exitCode(x actor.ExitStatus) int {
	switch {
	case x.DoNotRestart:
		return actor.ExitCodeDoNotRestart
	case ClassOf(x.Reason) == Abnormal:
		return 1
	}
	return 0
}
