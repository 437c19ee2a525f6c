package e2e_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/shm"
)

func init() {
	// bare CAPABILITY... says hello, answers calls with their argument, and knows no
	// control message beyond: what it has no capability for would wait for ever.
	roles["bare"] = func(caps []string) {
		r := newRaw(3)
		e, err := r.await("$/hello")
		if err != nil || r.respond(e.ID, nil, helloMap(map[string]any{"caps": append([]string{}, caps...)})) != nil {
			return
		}
		if e, err = r.await("$/start"); err != nil || r.respond(e.ID, nil, nil) != nil {
			return
		}
		for {
			e, err := r.read()
			if err != nil || e.Method == "$/stop" {
				return
			}
			if e.Type == wire.Request && !strings.HasPrefix(e.Method, "$/") {
				_ = r.respond(e.ID, nil, "pong")
			}
		}
	}
}

// TestLackingPeer: a peer that leaves out a part of the protocol gives its callers a
// clear error at once, and works in all else.
func TestLackingPeer(t *testing.T) {
	for _, caps := range [][]string{{}, {"streams"}, {"files"}} {
		t.Run(strings.Join(caps, ","), func(t *testing.T) {
			w := newWorld(t)
			i := w.launch("/bare", Foreigns.With(foreignArgs{Role: "bare", Args: caps}))
			ref := w.foreign("/bare")
			// More than a mailbox holds: it never says what it has begun.
			for n := range 3000 {
				if err := ForeignDo.Cast(w.ctx, ref, "cast"); err != nil {
					t.Fatalf("cast %d: %v", n, err)
				}
			}
			for range 3 {
				if got, err := ForeignEcho.Call(w.ctx, ref, "ping"); err != nil || got != "pong" {
					t.Fatalf("echo: %q, %v", got, err)
				}
			}
			lacks := func(capability string, err error, want error) {
				t.Helper()
				for _, c := range caps {
					if c == capability {
						return
					}
				}
				if !errors.Is(err, want) || !strings.Contains(err.Error(), capability) {
					t.Errorf("without %s: %v", capability, err)
				}
				names(t, err, "/bare")
			}
			if len(caps) == 0 || caps[0] != "files" {
				a, err := shm.New[float64](10)
				if err != nil {
					t.Fatal(err)
				}
				_, err = ForeignSum.Call(w.ctx, ref, a)
				lacks("files", err, errors.ErrUnsupported)
				a.Release()
				_, err = ForeignDo.Call(w.ctx, ref, strings.Repeat("x", 5<<20))
				lacks("files", err, actor.ErrTooLarge)
			}
			if len(caps) == 0 || caps[0] != "streams" {
				var err error
				for _, err = range ForeignList.Open(w.ctx, ref, 3) {
					break
				}
				lacks("streams", err, errors.ErrUnsupported)
			}
			w.launch("/a", Victims.With(""))
			_, err := VictimTrust.Call(w.ctx, w.victim("/a"), ref)
			lacks("connect", err, errors.ErrUnsupported)
			if got, err := ForeignEcho.Call(w.ctx, ref, "still there?"); err != nil || got != "pong" {
				t.Errorf("echo: %q, %v", got, err)
			}
			w.stop(i)
		})
	}
}
