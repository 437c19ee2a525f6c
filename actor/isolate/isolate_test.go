package isolate_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/actor/isolate"
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
