package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/runtime"
)

// A peer that asks for ever more connections to a sibling uses up neither the
// descriptors of the sibling nor ours, whether it reads the answers or not. A
// connection over which a call is under way is not closed for it.
func TestFloodOfIntroductions(t *testing.T) {
	for _, mode := range []string{"flood, read", "flood, unread"} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t)
			callee := w.launch("/callee", Victims.With(""), runtime.Settings{Process: actor.Process{Files: 128}})
			w.launch("/caller", Victims.With(""))
			busy := VictimAsk.Go(w.ctx, w.victim("/caller"), w.victim("/callee"))
			if _, err := busy.Result(); err != nil {
				t.Fatal(err)
			}
			flooder := w.launch("/flooder", Foreigns.With(foreignArgs{Role: "flooder", Args: []string{mode}}))
			ref, err := Foreigns.Lookup(w.sys, "/flooder")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ForeignEcho.Call(w.ctx, ref, "flood"); err != nil || got != "done" {
				t.Errorf("flood: %q, %v", got, err)
			}
			if n := openFiles(t, callee.PID()); n > 100 {
				t.Errorf("the callee has %d descriptors open", n)
			}
			if n := openFiles(t, os.Getpid()); n > 300 {
				t.Errorf("we have %d descriptors open", n)
			}
			late := w.launch("/late", Victims.With(""))
			if n, err := VictimAsk.Call(w.ctx, w.victim("/late"), w.victim("/callee")); err != nil || n == 0 {
				t.Errorf("a sibling's first call: %d, %v", n, err)
			}
			if _, err := VictimDo.Call(w.ctx, w.victim("/callee"), "fork"); err != nil {
				t.Errorf("the callee starts a process: %v", err)
			}
			w.stop(late)
			flooder.Stop(0)
			<-flooder.Done()
		})
	}
}

func openFiles(t testing.TB, pid int) int {
	t.Helper()
	dir, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(dir)
}

func init() {
	// flooder MODE asks for very many connections to /callee when it is called.
	roles["flooder"] = func(args []string) {
		r := newRaw(3)
		if shake(r, "hello") != nil {
			return
		}
		e, err := r.await("echo")
		if err != nil {
			return
		}
		_ = r.notify("$/begin", codec.Params(1))
		for k := range 3000 {
			from := fmt.Sprintf("/nobody/%d", k)
			if args[0] == "flood, read" {
				if _, err := r.call("$/introduce", list(map[string]any{"path": "/callee", "kind": "victim", "from": from}), nil); err != nil {
					return
				}
			} else if _, err := r.request("$/introduce", list(map[string]any{"path": "/callee", "kind": "victim", "from": from}), nil); err != nil {
				return
			}
		}
		_ = r.respond(e.ID, nil, "done")
		_, _ = r.await("$/stop")
	}
}

// The first call between two siblings one of which is out of descriptors fails at
// once, and says so. With descriptors again it succeeds.
func TestFirstCallWithoutDescriptors(t *testing.T) { overTransports(t, firstCallWithoutDescriptors) }

func firstCallWithoutDescriptors(t *testing.T, w *world) {
	for _, poor := range []string{"/caller", "/callee"} {
		t.Run(poor[1:], func(t *testing.T) {
			few := runtime.Settings{Process: actor.Process{Files: 64}}
			a, b := w.launch("/caller", Victims.With(""), few), w.launch("/callee", Victims.With(""), few)
			if _, err := VictimDo.Call(w.ctx, w.victim(poor), "hog"); err != nil {
				t.Fatal(err)
			}
			_, err := VictimAsk.Call(w.ctx, w.victim("/caller"), w.victim("/callee"))
			if !errors.Is(err, actor.ErrLost) && !errors.Is(err, syscall.EMFILE) {
				t.Errorf("the %s is out of descriptors: %v", poor[1:], err)
			} else {
				names(t, err, "/callee")
			}
			if _, err := VictimDo.Call(w.ctx, w.victim(poor), "unhog"); err != nil {
				t.Fatal(err)
			}
			if _, err := VictimAsk.Call(w.ctx, w.victim("/caller"), w.victim("/callee")); err != nil {
				t.Errorf("with descriptors again: %v", err)
			}
			w.stop(a)
			w.stop(b)
		})
	}
}
