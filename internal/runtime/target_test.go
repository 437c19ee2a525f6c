package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/port"
)

type echoer struct{}

var (
	echoers = actor.Define("echoer", func(context.Context, actor.None) (*echoer, error) { return &echoer{}, nil })
	echo    = actor.DefineMethod(echoers, "echo", func(_ *echoer, _ context.Context, n int) (int, error) { return n, nil })
)

func testSystem(t *testing.T) *System {
	s := newSystem("test", SystemOptions{Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// place is a scope.
type place struct {
	sys  *System
	path string
}

func (p place) System() port.System { return p.sys }
func (p place) Path() string        { return p.path }

// References to one path are equal, however they came about; and to different
// ones they are not.
func TestReferencesAreEqual(t *testing.T) {
	s, other := testSystem(t), testSystem(t)
	a := echoers.Ref(s, "a")
	raw, err := msgpack.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var decoded, loose, looser actor.Ref[echoer]
	if err := codec.Decode(newSource(raw, nil, s), &decoded); err != nil {
		t.Fatal(err)
	}
	if a != echoers.Ref(s, "/a") || a != echoers.Ref(place{s, "/x"}, "/a") || a != decoded {
		t.Error("references to one path differ")
	}
	if a == echoers.Ref(s, "b") || a == echoers.Ref(other, "a") || a == (actor.Ref[echoer]{}) {
		t.Error("references to different actors are equal")
	}
	if msgpack.Unmarshal(raw, &loose) != nil || msgpack.Unmarshal(raw, &looser) != nil || loose != looser || loose == a || loose.Path() != "/a" {
		t.Errorf("outside of a message: %v and %v", loose, looser)
	}
	if again, err := msgpack.Marshal(loose); err != nil || string(again) != string(raw) {
		t.Errorf("encoded again: %x (%v), want %x", again, err, raw)
	}
	if _, err := echo.Call(t.Context(), loose, 1); !errors.Is(err, actor.ErrUnbound) {
		t.Errorf("a call: %v", err)
	}
}

// Ever new paths leave nothing behind once they are gone and nothing refers to
// them, whether anything was sent to them or not.
func TestNewPathsDoNotLeak(t *testing.T) {
	s := testSystem(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for n := range 3 * maxGone {
		path := fmt.Sprintf("/%d", n)
		i := launch(t, s, path, echoers.With(actor.None{}))
		if got, err := echo.Call(ctx, echoers.Ref(s, path), n); err != nil || got != n {
			t.Fatal(got, err)
		}
		if n%100 == 0 {
			actor.NewInbox[int](s, 1).Close()
		}
		i.Stop(time.Minute)
		<-i.Done()
		s.SetState(path, PathGone)
		if _, err := echo.Call(ctx, echoers.Ref(s, path), n); !errors.Is(err, actor.ErrStopped) {
			t.Fatal(err)
		}
	}
	left := func() (targets, senders, entries int) {
		runtime.GC()
		s.targets.mu.Lock()
		targets = len(s.targets.m)
		s.targets.mu.Unlock()
		s.mu.Lock()
		defer s.mu.Unlock()
		return targets, len(s.senders), len(s.entries)
	}
	// Cleanups run some time after the collection that they belong to.
	for {
		targets, senders, entries := left()
		if targets < 10 && senders == 0 {
			if entries > maxGone {
				t.Errorf("%d entries", entries)
			}
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%d targets, %d senders, %d entries are left", targets, senders, entries)
		}
		runtime.Gosched()
	}
}

// A sender that has a connection is kept, and so is its target: the next reference
// finds both, and the order of messages is that of one sender.
func TestSenderOutlivesReferences(t *testing.T) {
	s := testSystem(t)
	launch(t, s, "/a", echoers.With(actor.None{}))
	for n := range 10 {
		if got, err := echo.Call(t.Context(), echoers.Ref(s, "a"), n); err != nil || got != n {
			t.Fatal(got, err)
		}
		runtime.GC()
		runtime.GC()
	}
	if n := s.Stats().Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
}

// launch starts an actor in this process.
func launch(t testing.TB, s *System, path string, r actor.Role) *Instance {
	t.Helper()
	bp, err := EncodeRole(r, Settings{InProcess: true}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer bp.Release()
	return s.Launch(path, bp)
}
