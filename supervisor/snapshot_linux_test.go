package supervisor_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/supervisor"
)

// sitter holds each message until its ctx ends.
type sitter struct{}

func (sitter) Sit(ctx context.Context, _ string) (int, error) { <-ctx.Done(); return 0, ctx.Err() }

var (
	sitters = actor.Define("sitter", func(context.Context, int) (*sitter, error) { return &sitter{}, nil })
	sit     = actor.DefineMethod(sitters, "sit", (*sitter).Sit)
)

func nodes(n *supervisor.Node) map[string]*supervisor.Node {
	all := make(map[string]*supervisor.Node)
	for n := range n.All() {
		all[n.Path] = n
	}
	return all
}

// A snapshot shows what runs in this process and in others: nested supervisors,
// those of processes of their own, and the trees that actors start.
func TestSnapshot(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		tree := start(t, ctx, supervisor.Spec{Intensity: 10, Defaults: defaults, Children: []supervisor.Child{
			{Name: "a", Run: players.With(1)},
			{Name: "own", Run: bands.With(band{InProcess: defaults.InProcess})},
			{Name: "nested", Run: supervisor.Spec{Strategy: supervisor.Dynamic, Children: []supervisor.Child{{Name: "x7", Run: players.With(1)}}}},
		}})
		must(t, 42)(spawn.Call(ctx, ref(t, tree, "a"), "wing"))
		nest, err := tree.Supervisor("nested")
		if err != nil {
			t.Fatal(err)
		}
		if err := nest.KillChild(ctx, "x7"); err != nil {
			t.Fatal(err)
		}
		must(t, 42)(spawn.Call(ctx, ref(t, tree, "nested/x7"), "")) // of the replacement

		all := nodes(tree.Snapshot(ctx))
		want := []string{"/", "/a", "/a/wing", "/a/wing/sub", "/nested", "/nested/x7", "/nested/x7/sub", "/own", "/own/first", "/own/job"}
		var got []string
		for path, n := range all {
			got = append(got, path)
			if !n.Running || n.State != "running" || !n.Away.IsZero() || n.NoAnswer != nil || n.Since.IsZero() {
				t.Errorf("%s: %+v", path, n)
			}
			if inProcess := defaults.InProcess && path != "/" || n.Supervisor && path != "/own" && path != "/"; inProcess != (n.PID == 0) && path != "/a/wing/sub" && path != "/nested/x7/sub" {
				t.Errorf("%s has pid %d", path, n.PID)
			}
			if n.PID != 0 && (n.Resident == 0 || n.Shared == 0 || n.Files == 0 || n.Threads == 0) {
				t.Errorf("%s takes %+v", path, n)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Fatalf("paths %q\nwant  %q", got, want)
		}
		x := all["/nested/x7"]
		if x.Restarts != 1 || x.LastExit == nil || x.LastExit.Signal != syscall.SIGKILL || x.Series != "/nested/*" || x.Kind != "player" {
			t.Errorf("%+v", x)
		}
		if s := all["/nested/x7/sub"].Series; s != "/nested/*/sub" {
			t.Errorf("series %q", s)
		}
		if j := all["/own/job"]; !j.Significant || j.Restart != supervisor.Transient || j.Kind != "player" || j.Incarnation == (actor.Incarnation{}) {
			t.Errorf("%+v", j)
		}
	})
}

// What waits and what is in hand, and the limits.
func TestSnapshotOfLoad(t *testing.T) {
	inBothModes(t, func(t *testing.T, ctx context.Context, defaults supervisor.Child) {
		one := supervisor.Child{Name: "one", Run: sitters.With(0), Mailbox: actor.Mailbox{Messages: 9}}
		if !defaults.InProcess {
			one.Process.Memory = 64 << 20
		}
		tree := start(t, ctx, supervisor.Spec{Defaults: defaults, Children: []supervisor.Child{one}})
		r := sitters.Ref(tree, "one")
		given, cancel := context.WithCancel(ctx)
		var calls []*actor.Future[int]
		for range 5 {
			calls = append(calls, sit.Go(given, r, "four score and seven"))
		}
		for {
			n := nodes(tree.Snapshot(ctx))["/one"]
			if n.InHand == 1 && n.Messages == 4 {
				if n.Bytes < 4*20 || n.Bytes > 4*200 || !slices.Equal(n.Methods, []string{"sit"}) || n.Mailbox.Messages != 9 || n.Limits.Memory != one.Process.Memory {
					t.Errorf("%+v", n)
				}
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("%+v", n)
			}
		}
		cancel()
		for _, f := range calls {
			if _, err := f.Result(); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
}

// A process that does not answer is a node that says so; the others do, and what
// the kernel knows of it is known. The same one level further down.
func TestSnapshotOfAStoppedProcess(t *testing.T) {
	leaktest.Check(t)
	ctx := bounded(t)
	tree := start(t, ctx, supervisor.Spec{Children: []supervisor.Child{
		{Name: "a", Run: players.With(1)},
		{Name: "b", Run: players.With(1)},
		{Name: "own", Run: bands.With(band{})},
	}})
	stopped := []string{"/a", "/own/first"}
	all := nodes(tree.Snapshot(ctx))
	for _, path := range stopped {
		pid := all[path].PID
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
		for u := (process.Usage{}); !u.Stopped && ctx.Err() == nil; u, _ = process.ReadUsage(pid) {
		}
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	all = nodes(tree.Snapshot(short))
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a snapshot bounded to 300 ms took %v", took)
	}
	for path, n := range all {
		if want := slices.Contains(stopped, path); want != (n.NoAnswer != nil) || want != n.Halted {
			t.Errorf("%s: %v, halted %v", path, n.NoAnswer, n.Halted)
		}
		if n.Kind != "supervisor" && n.Resident == 0 {
			t.Errorf("%s takes %+v", path, n)
		}
	}
	if len(all) != 6 {
		t.Errorf("%d nodes", len(all))
	}
}

// The loop of a tree that lives turns; that of one that has ended does not.
func TestPing(t *testing.T) {
	ctx := bounded(t)
	tree := start(t, ctx, supervisor.Spec{Defaults: supervisor.Child{InProcess: true}, Children: []supervisor.Child{{Name: "a", Run: players.With(1)}}})
	if err := tree.Ping(ctx); err != nil {
		t.Error(err)
	}
	stop(t, ctx, tree)
	if err := tree.Ping(ctx); !errors.Is(err, actor.ErrStopped) {
		t.Errorf("%v", err)
	}
	if n := tree.Snapshot(ctx); n.State != "stopped" || n.PID != os.Getpid() {
		t.Errorf("%+v", n)
	}
}
