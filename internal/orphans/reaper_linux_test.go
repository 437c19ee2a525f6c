package orphans

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/internal/sys"
)

func init() {
	orders["hidden-exit"] = func(string) string { // a daemon that has ended before anybody looked
		cmd := exec.Command("env", "-i", "PATH="+os.Getenv("PATH"), "sh", "-c",
			`setsid sh -c 'echo $$; read x </dev/null; exit 7' 2>/dev/null & exit 0`)
		return firstLine(cmd)
	}
}

// reaping makes this process the subreaper of a system.
func reaping(t testing.TB, system string) *Reaper {
	t.Helper()
	r, err := StartReaper(system)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// unmark is as with oom_score_adj at its maximum.
func unmark(r *Reaper) {
	r.mark = ""
	process.MarkChildren("", "")
}

// member starts a servant that belongs to the system.
func member(t testing.TB, system string, edit func(*process.Command)) *servant {
	return serve(t, func(cmd *process.Command) {
		cmd.Env = append([]string{SystemTag(system)}, cmd.Env...)
		if edit != nil {
			edit(cmd)
		}
	})
}

func reaped(pid int) bool { _, ok := sys.ReadStat(pid); return !ok }

// What leaves its parent becomes ours, with and without the tag, and is reaped when it ends.
func TestOrphansAreAdoptedAndReaped(t *testing.T) {
	leaktest.Check(t)
	system := newSystem(t)
	r := reaping(t, system)
	s := member(t, system, nil)
	for _, order := range []string{"escapee " + system, "stranger"} {
		orphan := watchPID(t, s.askNumber(order))
		until(t, "it is ours", func() bool { st, _ := sys.ReadStat(orphan.pid); return st.Parent == os.Getpid() })
		orphan.kill()
		orphan.dead()
		until(t, order+" is reaped", func() bool { return reaped(orphan.pid) })
	}
	// One that lived and died between two looks.
	hidden := s.askNumber("hidden-exit")
	until(t, "the short-lived one is reaped", func() bool { return reaped(hidden) })

	// Those that live when the system ends are killed.
	left := watchPID(t, s.askNumber("stranger"))
	s.tell("exit 4")
	if st := ended(t, s.Process); st.Code != 4 {
		t.Errorf("our own child's status was taken: %v", st)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if left.lives() || !reaped(left.pid) {
		t.Error("an orphan is left after Close")
	}
	if set, err := subreaper(); set != 0 || err != nil {
		t.Errorf("still a subreaper: %d, %v", set, err)
	}
}

// The control group of a zombie says whose it is, also when nothing else does.
func TestOrphansAreKnownByTheirGroup(t *testing.T) {
	leaktest.Check(t)
	system := newSystem(t)
	c := newGroups(t, system)
	r := reaping(t, system)
	unmark(r)
	s := member(t, system, func(cmd *process.Command) { cmd.Cgroups, cmd.Group = c, "one" })
	hidden := s.askNumber("hidden-exit")
	until(t, "it is reaped", func() bool { return reaped(hidden) })
}

// Without group and mark there is what was seen when it lived.
func TestOrphansAreKnownByTheirSystemTag(t *testing.T) {
	leaktest.Check(t)
	system := newSystem(t)
	r := reaping(t, system)
	unmark(r)
	s := member(t, system, nil)
	orphan := watchPID(t, s.askNumber("escapee "+system))
	until(t, "it is ours", func() bool { st, _ := sys.ReadStat(orphan.pid); return st.Parent == os.Getpid() })
	// Two further looks: one had begun, perhaps, before it was ours.
	for range 3 {
		r.wake <- unix.SIGCHLD // taken when a look begins
	}
	orphan.kill()
	orphan.dead()
	until(t, "it is reaped", func() bool { return reaped(orphan.pid) })
}

// Children that others started keep their exit status, whatever they do, while orphans are reaped all the time.
func TestReaperStealsNothing(t *testing.T) {
	leaktest.Check(t)
	system := newSystem(t)
	reaping(t, system)
	s := member(t, system, nil)
	stop := make(chan struct{})
	var orphans sync.WaitGroup
	orphans.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				s.askNumber("hidden-exit")
			}
		}
	})
	var others sync.WaitGroup
	for worker := range 4 {
		others.Go(func() {
			for i := range 50 {
				code := 1 + (i+worker)%100
				switch i % 5 {
				case 4: // one of our own
					p, err := process.Start(bounded(t), process.Command{Path: "/bin/sh", Args: []string{"-c", "exit " + strconv.Itoa(code)},
						Env: []string{SystemTag(system), "PATH=/bin:/usr/bin"}})
					if err != nil {
						t.Error(err)
					} else if st := ended(t, p); st.Code != code {
						t.Errorf("our own child: %v, want %d", st, code)
					}
				default:
					cmd := exec.Command("/bin/sh", "-c", "exit "+strconv.Itoa(code))
					cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: i%5 == 1, Setsid: i%5 == 2}
					if i%5 == 3 {
						cmd.Env = []string{"PATH=/bin:/usr/bin"}
					}
					if err := cmd.Start(); err != nil {
						t.Error(err)
						continue
					}
					if i%2 == 0 { // it is a zombie for as long as its parent likes
						_ = unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
					}
					_ = cmd.Wait()
					if got := cmd.ProcessState.ExitCode(); got != code {
						t.Errorf("a child of os/exec: %v, want %d", cmd.ProcessState, code)
					}
				}
			}
		})
	}
	others.Wait()
	close(stop)
	orphans.Wait()
}

// A zombie that nobody has waited for yet stays through all looks, also the last one.
func TestReaperLeavesForeignZombies(t *testing.T) {
	leaktest.Check(t)
	r := reaping(t, newSystem(t))
	cmd := exec.Command("/bin/sh", "-c", "exit 5")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	living := exec.Command("sleep", "1000")
	if err := living.Start(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := living.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a living child of os/exec: %v", err)
	}
	_ = living.Process.Kill()
	_ = living.Wait()
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 5 {
		t.Errorf("%v", cmd.ProcessState)
	}
}

func TestReaperIsOneAndRestores(t *testing.T) {
	leaktest.Check(t)
	if set, err := subreaper(); set != 0 || err != nil {
		t.Fatalf("a subreaper before anybody asked: %d, %v", set, err)
	}
	r := reaping(t, newSystem(t))
	if set, _ := subreaper(); set != 1 {
		t.Error("not a subreaper")
	}
	if other, err := StartReaper(newSystem(t)); err == nil {
		t.Errorf("two at a time: %v", other.Close())
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	// What was so before stays so.
	if err := setSubreaper(1); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = setSubreaper(0) }()
	r = reaping(t, newSystem(t))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if set, _ := subreaper(); set != 1 {
		t.Error("it is no longer what it was")
	}
}

// Only a system's own processes bear the mark.
func TestMark(t *testing.T) {
	leaktest.Check(t)
	own, err := oomScore("self")
	if err != nil || own == 1000 {
		t.Skipf("oom_score_adj %d, %v", own, err)
	}
	system := newSystem(t)
	reaping(t, system)
	score := func(s *servant) string { return strings.TrimSpace(readProc(s.PID(), "oom_score_adj")) }
	if got := score(member(t, system, nil)); got != strconv.Itoa(own+1) {
		t.Errorf("a member: %s", got)
	}
	if got := score(serve(t, nil)); got != strconv.Itoa(own) {
		t.Errorf("another child: %s", got)
	}
}

// As the first process of a container: everything without a parent is ours.
func TestReaperAsInit(t *testing.T) {
	leaktest.Check(t)
	system := newSystem(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), envRole+"=init", "INIT_SYSTEM="+system, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("needs the right to make a process namespace: %v", err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if err := cmd.Wait(); err != nil || strings.TrimSpace(line) != "ok" {
		t.Errorf("init says %q, %v", line, err)
	}
}

func init() { roles["init"] = asInit }

// asInit is PID 1 with a /proc of its own; it says how it went.
func asInit() int {
	fail := func(what ...any) int { fmt.Println(what...); return 1 }
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fail(err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fail(err)
	}
	system := os.Getenv("INIT_SYSTEM")
	r, err := StartReaper(system)
	if err != nil || os.Getpid() != 1 {
		return fail(os.Getpid(), err)
	}
	p, err := process.Start(context.Background(), process.Command{Path: "/bin/sh",
		Args: []string{"-c", `for i in 1 2 3; do setsid env -i /bin/sh -c 'exit 7' & (true &) ; done; exit 3`},
		Env:  []string{SystemTag(system), "PATH=/bin:/usr/bin"}})
	if err != nil {
		return fail(err)
	}
	if st := p.Status(); st.Code != 3 {
		return fail("the child", st)
	}
	if err := r.Close(); err != nil {
		return fail(err)
	}
	pids, _ := sys.NumericEntries("/proc")
	if len(pids) != 1 {
		return fail("left:", pids)
	}
	fmt.Println("ok")
	return 0
}
