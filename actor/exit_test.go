package actor_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/understudy-go/understudy/actor"
)

// A report says each thing once.
func TestExitStatusString(t *testing.T) {
	for want, x := range map[string]actor.ExitStatus{
		"normal":                     {},
		"exit code 3":                {Reason: actor.ReasonExitCode, Code: 3},
		"exit code 3: oops":          {Reason: actor.ReasonExitCode, Code: 3, Err: errors.New("oops")},
		"killed":                     {Reason: actor.ReasonKilled, Signal: syscall.SIGKILL},
		"deadline: late":             {Reason: actor.ReasonDeadline, Signal: syscall.SIGKILL, Err: errors.New("late")},
		"unresponsive":               {Reason: actor.ReasonUnresponsive, Signal: syscall.SIGKILL},
		"start timeout":              {Reason: actor.ReasonStartTimeout, Signal: syscall.SIGKILL},
		"signal (killed)":            {Reason: actor.ReasonSignal, Signal: syscall.SIGKILL},
		"out of memory (killed)":     {Reason: actor.ReasonOutOfMemory, Signal: syscall.SIGKILL},
		"panic: runtime error: x":    {Reason: actor.ReasonPanic, Code: 2, Err: &actor.PanicError{Text: "panic: runtime error: x"}},
		"panic: fatal error: y":      {Reason: actor.ReasonPanic, Code: 2, Err: &actor.PanicError{Text: "fatal error: y"}},
		"panic (aborted): z":         {Reason: actor.ReasonPanic, Signal: syscall.SIGABRT, Err: &actor.PanicError{Text: "panic: z"}},
		"start failed (exit code 1)": {Reason: actor.ReasonStartFailed, Code: 1},
	} {
		if s := x.String(); s != want {
			t.Errorf("%q, want %q", s, want)
		}
	}
}
