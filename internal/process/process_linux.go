package process

import (
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/cgroup"
	"github.com/understudy-go/understudy/internal/sys"
)

// Process is a child. Its methods may be called at any time from any goroutine, also after its end: they act on the
// child by handle, never on a stranger that got its number.
type Process struct {
	pid    int
	pidfd  *os.File      // in the netpoller: waiting for a death costs no thread
	output *output       // nil if it has no pipe
	group  *cgroup.Group // nil if it has none
	own    bool          // it is this program
	parent *spawner      // held until the child is reaped
	crash  int           // memory file with the crash text, -1 if none
	done   chan struct{}
	status Status // set before done is closed

	mu         sync.Mutex
	reaped     bool // pid may name another process
	killed     bool
	overMemory bool
	boundData  bool // Ready sets RLIMIT_DATA

	limit int64       // of memory, 0 if there is none
	judge memoryJudge // of a child with a memory limit; watchMemory's until that has ended
}

// adopt makes a Process of a child that was just spawned and starts to watch it.
func adopt(s *spawn, w *wiring, cmd *Command, sp *spawner) *Process {
	_ = unix.SetNonblock(s.pidfd, true) // before NewFile, which puts it into the netpoller only then
	p := &Process{
		pid:    s.pid,
		pidfd:  os.NewFile(uintptr(s.pidfd), "pidfd"),
		group:  s.group,
		own:    cmd.Path == "",
		parent: sp,
		crash:  w.crash,
		done:   make(chan struct{}),

		limit: s.limits.Memory,
		judge: memoryJudge{limit: s.limits.Memory},
		// The race detector's shadow of the heap counts, too, and grows with it.
		boundData: s.limits.Memory > 0 && !(raceEnabled && cmd.Path == ""),
	}
	if w.stdout >= 0 || w.stderr >= 0 {
		p.output = listen(pipeEnd(w.stdout, "stdout of child"), pipeEnd(w.stderr, "stderr of child"), cmd.Output, cmd.Race)
	}
	if cmd.Path == "" {
		p.judge.limit *= raceFactor
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	if s.limits.Memory > 0 {
		go p.watchMemory(stop, stopped)
	} else {
		close(stopped)
	}
	go p.wait(stop, stopped)
	return p
}

func pipeEnd(fd int, name string) *os.File {
	if fd < 0 {
		return nil
	}
	return os.NewFile(uintptr(fd), name)
}

// PID returns the process id. After Done it may name another process.
func (p *Process) PID() int { return p.pid }

// Done is closed when the child is dead and reaped, what was left of its process group was killed, and its output is
// delivered. A descendant that left the process group is gone as well if the child had a control group; otherwise it
// may still run, and is the orphan sweeper's.
func (p *Process) Done() <-chan struct{} { return p.done }

// Status waits for Done and says how the child ended. Its slices are shared.
func (p *Process) Status() Status {
	<-p.done
	return p.status
}

// Tail returns the last lines written to the stream so far, and what is written of the next one.
func (p *Process) Tail(stream Stream) []string {
	if p.output == nil {
		return nil
	}
	return p.output.tail(stream).Lines()
}

// Said adds a line to the tail of standard error that the process said in another way.
func (p *Process) Said(line string) {
	if p.output != nil {
		p.output.tail(Stderr).Add(printable([]byte(line)))
	}
}

// OutputDropped returns how many lines Output has been too slow to take so far.
func (p *Process) OutputDropped() int64 {
	if p.output == nil {
		return 0
	}
	return p.output.dropped()
}

// groupPatience is how long an incarnation's end waits for killed descendants to go, so that its replacement does not
// meet them.
const groupPatience = time.Second

// wait is the child's one goroutine for its death.
func (p *Process) wait(stopWatch chan<- struct{}, watchStopped <-chan struct{}) {
	awaitZombie(p.pid, p.pidfd)
	close(stopWatch)
	<-watchStopped

	p.mu.Lock()
	// The leader is a zombie, so its number still names this group and no other.
	_ = unix.Kill(-p.pid, unix.SIGKILL)
	if p.group != nil {
		_ = p.group.Kill()
	}
	st := ownChildren.reap(p.pid)
	p.reaped = true
	st.Killed = p.killed
	st.OutOfMemory = p.overMemory
	p.mu.Unlock()
	p.parent.release()
	_ = p.pidfd.Close()
	kills, counted := int64(0), false
	if p.group != nil {
		kills, counted = p.group.OOMKills()
		// What hangs in the kernel does not keep us: its directory ends with the system's.
		_ = p.group.End(groupPatience)
	}

	if p.output != nil {
		p.output.finish()
		st.Stdout, st.Stderr = p.Tail(Stdout), p.Tail(Stderr)
		st.OutputDropped = p.output.dropped()
		if r := p.output.races; r != nil && r.many == 0 && p.own && st.Code == raceExitCode {
			r.call(noRaceReport)
		}
	}
	if p.crash >= 0 {
		st.Crash = readCrashFile(p.crash)
		_ = unix.Close(p.crash)
		// Of a fatal error the runtime copies the stacks to the crash file but not the line before them, which says
		// what it was; and the stacks push it out of the tail.
		if p.output != nil && st.Crash != "" && !strings.Contains(st.Crash, p.output.fatal) {
			st.Crash = p.output.fatal + "\n" + st.Crash
		}
	}
	if !st.OutOfMemory {
		if counted && st.Signal == unix.SIGKILL && !st.Killed {
			st.OutOfMemory = kills > 0
		} else {
			st.OutOfMemory = ranOutOfMemory(&st, p.limit > 0)
		}
	}
	st.Memory = Memory{Limit: p.limit, Resident: p.judge.resident, Peak: max(p.judge.peak, p.judge.resident)}
	p.status = st
	close(p.done)
}

// ranOutOfMemory judges by what is known after a death; limited says that the child had a memory limit.
func ranOutOfMemory(st *Status, limited bool) bool {
	if st.Signal == unix.SIGKILL && !st.Killed {
		return newOutOfMemoryKills()
	}
	if st.Code != 2 {
		return false
	}
	if limited && diedInRuntime(st.Crash) {
		return true
	}
	return looksOutOfMemory(st.Crash) || looksOutOfMemory(strings.Join(st.Stderr, "\n"))
}

// awaitZombie returns when the child is dead, or is no longer ours to wait for. It leaves the zombie.
func awaitZombie(pid int, pidfd *os.File) {
	rc, err := pidfd.SyscallConn()
	if err == nil {
		err = rc.Read(func(fd uintptr) bool {
			var info unix.Siginfo
			err := sys.Retry(func() error {
				return unix.Waitid(unix.P_PIDFD, int(fd), &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
			})
			return err != nil || info.Signo != 0
		})
	}
	if err != nil { // a kernel whose pidfd cannot be polled: a thread then
		_ = sys.Retry(func() error {
			return unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		})
	}
}

// reap takes the zombie away.
func reap(pid int) Status {
	var ws unix.WaitStatus
	var usage unix.Rusage
	var got int
	err := sys.Retry(func() (err error) {
		got, err = unix.Wait4(pid, &ws, 0, &usage)
		return err
	})
	if err != nil || got != pid {
		return Status{Code: -1, Unknown: true}
	}
	st := Status{
		Code:       -1,
		UserTime:   time.Duration(usage.Utime.Nano()),
		SystemTime: time.Duration(usage.Stime.Nano()),
		MaxRSS:     int64(usage.Maxrss) << 10,
	}
	switch {
	case ws.Exited():
		st.Code = ws.ExitStatus()
	case ws.Signaled():
		st.Signal = syscall.Signal(ws.Signal())
		st.CoreDumped = ws.CoreDump()
	}
	return st
}
