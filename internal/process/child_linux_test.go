package process

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/cgroup"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/sys"
)

func init() {
	orders["title"] = func(arg string) string {
		before := strings.Clone(os.Args[0])
		if err := SetTitle(arg); err != nil {
			return err.Error()
		}
		if os.Args[0] != before {
			return "os.Args[0] has changed to " + os.Args[0]
		}
		return "ok"
	}
	// What an executed program gets from the servant.
	orders["descriptors-of-sh"] = func(string) string {
		out, err := exec.Command("sh", "-c", "cd /proc/self/fd && echo *").CombinedOutput()
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(string(out))
	}
	orders["ignored-by-sh"] = func(string) string {
		out, err := exec.Command("grep", "SigIgn", "/proc/self/status").Output()
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(string(out))
	}
	// Before ChildSetup, as the kernel handed them over.
	roles["raw descriptors"] = func() int {
		for fd := range 256 {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if err != nil || flags&unix.FD_CLOEXEC != 0 {
				continue // close-on-exec: our own runtime's, made after the exec
			}
			target, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
			target, _, _ = strings.Cut(target, "[")
			fmt.Printf("%d %s\n", fd, target)
		}
		return 0
	}
}

func TestChildHasOnlyWhatItWasGiven(t *testing.T) {
	leaktest.Check(t)
	bystander := serve(t, nil) // its socket, pipes, pidfd and crash file are nobody else's
	bystander.ask("ping")
	parent, child, err := SocketPair()
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	defer child.Close()
	var got []string
	cmd := role("raw descriptors")
	cmd.Files = []*os.File{child}
	cmd.Output = func(_ Stream, line []byte, _ bool) { got = append(got, string(line)) }
	if st := ended(t, start(t, cmd)); !st.Success() {
		t.Fatal(st, st.Stderr)
	}
	want := "0 /dev/null|1 pipe:|2 pipe:|3 socket:|4 /memfd:understudy-crash (deleted)"
	if strings.Join(got, "|") != want {
		t.Errorf("the child has %q\nwant %q", strings.Join(got, "|"), want)
	}
	// Passing an end on must not have touched its mode: ours in the netpoller, the child's blocking.
	for file, nonblocking := range map[*os.File]bool{parent: true, child: false} {
		_ = sys.Borrow(file, func(fd int) error {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			if err != nil || (flags&unix.O_NONBLOCK != 0) != nonblocking {
				t.Errorf("%s: flags %#x, %v", file.Name(), flags, err)
			}
			return nil
		})
	}
}

func TestForeignChildHasNoCrashFile(t *testing.T) {
	leaktest.Check(t)
	var got []string
	p := start(t, Command{
		Path: "/bin/sh", Args: []string{"-c", "for f in /proc/$$/fd/*; do readlink $f; done; env"},
		Output: func(_ Stream, line []byte, _ bool) { got = append(got, string(line)) },
	})
	ended(t, p)
	for _, line := range got {
		if strings.Contains(line, "memfd") || strings.Contains(line, envCrash) {
			t.Errorf("foreign child has %q", line)
		}
	}
	if len(got) < 3 {
		t.Errorf("output %q", got)
	}
}

func TestExecutedProgramsInheritNothing(t *testing.T) {
	leaktest.Check(t)
	s := serve(t, nil)
	// The last one is the shell's own, for the listing.
	if got := s.ask("descriptors-of-sh"); got != "0 1 2" && got != "0 1 2 3" {
		t.Errorf("descriptors %q", got)
	}
	if got := s.ask("getenv " + envCrash); got != "false " {
		t.Errorf("%s: %q", envCrash, got)
	}
	hex, found := strings.CutPrefix(s.ask("ignored-by-sh"), "SigIgn:")
	ignored, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
	if !found || err != nil || ignored&(1<<(unix.SIGINT-1)|1<<(unix.SIGTERM-1)|1<<(unix.SIGHUP-1)) != 0 {
		t.Errorf("signals are ignored by what the child executes: %q", hex)
	}
}

// What is sent to every process of a service, or by name, or by a closing terminal, is the supervisor's to answer.
func TestSignalsThatTheSupervisorAnswersAreDiscarded(t *testing.T) {
	leaktest.Check(t)
	s := serve(t, nil)
	s.ask("ping")
	for _, sig := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		for range 3 {
			if err := s.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := unix.Kill(-s.PID(), sig); err != nil { // its group, too
				t.Fatal(err)
			}
			if s.ask("ping") != "pong" {
				t.Errorf("no answer after %v", sig)
			}
		}
	}
	// What it executes is not deaf.
	helper := watchPID(t, s.askNumber("helper"))
	if err := unix.PidfdSendSignal(helper.fd, unix.SIGTERM, nil, 0); err != nil {
		t.Fatal(err)
	}
	helper.dead()
	s.tell("exit 6")
	if st := ended(t, s.Process); st.Code != 6 {
		t.Errorf("status %v", st)
	}
}

func init() {
	orders["helper"] = func(string) string {
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			return err.Error()
		}
		go func() { _ = cmd.Wait() }()
		return strconv.Itoa(cmd.Process.Pid)
	}
}

func TestTitle(t *testing.T) {
	leaktest.Check(t)
	s := serve(t, func(c *Command) { c.Title = "prog: /media/decoder-1 #1" })
	s.ask("ping")
	title := func() string {
		first, _, _ := strings.Cut(readProc(s.PID(), "cmdline"), "\x00")
		return first
	}
	if got := title(); strings.TrimRight(got, " ") != "prog: /media/decoder-1 #1" || len(got) != titleRoom {
		t.Errorf("at birth %q", got)
	}
	if got := readProc(s.PID(), "comm"); got != "decoder-1 #1\n" {
		t.Errorf("short name at birth %q", got)
	}
	long := "prog: /" + strings.Repeat("very-long-", 30)
	for _, want := range []string{"prog: /media/encoder-27 #2", "prog: /x #3", long, "prog: /x" + strings.Repeat("é", 100)} {
		if answer := s.ask("title " + want); answer != "ok" {
			t.Fatal(answer)
		}
		got := title()
		if want = cut(want, titleRoom); strings.TrimRight(got, " ") != want || len(got) != titleRoom || !utf8.ValidString(got) {
			t.Errorf("after SetTitle %q", got)
		}
	}
	if got := readProc(s.PID(), "environ"); !strings.HasPrefix(got, envCrash+"=") {
		t.Errorf("the long title ran into the environment: %.60q", got)
	}
}

func TestShortName(t *testing.T) {
	for title, want := range map[string]string{
		"prog: /media/decoder-1 #1":           "decoder-1 #1",
		"prog: /a-name-that-goes-on-for-ever": "a-name-that-goe",
		"/usr/bin/prog":                       "prog",
		"prog":                                "prog",
		"prog: /":                             "/",
		"":                                    "",
		"prog: /aaaaaaaaaaaaaaé":              "aaaaaaaaaaaaaa", // é would be bytes 15 and 16
		"prog: /aaaaaaaaaaaaaé":               "aaaaaaaaaaaaaé",
		"prog: /日本語日本語":                       "日本語日本",
		"prog: /aaaaaaaaaaaa😀":                "aaaaaaaaaaaa",
		"prog: /a\xffb":                       "a?b",
	} {
		if got := shortName(title); got != want {
			t.Errorf("%q: %q, want %q", title, got, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("GOCOVERDIR", "/somewhere")
	t.Setenv(envCrash, "77")
	has := slices.Contains[[]string]
	own := Command{Env: []string{"A=1"}, Limits: Limits{Memory: 1000}}
	if env := own.environ(5); !has(env, "A=1") || !has(env, envCrash+"=5") || !has(env, "GOMEMLIMIT=720") || !has(env, "GOCOVERDIR=/somewhere") ||
		!has(env, envProgram+"="+programName) || len(env) != 5 {
		t.Errorf("this program: %q", env)
	}
	set := Command{Env: []string{"GOMEMLIMIT=7", "GOCOVERDIR=/else", envCrash + "=9", envProgram + "=x"}, Limits: Limits{Memory: 1000}}
	if env := set.environ(0); !has(env, "GOMEMLIMIT=7") || !has(env, "GOCOVERDIR=/else") || len(env) != 3 {
		t.Errorf("what was said is overruled: %q", env)
	}
	foreign := Command{Path: "/bin/true"}
	if env := foreign.environ(0); !has(env, "GOCOVERDIR=/somewhere") || has(env, envCrash+"=77") || has(env, envProgram+"="+programName) {
		t.Errorf("another program: %q", env)
	}
}

// Limits beat what is inherited, for this program and for others; what was said for the child beats the limit.
func TestLimitsBeatTheInheritedEnvironment(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "8GiB")
	t.Setenv("GOMAXPROCS", "64")
	t.Setenv("PWD", "/here")
	quota := cgroupsWithQuota(t)
	for name, c := range map[string]struct {
		cmd  Command
		want string // the entries that count, "-" is none
	}{
		"no limits":             {Command{}, "8GiB 64 /here"},
		"memory":                {Command{Limits: Limits{Memory: 1000}}, "720 64 /here"},
		"processors":            {Command{Limits: Limits{CPUs: 2}}, "8GiB - /here"},
		"another program":       {Command{Path: "/x", Limits: Limits{Memory: 1000, CPUs: 2}}, "720 - /here"},
		"given on":              {Command{Path: "/x", Env: append(os.Environ(), "A=1"), Limits: Limits{Memory: 1000, CPUs: 2}}, "720 - /here"},
		"said":                  {Command{Env: append([]string{"GOMEMLIMIT=5", "GOMAXPROCS=3", "PWD=/p"}, os.Environ()...), Dir: "/d", Limits: Limits{Memory: 1000, CPUs: 2}}, "5 3 /p"},
		"said for another":      {Command{Path: "/x", Env: []string{"GOMEMLIMIT=5", "GOMAXPROCS=3"}, Limits: Limits{Memory: 1000, CPUs: 2}}, "5 3 -"},
		"nothing inherited":     {Command{Path: "/x", Env: []string{}, Limits: Limits{Memory: 1000, CPUs: 2}}, "720 - -"},
		"directory":             {Command{Dir: "/d"}, "8GiB 64 /d"},
		"quota":                 {Command{Cgroups: quota}, "8GiB " + strconv.Itoa(runtime.GOMAXPROCS(0)) + " /here"},
		"quota, one processor":  {Command{Cgroups: quota, Limits: Limits{CPUs: 1}}, "8GiB 1 /here"},
		"quota, said":           {Command{Cgroups: quota, Env: []string{"GOMAXPROCS=7"}}, "- 7 -"},
		"quota, other programs": {Command{Path: "/x", Cgroups: quota}, "8GiB 64 /here"},
	} {
		var got []string
		env := c.cmd.environ(0)
		for _, name := range []string{"GOMEMLIMIT=", "GOMAXPROCS=", "PWD="} {
			value := "-"
			for _, e := range slices.Backward(env) { // the first counts
				if v, ok := strings.CutPrefix(e, name); ok {
					value = v
				}
			}
			got = append(got, value)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// In a child the program is called what it was called in the root: it can execute itself, and its logs and usage name it.
func TestNameOfTheProgram(t *testing.T) {
	leaktest.Check(t)
	s := serve(t, func(c *Command) { c.Title = "test: /named #1"; c.Dir = "/" })
	want := programName + " " + programName + " ran"
	if got := s.ask("program"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := s.ask("getenv " + envProgram); got != "false " {
		t.Errorf("what it executes is told, too: %q", got)
	}
	if got := strings.TrimRight(strings.TrimRight(readProc(s.PID(), "cmdline"), "\x00"), " "); got != "test: /named #1" {
		t.Errorf("ps shows %q", got)
	}
}

func init() {
	orders["program"] = func(string) string {
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{envRole + "=say ran"}
		out, err := cmd.Output()
		if err != nil {
			return err.Error()
		}
		return os.Args[0] + " " + flag.CommandLine.Name() + " " + string(out)
	}
	roles["say ran"] = func() int { fmt.Print("ran"); return 0 }
}

func cgroupsWithQuota(t *testing.T) *cgroup.Groups {
	t.Helper()
	c := new(cgroup.Groups)
	c.AssumeQuota()
	return c
}
