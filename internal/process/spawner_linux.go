package process

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/cgroup"
	"github.com/understudy-go/understudy/internal/sys"
)

// spawn is one fork and exec.
type spawn struct {
	path   string
	argv   []string
	attr   syscall.ProcAttr
	sys    syscall.SysProcAttr
	limits Limits
	group  *cgroup.Group
	mayDo  bool   // without the group
	mark   string // its oom_score_adj, see MarkChildren; "" leaves ours

	pid, pidfd int
	op         string // the step that failed
	err        error
	done       chan struct{}
}

// spawner owns the thread that is the parent of all children. The parent-death signal comes when the creating
// *thread* ends (golang/go#27505), so that thread must live as long as any child: the goroutine that is locked to it
// returns, and ends it, when there is none. It is not the main thread, which the program may lock for itself.
type spawner struct {
	requests chan *spawn
	users    int // children that are not reaped, and forks under way
}

// theSpawner is the one that runs, nil if there are no children.
var theSpawner struct {
	sync.Mutex
	*spawner
}

// useSpawner returns the spawner, which stays until release is called as often.
func useSpawner() *spawner {
	theSpawner.Lock()
	defer theSpawner.Unlock()
	if theSpawner.spawner == nil {
		theSpawner.spawner = &spawner{requests: make(chan *spawn)}
		locked := make(chan struct{})
		go theSpawner.spawner.run(locked)
		<-locked
	}
	theSpawner.users++
	return theSpawner.spawner
}

// release takes back one useSpawner.
func (sp *spawner) release() {
	theSpawner.Lock()
	defer theSpawner.Unlock()
	if sp.users--; sp.users == 0 {
		close(sp.requests)
		theSpawner.spawner = nil
	}
}

// nullDevice is every child's stdin, opened once.
var nullDevice = sync.OnceValues(func() (*os.File, error) { return os.OpenFile(os.DevNull, os.O_RDWR, 0) })

// do has the spawner carry out s, or returns the cause of ctx's end if that comes before its turn. s.err says how it went.
func (sp *spawner) do(ctx context.Context, s *spawn) error {
	s.done = make(chan struct{})
	select {
	case sp.requests <- s:
		<-s.done // fork and exec, some hundred microseconds
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (sp *spawner) run(locked chan struct{}) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// This goroutine got the main thread. While it holds it, the next one cannot get it.
		next := make(chan struct{})
		go sp.run(next)
		<-next
		runtime.UnlockOSThread()
		close(locked)
		return
	}
	close(locked)
	for s := range sp.requests {
		s.carryOut()
		close(s.done)
	}
}

// carryOut runs on the spawner's thread: affinity is inherited from it, and it alone may talk to a traced child.
func (s *spawn) carryOut() {
	ownChildren.Lock()
	defer ownChildren.Unlock()
	s.pidfd = -1
	s.sys.PidFD = &s.pidfd
	s.attr.Sys = &s.sys
	restore, err := s.limits.narrowThread()
	if err != nil {
		s.op, s.err = "limit", err
		return
	}
	defer restore()

	// A child with resource limits is traced up to its first instruction, so that they hold from there: a Go
	// program raises its own RLIMIT_NOFILE when it starts and would race with us. Where tracing is forbidden,
	// they come a moment late.
	s.sys.Ptrace = s.needsResourceLimits() || s.mark != ""
	s.pid, s.err = syscall.ForkExec(s.path, s.argv, &s.attr)
	if s.err != nil && s.sys.Ptrace {
		s.sys.Ptrace = false
		s.pid, s.err = syscall.ForkExec(s.path, s.argv, &s.attr)
	}
	if s.err != nil && s.sys.UseCgroupFD && s.mayDo && refusesPlace(s.err) {
		s.sys.UseCgroupFD = false
		s.pid, s.err = syscall.ForkExec(s.path, s.argv, &s.attr)
	}
	if s.err != nil {
		s.op = "exec"
		if s.sys.UseCgroupFD && !s.mayDo && refusesPlace(s.err) {
			s.err = &cgroup.Error{Dir: s.group.Dir(), Op: "exec in", Err: s.err}
		}
		return
	}
	traced := s.sys.Ptrace && stoppedAtExec(s.pid)
	if s.mark != "" {
		_ = os.WriteFile("/proc/"+strconv.Itoa(s.pid)+"/oom_score_adj", []byte(s.mark), 0) // of another user's: refused
	}
	err = s.applyLimits()
	if err != nil {
		_ = unix.Kill(s.pid, unix.SIGKILL) // unreaped, so the pid is still its own
	}
	if traced {
		_ = unix.PtraceDetach(s.pid)
	}
	if err == nil && s.pidfd < 0 {
		err = unix.ENOSYS
		_ = unix.Kill(s.pid, unix.SIGKILL)
		s.op = "pidfd"
	}
	if err != nil {
		if s.op == "" {
			s.op = "limit"
		}
		s.err = err
		_ = sys.Retry(func() error { _, err := unix.Wait4(s.pid, nil, unix.WALL, nil); return err })
		if s.pidfd >= 0 {
			_ = unix.Close(s.pidfd)
		}
		return
	}
	ownChildren.pids[s.pid] = true
}

// stoppedAtExec waits until a traced child has stopped after its exec; false if it died instead, which is left for
// the usual wait to find.
func stoppedAtExec(pid int) bool {
	var info unix.Siginfo
	err := sys.Retry(func() error {
		return unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT|unix.WALL, nil)
	})
	const cldTrapped, cldStopped = 4, 5 // <bits/siginfo-consts.h>
	return err == nil && (info.Code == cldTrapped || info.Code == cldStopped)
}

// refusesPlace reports whether clone3(2) with CLONE_INTO_CGROUP may fail so: it is filtered (containers answer ENOSYS or
// EPERM), the way there is not ours (EACCES), or the group takes no processes. An exec may fail like that, too.
func refusesPlace(err error) bool {
	switch err {
	case unix.ENOSYS, unix.EPERM, unix.EACCES, unix.EINVAL, unix.EBUSY, unix.EOPNOTSUPP, unix.ENODEV:
		return true
	}
	return false
}
