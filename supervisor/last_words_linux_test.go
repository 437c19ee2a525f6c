package supervisor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// quitter ends its process in the way that it is told to, after some words.
type quitter struct{}

func newQuitter(_ context.Context, how string) (*quitter, error) {
	quit(how)
	return &quitter{}, nil
}

func (quitter) Quit(_ context.Context, how string) (string, error) { quit(how); return "", nil }

func quit(how string) {
	switch how {
	case "log.Fatal":
		log.Fatal("swan song")
	case "log.Fatalf":
		log.Fatalf("swan %s", "song")
	case "log.Panic":
		log.Panic("swan song")
	case "slog.Error":
		slog.Error("swan song", "verse", 2)
		os.Exit(1)
	case "stderr":
		fmt.Fprint(os.Stderr, "swan song")
		os.Exit(1)
	case "panic":
		panic("swan song")
	case "SIGSEGV", "SIGABRT", "SIGFPE":
		// As if it had come from native code: the Go runtime deals with it in the same way.
		sig := map[string]syscall.Signal{"SIGSEGV": syscall.SIGSEGV, "SIGABRT": syscall.SIGABRT, "SIGFPE": syscall.SIGFPE}[how]
		_ = syscall.Kill(os.Getpid(), sig)
		select {}
	}
}

var (
	quitters = actor.Define("quitter", newQuitter)
	quitBy   = actor.DefineMethod(quitters, "quit", (*quitter).Quit)
)

// records are those of a system.
type records struct {
	mu  sync.Mutex
	all []map[string]any
}

func (r *records) Write(p []byte) (int, error) {
	var m map[string]any
	if err := json.Unmarshal(bytes.TrimSpace(p), &m); err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, m)
	return len(p), nil
}

func (r *records) take() []map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}

func startLogged(t *testing.T, ctx context.Context, level slog.Level, how string) (*supervisor.Tree, *records, error) {
	t.Helper()
	r := &records{}
	tree, err := supervisor.Start(ctx, supervisor.Spec{Intensity: supervisor.Unlimited, Children: []supervisor.Child{{Name: "q", Run: quitters.With(how)}}},
		supervisor.Options{Logger: slog.New(slog.NewJSONHandler(r, &slog.HandlerOptions{Level: level}))})
	if err == nil {
		t.Cleanup(func() { _ = tree.Stop(context.Background()) })
	}
	return tree, r, err
}

// What an actor says before it ends itself is in the error of the call and in one
// record of the end, whatever level the root's log has.
func TestLastWords(t *testing.T) {
	for _, how := range []string{"log.Fatal", "log.Fatalf", "log.Panic", "slog.Error", "stderr", "panic"} {
		for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelError} {
			t.Run(fmt.Sprint(how, " ", level), func(t *testing.T) {
				ctx := bounded(t)
				tree, log, err := startLogged(t, ctx, level, "")
				if err != nil {
					t.Fatal(err)
				}
				q := quitters.Ref(tree, "q")
				const times = 10
				for range times {
					if _, err := quitBy.Call(ctx, q, how); err == nil || !strings.Contains(err.Error(), "swan song") {
						t.Errorf("the error is %v", err)
					}
				}
				must(t, "")(quitBy.Call(ctx, q, "")) // its replacement lives
				stop(t, ctx, tree)
				ends := 0
				for _, r := range log.take() {
					if r["level"] != "ERROR" || r["msg"] == "swan song" {
						continue
					}
					ends++
					if r["path"] != "/q" || r["pid"] == nil || r["incarnation"] == nil || r["method"] != "quit" || !strings.Contains(fmt.Sprint(r), "swan song") || r["next"] != "it is restarted" {
						t.Errorf("the record is %v", r)
					}
					if panics := strings.Contains(strings.ToLower(how), "panic"); panics != (r["stack"] != nil) || panics != (r["reason"] == "panic") {
						t.Errorf("the record is %v", r)
					}
				}
				if ends != times {
					t.Errorf("%d records of %d ends", ends, times)
				}
			})
		}
	}
}

// The same in a constructor.
func TestLastWordsOfAStart(t *testing.T) {
	for _, how := range []string{"log.Fatal", "log.Panic", "slog.Error", "panic"} {
		ctx := bounded(t)
		_, log, err := startLogged(t, ctx, slog.LevelError, how)
		if err == nil || !strings.Contains(err.Error(), "swan song") {
			t.Errorf("%s: the error is %v", how, err)
		}
		n := 0
		for _, r := range log.take() {
			if r["msg"] == "actor start failed" && r["level"] == "ERROR" && strings.Contains(fmt.Sprint(r), "swan song") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s: %d records", how, n)
		}
	}
}

// A crash is one record, and its dump is not logged line by line: that a Go program
// makes exit code 2 of a signal in native code is undone.
func TestCrashIsOneRecord(t *testing.T) {
	for how, want := range map[string]syscall.Signal{"SIGSEGV": syscall.SIGSEGV, "SIGABRT": syscall.SIGABRT, "SIGFPE": syscall.SIGFPE, "panic": 0} {
		t.Run(how, func(t *testing.T) {
			ctx := bounded(t)
			tree, log, err := startLogged(t, ctx, slog.LevelInfo, "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = quitBy.Call(ctx, quitters.Ref(tree, "q"), how)
			var end *actor.ExitError
			reason := actor.ReasonPanic
			if want != 0 {
				reason = actor.ReasonSignal
			}
			if !errors.As(err, &end) || end.Reason != reason || end.Signal != want {
				t.Errorf("%v", err)
			}
			must(t, "")(quitBy.Call(ctx, quitters.Ref(tree, "q"), "")) // its replacement lives
			stop(t, ctx, tree)
			all := log.take()
			if len(all) != 1 || all[0]["level"] != "ERROR" || !strings.Contains(fmt.Sprint(all[0]["stack"]), "goroutine ") {
				t.Errorf("%d records: %.3000v", len(all), all)
			}
		})
	}
}
