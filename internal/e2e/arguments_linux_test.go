package e2e_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/supervisor"
)

// Each life of another executable is made from the arguments as they were when
// the child was checked, whatever has become of them since; and what its
// command function does to them, the next life does not see.
func TestExternalArgumentsAreEncodedOnce(t *testing.T) {
	leaktest.Check(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	args := foreignArgs{Role: "plain", Env: []string{"AS_IT_WAS=1", "SPARE=1"}}
	tree, err := supervisor.Start(ctx, supervisor.Spec{Intensity: supervisor.Unlimited,
		Children: []supervisor.Child{{Name: "foreign", Run: Foreigns.With(args)}}}, supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Stop(ctx)
	args.Env[0] = "CHANGED=1"
	ref, err := Foreigns.Lookup(tree, "foreign")
	if err != nil {
		t.Fatal(err)
	}
	events, done := iter.Pull(tree.Events(ctx))
	defer done()
	for life := range 3 {
		if got, err := ForeignDo.Call(ctx, ref, "hello"); err != nil || got != "hello" {
			t.Fatalf("life %d: %q, %v", life, got, err)
		}
		pid := 0
		for c := range tree.Children() {
			pid = c.PID
		}
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			t.Fatal(err)
		}
		entries := strings.Split(string(env), "\x00")
		if !slices.Contains(entries, "AS_IT_WAS=1") || slices.Contains(entries, "CHANGED=1") {
			t.Fatalf("life %d has %q", life, entries)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for e, ok := events(); e.Type != actor.EventReady || e.PID == pid; e, ok = events() {
			if !ok {
				t.Fatal("the events ended")
			}
		}
	}
}
