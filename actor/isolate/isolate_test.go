package isolate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/actor/isolate"
	"github.com/understudy-go/understudy/supervisor"
)

// There is no TestMain in this package: the functions work without.

var upper = isolate.Func("upper", func(_ context.Context, s string) (string, error) {
	if s == "" {
		return "", errors.New("nothing to do")
	}
	return strings.ToUpper(s), nil
})

var crash = isolate.Func("crash", func(_ context.Context, how string) (int, error) {
	switch how {
	case "segfault":
		os.Stderr.WriteString("decoder: bad header\n")
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "exit":
		os.Exit(3)
	case "panic":
		panic("out of range")
	}
	return os.Getpid(), nil
}, isolate.Options{Workers: 1})

var hang = isolate.Func("hang", func(_ context.Context, d bool) (int, error) {
	if d {
		select {}
	}
	return os.Getpid(), nil
}, isolate.Options{Workers: 1, Timeout: 500 * time.Millisecond, Grace: time.Millisecond})

var fresh = isolate.Func("fresh", func(context.Context, actor.None) (int, error) { return os.Getpid(), nil },
	isolate.Options{Workers: 1, Uses: 1})

// held says by the first fifo that it was begun, and returns when the second is opened.
var held = isolate.Func("held", func(_ context.Context, dir string) (int, error) {
	for _, name := range []string{"begun", "go"} {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
		if err != nil {
			return 0, err
		}
		f.Close()
	}
	return 42, nil
}, isolate.Options{Workers: 1})

// slow is killed some time after its call has timed out.
var slow = isolate.Func("slow", func(context.Context, actor.None) (int, error) { select {} },
	isolate.Options{Workers: 1, Timeout: 100 * time.Millisecond, Grace: 200 * time.Millisecond})

func closeAll(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if err := isolate.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestCall(t *testing.T) {
	closeAll(t)
	if s, err := upper.Call(t.Context(), "isolated"); s != "ISOLATED" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	var remote *actor.RemoteError
	if _, err := upper.Call(t.Context(), ""); !errors.As(err, &remote) || remote.Text != "nothing to do" {
		t.Errorf("%v", err)
	}
}

// A worker that dies costs the call in its hands, and the next one works.
func TestCrash(t *testing.T) {
	closeAll(t)
	for _, tc := range []struct {
		how  string
		want actor.Reason
	}{{"segfault", actor.ReasonSignal}, {"exit", actor.ReasonExitCode}, {"panic", actor.ReasonPanic}} {
		var exit *actor.ExitError
		_, err := crash.Call(t.Context(), tc.how)
		if !errors.As(err, &exit) || exit.Reason != tc.want || exit.Begun != actor.BegunYes {
			t.Errorf("%s: %v", tc.how, err)
		}
		if tc.how == "segfault" && !strings.Contains(err.Error(), "decoder: bad header") {
			t.Errorf("what it printed is not in %q", err)
		}
		if pid, err := crash.Call(t.Context(), ""); err != nil || pid == os.Getpid() {
			t.Errorf("after %s: %d, %v", tc.how, pid, err)
		}
	}
}

// A function that does not look at its ctx is ended by force.
func TestHang(t *testing.T) {
	closeAll(t)
	before, err := hang.Call(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hang.Call(t.Context(), true); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	after := before
	for range 3 { // a call that comes while the worker is being killed may still run out of time
		if after, err = hang.Call(t.Context(), false); err == nil {
			break
		}
	}
	if err != nil || after == before {
		t.Errorf("the same worker, %d, serves on (%v)", after, err)
	}
}

func TestFreshProcess(t *testing.T) {
	closeAll(t)
	seen := make(map[int]bool)
	for range 5 {
		pid, err := fresh.Call(t.Context(), actor.None{})
		if err != nil || seen[pid] {
			t.Fatalf("process %d again (%v)", pid, err)
		}
		seen[pid] = true
	}
}

// hold begins a call of held and returns how to let it return, and its outcome.
func hold(t *testing.T) (release func(), outcome <-chan error) {
	t.Helper()
	dir := t.TempDir()
	open := func(name string) {
		f, err := os.Open(filepath.Join(dir, name)) // returns when the other side opens it
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	for _, name := range []string{"begun", "go"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		n, err := held.Call(context.Background(), dir)
		if err == nil && n != 42 {
			err = fmt.Errorf("held returned %d", n)
		}
		done <- err
	}()
	open("begun")
	return func() { open("go") }, done
}

// Close waits for the call in hand, without a bound of its own.
func TestCloseWaits(t *testing.T) {
	closeAll(t)
	release, outcome := hold(t)
	c, err := isolate.Tree().Child("held")
	if err != nil || c.Spec.StopTimeout != supervisor.Forever {
		t.Errorf("%+v, %v", c, err)
	}
	closed := make(chan error, 1)
	go func() { closed <- isolate.Close(t.Context()) }()
	for isolate.Tree() != nil { // until Close has begun
		runtime.Gosched()
	}
	release()
	if err := <-outcome; err != nil {
		t.Errorf("the call: %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}

// When the ctx of Close ends, what is left is killed, and both sides learn of it.
func TestCloseInTime(t *testing.T) {
	_, outcome := hold(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := isolate.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v", err)
	}
	var exit *actor.ExitError
	if err := <-outcome; !errors.As(err, &exit) || exit.Begun != actor.BegunYes || errors.Is(err, actor.ErrStopped) {
		t.Errorf("the call: %v", err)
	} else if text := err.Error(); !strings.HasPrefix(text, "call run to /held: ") {
		t.Errorf("%s", text)
	}
}

// A function that goes on after its time does not hold Close up.
func TestCloseAfterTimeout(t *testing.T) {
	if _, err := slow.Call(t.Context(), actor.None{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := isolate.Close(ctx); err != nil {
		t.Error(err)
	}
}

// What a worker's process could not find is refused where it is declared.
func TestFuncOutsideOfAPackageVariable(t *testing.T) {
	defer func() {
		text, _ := recover().(string)
		if !strings.Contains(text, "declare it in a package variable") {
			t.Errorf("%q", text)
		}
	}()
	isolate.Func("local", func(context.Context, int) (int, error) { return 0, nil })
}
