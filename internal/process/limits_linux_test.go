package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/sys"
)

func init() {
	orders["files"] = func(string) string {
		var r unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
			return err.Error()
		}
		return fmt.Sprint(r.Cur, r.Max)
	}
	orders["cpus"] = func(string) string { return fmt.Sprint(runtime.NumCPU(), runtime.GOMAXPROCS(0)) }
	orders["nice"] = func(string) string {
		var all []string
		tasks, _ := sys.NumericEntries("/proc/self/task")
		for _, tid := range tasks {
			raw, err := unix.Getpriority(unix.PRIO_PROCESS, tid)
			if err != nil {
				return err.Error()
			}
			all = append(all, fmt.Sprint(20-raw)) // the system call's answer is never negative
		}
		return strings.Join(all, " ")
	}
}

func TestLimits(t *testing.T) {
	leaktest.Check(t)
	s := serve(t, func(c *Command) { c.Limits = Limits{Files: 123, CPUs: 1, Nice: 5} })
	if got := s.ask("files"); got != "123 123" {
		t.Errorf("files %q", got)
	}
	if got := s.ask("cpus"); got != "1 1" {
		t.Errorf("cpus %q", got)
	}
	for _, nice := range strings.Fields(s.ask("nice")) {
		if nice != "5" {
			t.Errorf("nice of a thread: %s", nice)
		}
	}
	// The limits were the child's, not the spawner's: the next one has none of them.
	free := serve(t, nil)
	if got, want := free.ask("cpus"), fmt.Sprint(runtime.NumCPU()); !strings.HasPrefix(got, want+" ") {
		t.Errorf("cpus of the next child %q, want %s", got, want)
	}
	if got := free.ask("files"); got == "123 123" {
		t.Error("the next child has the file limit")
	}
	// A child that already has several threads gets the priority for all of them.
	if err := (&spawn{pid: free.PID(), limits: Limits{Nice: 7}}).applyLimits(); err != nil {
		t.Error(err)
	}
	for _, nice := range strings.Fields(free.ask("nice")) {
		if nice != "7" {
			t.Errorf("nice of a thread: %s", nice)
		}
	}
	many := serve(t, func(c *Command) { c.Limits = Limits{CPUs: 1 << 20} })
	if many.ask("cpus") != free.ask("cpus") {
		t.Error("a bound above what there is bounds")
	}
}

func TestRefusedLimitLeavesNoChild(t *testing.T) {
	leaktest.Check(t)
	cmd := role("exit")
	cmd.Limits.Files = 1 << 40 // above fs.nr_open, which binds root too
	p, err := Start(t.Context(), cmd)
	var limit *LimitError
	if p != nil || !errors.As(err, &limit) || limit.Limit != "files" || !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v, %v", p, err)
	}
}

func TestOutOfMemoryHint(t *testing.T) {
	const thread = "SIGABRT: abort\nPC=0x7f01aef92eec m=3 sigcode=18446744073709551610\n\ngoroutine 0 gp=0x128f0502f0e0 m=3 [idle]:\n"
	const cgo = "SIGSEGV: segmentation violation\nPC=0x5f m=0 sigcode=1 addr=0x0\nsignal arrived during cgo execution\n\ngoroutine 7 gp=0x1 m=0 [syscall]:\n\ngoroutine 0 gp=0x2 m=1 [idle]:\n"
	for _, tt := range []struct {
		limited bool
		st      Status
		want    bool
	}{
		{true, Status{Code: 2, Crash: thread}, true},
		{false, Status{Code: 2, Crash: thread}, false},
		{true, Status{Code: 2, Crash: cgo}, false},
		{true, Status{Code: 2, Crash: "panic: out of ideas"}, false},
		{st: Status{Code: 2, Stderr: []string{"runtime: out of memory: cannot allocate 4194304-byte block", "fatal error: out of memory"}}, want: true},
		{st: Status{Code: 2, Crash: "fatal error: runtime: cannot allocate memory\n"}, want: true},
		{st: Status{Code: 1, Stderr: []string{"fatal error: out of memory"}}, want: false}, // said by the program, not by its runtime
		{st: Status{Code: 2, Crash: "panic: out of ideas"}, want: false},
		{st: Status{Code: -1, Signal: unix.SIGKILL, Killed: true}, want: false},
	} {
		if got := ranOutOfMemory(&tt.st, tt.limited); got != tt.want {
			t.Errorf("%+v: %v", tt.st, got)
		}
	}
}
