package runtime

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/process"
)

// One row for each reason, and for each choice between two.
func TestExitStatus(t *testing.T) {
	oops, broke := errors.New("oops"), errors.New("broke the protocol")
	said := func(r actor.Reason, err error) *actor.ExitStatus { return &actor.ExitStatus{Reason: r, Err: err} }
	killed := process.Status{Code: -1, Signal: syscall.SIGKILL, Killed: true}
	signal := func(s syscall.Signal) process.Status { return process.Status{Code: -1, Signal: s} }
	exit := func(code int) process.Status { return process.Status{Code: code} }
	crash := process.Status{Code: 2, Crash: "panic: out of words\n\ngoroutine 1 [running]:\n"}
	for name, c := range map[string]struct {
		facts facts
		want  actor.Reason
		text  string // in the error; empty: no error
	}{
		"exit code 0":                       {facts{status: exit(0)}, actor.ReasonNormal, ""},
		"exit code 0, early":                {facts{status: exit(0), early: true}, actor.ReasonStartFailed, "before it was ready"},
		"exit code 3, early":                {facts{status: exit(3), early: true}, actor.ReasonExitCode, ""},
		"exit code 0, early, asked":         {facts{status: exit(0), early: true, asked: true}, actor.ReasonShutdown, ""},
		"another's SIGKILL, asked":          {facts{status: signal(syscall.SIGKILL), asked: true}, actor.ReasonSignal, ""},
		"our SIGKILL, asked":                {facts{status: killed, asked: true, forced: byKill}, actor.ReasonShutdown, ""},
		"exit code 0, asked":                {facts{status: exit(0), asked: true}, actor.ReasonShutdown, ""},
		"exit code 3":                       {facts{status: exit(3)}, actor.ReasonExitCode, ""},
		"exit code 3, asked":                {facts{status: exit(3), asked: true}, actor.ReasonShutdown, ""},
		"exit code 143, asked":              {facts{status: exit(143), asked: true}, actor.ReasonShutdown, ""},
		"SIGHUP, asked":                     {facts{status: signal(syscall.SIGHUP), asked: true}, actor.ReasonShutdown, ""},
		"SIGINT":                            {facts{status: signal(syscall.SIGINT)}, actor.ReasonSignal, ""},
		"somebody else's signal":            {facts{status: signal(syscall.SIGSEGV)}, actor.ReasonSignal, ""},
		"somebody else's SIGKILL":           {facts{status: signal(syscall.SIGKILL)}, actor.ReasonSignal, ""},
		"SIGTERM, asked":                    {facts{status: signal(syscall.SIGTERM), asked: true}, actor.ReasonShutdown, ""},
		"SIGSEGV, asked":                    {facts{status: signal(syscall.SIGSEGV), asked: true}, actor.ReasonSignal, ""},
		"reaped by another":                 {facts{status: process.Status{Code: -1, Unknown: true}}, actor.ReasonLost, ""},
		"the actor's own reason":            {facts{status: exit(1), said: said(actor.ReasonError, oops)}, actor.ReasonError, "oops"},
		"killed after its own reason":       {facts{status: signal(syscall.SIGKILL), said: said(actor.ReasonError, oops)}, actor.ReasonSignal, ""},
		"helped after its own reason":       {facts{status: killed, said: said(actor.ReasonError, oops), forced: byLingerLimit}, actor.ReasonError, "oops"},
		"asked, and killed in time":         {facts{status: signal(syscall.SIGKILL), said: said(actor.ReasonShutdown, nil), asked: true}, actor.ReasonShutdown, ""},
		"crash":                             {facts{status: crash}, actor.ReasonPanic, "panic: out of words"},
		"a signal in native code":           {facts{status: process.Status{Code: 2, Crash: "SIGSEGV: segmentation violation\nPC=0x0\nsignal arrived during cgo execution\n"}}, actor.ReasonSignal, "SIGSEGV"},
		"abort in native code":              {facts{status: process.Status{Code: 2, Crash: "SIGABRT: abort\nPC=0x0\n"}, said: said(actor.ReasonStartFailed, io.EOF)}, actor.ReasonSignal, "SIGABRT"},
		"a fault in Go code":                {facts{status: process.Status{Code: 2, Crash: "panic: runtime error: invalid memory address\n[signal SIGSEGV: segmentation violation]\n"}}, actor.ReasonPanic, "invalid memory"},
		"crash, asked":                      {facts{status: crash, asked: true}, actor.ReasonPanic, "panic: out of words"},
		"crash after its own reason":        {facts{status: crash, said: said(actor.ReasonError, oops)}, actor.ReasonPanic, "panic: out of words"},
		"crash of a failed start":           {facts{status: crash, said: said(actor.ReasonStartFailed, oops)}, actor.ReasonStartFailed, "panic: out of words"},
		"crash during the start":            {facts{status: crash, said: said(actor.ReasonStartFailed, io.EOF)}, actor.ReasonPanic, "panic: out of words"},
		"out of memory":                     {facts{status: process.Status{Code: -1, Signal: syscall.SIGKILL, OutOfMemory: true}}, actor.ReasonOutOfMemory, ""},
		"out of memory, and said so":        {facts{status: process.Status{Code: 2, OutOfMemory: true, Crash: "fatal error: runtime: out of memory"}}, actor.ReasonOutOfMemory, "out of memory"},
		"not asked, and did not end":        {facts{status: killed, forced: byLingerLimit}, actor.ReasonLost, "did not end"},
		"stop timeout":                      {facts{status: killed, asked: true, forced: byStopTimeout}, actor.ReasonKilled, ""},
		"stop timeout, its own signal":      {facts{status: process.Status{Code: -1, Signal: syscall.SIGSEGV, Killed: true}, asked: true, forced: byStopTimeout}, actor.ReasonSignal, ""},
		"stop timeout, too late":            {facts{status: exit(0), asked: true, forced: byStopTimeout}, actor.ReasonShutdown, ""},
		"watchdog":                          {facts{status: killed, forced: byWatchdog}, actor.ReasonUnresponsive, ""},
		"watchdog, too late":                {facts{status: exit(3), forced: byWatchdog}, actor.ReasonExitCode, ""},
		"start timeout":                     {facts{status: killed, forced: byStartTimeout, startTimeout: time.Minute}, actor.ReasonStartTimeout, "not ready after 1m0s"},
		"start timeout before it was made":  {facts{unmade: oops, forced: byStartTimeout, startTimeout: time.Second}, actor.ReasonStartTimeout, "not ready after 1s"},
		"could not be made":                 {facts{unmade: oops}, actor.ReasonStartFailed, "oops"},
		"protocol":                          {facts{status: killed, fault: broke}, actor.ReasonProtocol, "broke the protocol"},
		"protocol, ended well":              {facts{status: exit(0), fault: broke}, actor.ReasonProtocol, "broke the protocol"},
		"protocol, with a code":             {facts{status: exit(4), fault: broke}, actor.ReasonExitCode, "broke the protocol"},
		"protocol and watchdog":             {facts{status: killed, fault: broke, forced: byWatchdog}, actor.ReasonUnresponsive, "broke the protocol"},
		"goroutine":                         {facts{said: said(actor.ReasonNormal, nil)}, actor.ReasonNormal, ""},
		"goroutine that panicked":           {facts{said: said(actor.ReasonPanic, oops)}, actor.ReasonPanic, "oops"},
		"goroutine, abandoned when asked":   {facts{said: said(actor.ReasonShutdown, nil), asked: true, abandoned: true, forced: byStopTimeout}, actor.ReasonKilled, ""},
		"goroutine, abandoned by itself":    {facts{said: said(actor.ReasonError, oops), abandoned: true, forced: byLingerLimit}, actor.ReasonError, "oops"},
		"goroutine, abandoned in its start": {facts{said: said(actor.ReasonStartTimeout, nil), abandoned: true, forced: byStartTimeout, startTimeout: time.Second}, actor.ReasonStartTimeout, "not ready after 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			c.facts.status.Stdout, c.facts.status.Stderr = []string{"out"}, []string{"err"}
			x := exitStatus(c.facts)
			if x.Reason != c.want || (x.Err == nil) != (c.text == "") || x.Err != nil && !strings.Contains(x.Err.Error(), c.text) {
				t.Errorf("%v, want %v and an error %q", x, c.want, c.text)
			}
			st := c.facts.status
			if native := fatalSignal(st.Crash); native != 0 { // not what wait says
				st.Signal, st.Code = native, 0
			}
			if x.Signal != st.Signal || x.Code != max(st.Code, 0) || len(x.Stdout)+len(x.Stderr) != 2 {
				t.Errorf("%+v of %+v", x, st)
			}
		})
	}
}

// Whatever ends it, exit code 125 and an error that says so prevent a restart.
func TestDoNotRestart(t *testing.T) {
	final := fmt.Errorf("no more: %w", actor.ErrDoNotRestart)
	word := endedItself(final)
	for name, f := range map[string]facts{
		"exit code":   {status: process.Status{Code: actor.ExitCodeDoNotRestart}},
		"own reason":  {status: process.Status{Code: 1}, said: &word},
		"constructor": {said: ptr(new(selfReport).startFailed(final))},
	} {
		if x := exitStatus(f); !x.DoNotRestart {
			t.Errorf("%s: %+v", name, x)
		}
	}
	if code := exitCode(word); code != actor.ExitCodeDoNotRestart {
		t.Errorf("exit code %d", code)
	}
}

func ptr[T any](v T) *T { return &v }

// The first reason counts, except that a failure on the way of a stop, and of a
// constructor, says more.
func TestSelfReport(t *testing.T) {
	oops := errors.New("oops")
	for name, c := range map[string]struct {
		do   func(r *selfReport)
		want actor.ExitStatus
	}{
		"nothing":   {func(*selfReport) {}, actor.ExitStatus{Reason: actor.ReasonShutdown}},
		"the first": {func(r *selfReport) { r.end(endedItself(nil)); r.end(endedItself(oops)) }, actor.ExitStatus{}},
		"a failure in a stop": {func(r *selfReport) {
			r.end(actor.ExitStatus{Reason: actor.ReasonShutdown})
			r.end(endedItself(oops))
		}, actor.ExitStatus{Reason: actor.ReasonError, Err: oops}},
		"a failure after a failure": {func(r *selfReport) {
			r.end(endedItself(oops))
			r.end(actor.ExitStatus{Reason: actor.ReasonPanic})
		}, actor.ExitStatus{Reason: actor.ReasonError, Err: oops}},
		"Exit in a constructor": {func(r *selfReport) {
			r.end(endedItself(nil))
			r.end(r.startFailed(oops))
		}, actor.ExitStatus{Reason: actor.ReasonStartFailed, Err: oops}},
		"a constructor that was asked to stop": {func(r *selfReport) {
			r.asked = true
			r.end(r.startFailed(oops))
		}, actor.ExitStatus{Reason: actor.ReasonShutdown, Err: oops}},
		"a note":        {func(r *selfReport) { r.end(endedItself(nil)); r.note(oops) }, actor.ExitStatus{Err: oops}},
		"a second note": {func(r *selfReport) { r.end(endedItself(oops)); r.note(io.EOF) }, actor.ExitStatus{Reason: actor.ReasonError, Err: oops}},
	} {
		t.Run(name, func(t *testing.T) {
			r := new(selfReport)
			c.do(r)
			if got := r.report(); got.Reason != c.want.Reason || got.Err != c.want.Err {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// One timer serves all limits: the nearest counts, and what is taken back does not.
func TestLimits(t *testing.T) {
	var l limits
	now := time.Now().Add(time.Hour) // no timer fires while this test runs
	defer l.stop()
	fired := func() { t.Error("fired") }
	if !l.set(now.Add(3), byStopTimeout, fired) || l.set(now.Add(4), byStopTimeout, fired) || !l.set(now.Add(2), byStopTimeout, fired) {
		t.Error("a limit can be brought forward, and not put off")
	}
	l.set(now.Add(1), byStartTimeout, fired)
	l.set(now.Add(9), byLingerLimit, fired)
	if why := l.pass(now); why != byItself {
		t.Errorf("passed too early: %v", why)
	}
	l.clear(byStartTimeout)
	for _, want := range []force{byStopTimeout, byLingerLimit, byItself} {
		if why := l.pass(now.Add(10)); why != want {
			t.Errorf("passed: %v, want %v", why, want)
		}
	}
}
