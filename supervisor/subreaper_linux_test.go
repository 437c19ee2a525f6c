package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/supervisor"
)

// parent is an actor that leaves orphans behind.
type parent struct{}

// Daemon starts a process that leaves its session, its parent and its
// environment; it ends by itself if it is told to. The answer is its pid.
func (parent) Daemon(ctx context.Context, ends bool) (int, error) {
	script := "echo $$; exec sleep 1000"
	if ends {
		script = "echo $$; exit 7"
	}
	cmd := exec.CommandContext(ctx, "env", "-i", "PATH="+os.Getenv("PATH"), "sh", "-c",
		"(exec setsid sh -c '"+script+"' 2>/dev/null) & exit 0")
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	cmd.Stdout = w
	err = cmd.Run()
	w.Close()
	if err != nil {
		return 0, err
	}
	var pid int
	_, err = fmt.Fscan(r, &pid)
	return pid, err
}

// Nested starts a parent below this one, and has it leave an orphan.
func (parent) Nested(ctx context.Context, ends bool) (int, error) {
	tree, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{{Name: "below", Run: parents.With(0)}}})
	if err != nil {
		return 0, err
	}
	below, err := parents.Lookup(tree, "below")
	if err != nil {
		return 0, err
	}
	return daemon.Call(ctx, below, ends)
}

// Reap tries to make an actor a subreaper.
func (parent) Reap(ctx context.Context, _ actor.None) (int, error) {
	err := supervisor.Run(ctx, supervisor.Spec{}, supervisor.Options{Subreaper: true})
	if errors.Is(err, supervisor.ErrBadSpec) {
		return 1, nil
	}
	return 0, err
}

var (
	parents = actor.Define("parent", func(context.Context, int) (*parent, error) { return &parent{}, nil })
	daemon  = actor.DefineMethod(parents, "daemon", (*parent).Daemon)
	nested  = actor.DefineMethod(parents, "nested", (*parent).Nested)
	reap    = actor.DefineMethod(parents, "reap", (*parent).Reap)
)

// director is an in-process actor that plays a test inside Run: only actors are given a scope there.
type director struct{}

var direct func(ctx context.Context, sys *runtime.System)

func (director) Run(ctx context.Context) error {
	scope, _ := actor.ScopeOf(ctx)
	direct(ctx, runtime.SystemOf(scope))
	<-ctx.Done()
	return nil
}

var directors = actor.Define("director", func(context.Context, int) (*director, error) { return &director{}, nil })

// run runs a parent and calls body when it is up, ends it and returns what Run did.
func run(t *testing.T, o supervisor.Options, body func(ctx context.Context, p actor.Ref[parent], sys *runtime.System)) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	o.Logger = quiet
	spec := supervisor.Spec{Intensity: supervisor.NoRestarts, Children: []supervisor.Child{{Name: "parent", Run: parents.With(0)},
		{Name: "director", Run: directors.With(0), InProcess: true}}}
	direct = func(ctx context.Context, sys *runtime.System) {
		defer cancel()
		p, err := parents.Lookup(sys, "parent")
		if err != nil {
			t.Error(err)
			return
		}
		body(ctx, p, sys)
	}
	return supervisor.Run(ctx, spec, o)
}

// parentOf returns 0 for a process that is gone and reaped.
func parentOf(pid int) int {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	n, _ := strconv.Atoi(fields[1])
	return n
}

func subreaper(t *testing.T) bool {
	t.Helper()
	var set int32
	if _, _, errno := unix.Syscall6(unix.SYS_PRCTL, unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&set)), 0, 0, 0, 0); errno != 0 {
		t.Fatal(errno)
	}
	return set != 0
}

// until polls: of a reaped process nobody is told.
func until(ctx context.Context, t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Errorf("waited in vain: %s", what)
			return
		}
	}
}

func TestSubreaper(t *testing.T) {
	leaktest.Check(t)
	for name, how := range map[string]*actor.Method[parent, bool, int]{"an actor's": daemon, "a nested actor's": nested} {
		t.Run(name, func(t *testing.T) {
			var living int
			err := run(t, supervisor.Options{Subreaper: true}, func(ctx context.Context, p actor.Ref[parent], _ *runtime.System) {
				if !subreaper(t) {
					t.Error("not a subreaper")
				}
				short, err := how.Call(ctx, p, true)
				if err != nil {
					t.Error(err)
					return
				}
				until(ctx, t, "a short-lived orphan is reaped", func() bool { return parentOf(short) == 0 })
				if living, err = daemon.Call(ctx, p, false); err != nil {
					t.Error(err)
				}
				until(ctx, t, "the orphan is ours", func() bool { return parentOf(living) == os.Getpid() })
				// A child of the program's own, while orphans are reaped.
				cmd := exec.CommandContext(ctx, "sh", "-c", "exit 9")
				if err := cmd.Run(); cmd.ProcessState.ExitCode() != 9 {
					t.Error(err)
				}
			})
			if err != nil {
				t.Error(err)
			}
			if parentOf(living) != 0 {
				t.Error("an orphan is left when Run has returned")
			}
			if subreaper(t) {
				t.Error("still a subreaper")
			}
		})
	}
}

// With Start it lasts as long as the tree, whatever ends that.
func TestSubreaperOfStart(t *testing.T) {
	leaktest.Check(t)
	ctx := t.Context()
	o := supervisor.Options{Logger: quiet, Subreaper: true}
	for what, end := range map[string]func(tree *supervisor.Tree) error{
		"Stop": func(tree *supervisor.Tree) error { return tree.Stop(ctx) },
		"giving up": func(tree *supervisor.Tree) error {
			if err := tree.StartChild(ctx, supervisor.Child{Name: "doomed", Run: doomed.With(0), InProcess: true}); err != nil {
				return err
			}
			<-tree.Done()
			var gaveUp *supervisor.GaveUpError
			if !errors.As(tree.Err(), &gaveUp) {
				return tree.Err()
			}
			return nil
		},
	} {
		tree, err := supervisor.Start(ctx, supervisor.Spec{Intensity: supervisor.NoRestarts}, o)
		if err != nil {
			t.Fatal(err)
		}
		if !subreaper(t) {
			t.Errorf("%s: not a subreaper", what)
		}
		if err := end(tree); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if subreaper(t) {
			t.Errorf("%s: still a subreaper", what)
		}
	}
	spec := supervisor.Spec{Children: []supervisor.Child{{Name: "a", Run: players.With(refuses), InProcess: true}}}
	if _, err := supervisor.Start(ctx, spec, o); err == nil || subreaper(t) {
		t.Errorf("a failed start: %v, a subreaper: %v", err, subreaper(t))
	}
}

func TestNoSubreaperUnasked(t *testing.T) {
	leaktest.Check(t)
	if err := run(t, supervisor.Options{}, func(ctx context.Context, p actor.Ref[parent], _ *runtime.System) {
		if subreaper(t) {
			t.Error("a subreaper that nobody asked for")
		}
		orphan, err := daemon.Call(ctx, p, false)
		if err != nil {
			t.Error(err)
			return
		}
		if got := parentOf(orphan); got == os.Getpid() {
			t.Error("the orphan is ours")
		}
		_ = syscall.Kill(orphan, syscall.SIGKILL) // it is out of everybody's reach
	}); err != nil {
		t.Error(err)
	}
}

func TestSubreaperRefusals(t *testing.T) {
	leaktest.Check(t)
	if err := run(t, supervisor.Options{Subreaper: true}, func(ctx context.Context, p actor.Ref[parent], _ *runtime.System) {
		if got, err := reap.Call(ctx, p, actor.None{}); got != 1 || err != nil {
			t.Errorf("in an actor: %v, %v", got, err)
		}
		if err := supervisor.Run(context.Background(), supervisor.Spec{}, supervisor.Options{Subreaper: true}); err == nil {
			t.Error("two at a time")
		}
	}); err != nil {
		t.Error(err)
	}
	if err := supervisor.Run(t.Context(), supervisor.Spec{Period: -1}, supervisor.Options{Subreaper: true}); !errors.Is(err, supervisor.ErrBadSpec) || subreaper(t) {
		t.Errorf("%v; a subreaper: %v", err, subreaper(t))
	}
}

// With control groups required, an orphan without session, cookie and parent ends with its actor; a nested one, too.
func TestCgroups(t *testing.T) {
	leaktest.Check(t)
	o := supervisor.Options{Cgroups: "required"}
	for name, how := range map[string]*actor.Method[parent, bool, int]{"an actor's": daemon, "a nested actor's": nested} {
		t.Run(name, func(t *testing.T) {
			var orphan int
			err := run(t, o, func(ctx context.Context, p actor.Ref[parent], sys *runtime.System) {
				var err error
				if orphan, err = how.Call(ctx, p, false); err != nil {
					t.Error(err)
				}
				if group, _ := os.ReadFile("/proc/" + strconv.Itoa(orphan) + "/cgroup"); !strings.Contains(string(group), sys.ID()) {
					t.Errorf("it is in %q", group)
				}
			})
			if errors.Is(err, actor.ErrNoCgroup) {
				t.Skipf("needs a cgroup v2 hierarchy that can be written: %v", err)
			}
			if err != nil {
				t.Error(err)
			}
			if alive(orphan) {
				t.Error("it lives when Run has returned")
			}
		})
	}
}

// alive: a zombie is init's to reap.
func alive(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(data), ") Z ")
}

// A limit by group that cannot be had is an error where groups are required.
func TestCgroupsRefusals(t *testing.T) {
	leaktest.Check(t)
	ctx := t.Context()
	tree, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{
		{Name: "a", Run: parents.With(0), Process: actor.Process{Memory: 1 << 30}}}}, supervisor.Options{Logger: quiet, Cgroups: "required"})
	switch {
	case err == nil:
		t.Log("memory can be limited by group here")
		_ = tree.Stop(ctx)
	case !errors.Is(err, actor.ErrNoCgroup):
		t.Errorf("error %v", err)
	}
}
