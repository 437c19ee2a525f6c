package e2e_test

import (
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

// The least memory limit is enough for an actor to serve; less is an error before anything is started.
func TestLeastMemoryLimit(t *testing.T) {
	w := newWorld(t)
	i := w.launch("/small", Victims.With(""), runtime.Settings{Process: actor.Process{Memory: 16 << 20}})
	for range 1000 {
		if got, err := VictimEcho.Call(w.ctx, w.victim("/small"), "hello"); err != nil || got != "hello" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	w.stop(i)
	i = w.begin("/tiny", Victims.With(""), runtime.Settings{Process: actor.Process{Memory: 16<<20 - 1}})
	w.wait(i.Ready(), "outcome of the start")
	if err := i.StartErr(); err == nil || !strings.Contains(err.Error(), "limit memory=16777215") || i.PID() != 0 {
		t.Errorf("error %v, pid %d", err, i.PID())
	}
	w.wait(i.Done(), "end of the failed start")
}

// What is sent to every process of a service does nothing to an actor: its supervisor answers.
func TestSignalsToAnActor(t *testing.T) {
	w := newWorld(t)
	i := w.launch("/deaf", Victims.With(""))
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP} {
		if err := unix.Kill(i.PID(), sig); err != nil {
			t.Fatal(err)
		}
		if got, err := VictimEcho.Call(w.ctx, w.victim("/deaf"), "hello"); err != nil || got != "hello" {
			t.Errorf("after %v: %q, %v", sig, got, err)
		}
	}
	w.stop(i)
}
