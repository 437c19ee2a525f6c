package orphans

import (
	"bytes"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/cgroup"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/internal/sys"
)

// reaperPause is the least time between two looks at the process table, which a program with many children of its own
// would have us do all the time.
const reaperPause = 100 * time.Millisecond

// theReaper is the one of this process: to be a subreaper is a property of processes.
var theReaper atomic.Pointer[Reaper]

// Reaper makes this process the parent of its system's orphans, in init's place, and takes them away when they are
// dead (PR_SET_CHILD_SUBREAPER(2const)). It never takes a child of which it is not certain that it is an orphan of the
// system, and whose exit status no code here waits for; wait4(-1) would take the children of os/exec, too.
//
// Little can be seen of a zombie: not its environment, and its session and group say nothing if they were its own. Two
// things are inherited for ever and still there: its control group, if the system has some, and its oom_score_adj,
// which is one more in the system's processes than in this one while it has a Reaper. (It also makes the kernel
// take them before us, when memory is out.) Where that cannot be set, because ours is at its maximum or the child another
// user's, there is what was seen while the orphan lived: the system's tag.
type Reaper struct {
	system string
	tag    []byte
	mark   string // the text of oom_score_adj, "" if it cannot be had
	before int    // whether the process was a subreaper
	wake   chan os.Signal
	stop   chan struct{}
	once   sync.Once
	done   chan struct{}
	seen   map[int]string // orphans that carried the tag when they lived, with their start time; the goroutine's own
}

// StartReaper makes this process the subreaper of a system. There can be one at a time. The caller calls Close when the
// system has ended.
func StartReaper(system string) (*Reaper, error) {
	r := &Reaper{system: system, tag: []byte(SystemTag(system)), wake: make(chan os.Signal, 1), stop: make(chan struct{}),
		done: make(chan struct{}), seen: make(map[int]string)}
	if own, err := oomScore("self"); err == nil && own < 1000 {
		r.mark = strconv.Itoa(own + 1)
	}
	if !theReaper.CompareAndSwap(nil, r) {
		return nil, errors.New("orphans: this process is the subreaper of another system already")
	}
	before, err := subreaper()
	if err == nil {
		err = setSubreaper(1)
	}
	if err != nil {
		theReaper.Store(nil)
		return nil, err
	}
	r.before = before
	if r.mark != "" {
		process.MarkChildren(SystemTag(system), r.mark)
	}
	signal.Notify(r.wake, unix.SIGCHLD)
	go r.run()
	return r, nil
}

func subreaper() (int, error) {
	var set int32
	_, _, errno := unix.Syscall6(unix.SYS_PRCTL, unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&set)), 0, 0, 0, 0)
	if errno != 0 {
		return 0, os.NewSyscallError("prctl PR_GET_CHILD_SUBREAPER", errno)
	}
	return int(set), nil
}

func setSubreaper(on int) error {
	return os.NewSyscallError("prctl PR_SET_CHILD_SUBREAPER", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, uintptr(on), 0, 0, 0))
}

// oomScore reads a process's oom_score_adj, which a zombie has as well.
func oomScore(pid string) (int, error) {
	data, err := os.ReadFile("/proc/" + pid + "/oom_score_adj")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(bytes.TrimSpace(data)))
}

// Close kills the orphans that still live, reaps them, and makes the process again what it was. Later calls do nothing.
func (r *Reaper) Close() error {
	var err error
	r.once.Do(func() {
		close(r.stop)
		<-r.done
		signal.Stop(r.wake)
		err = r.finish()
		if r.before == 0 {
			err = errors.Join(err, setSubreaper(0))
		}
		process.MarkChildren("", "")
		theReaper.Store(nil)
	})
	return err
}

// run looks around when a child has ended. SIGCHLD says no more than that: several are one signal, and one that became
// ours unseen is found with the next.
func (r *Reaper) run() {
	defer close(r.done)
	for {
		r.look()
		pause := time.NewTimer(reaperPause)
		select {
		case <-pause.C:
		case <-r.stop:
			pause.Stop()
			return
		}
		select {
		case <-r.wake:
		case <-r.stop:
			return
		}
	}
}

// finish kills and reaps until no orphan is left.
func (r *Reaper) finish() error {
	deadline := time.Now().Add(sweepPatience)
	for {
		living := r.look()
		if len(living) == 0 {
			return nil
		}
		var doomed []int
		for _, pid := range living {
			if fd, err := unix.PidfdOpen(pid, 0); err == nil {
				if s, ok := sys.ReadStat(pid); ok && r.adopted(s) { // still: the number is the handle's now
					_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
				}
				doomed = append(doomed, fd)
			}
		}
		left := awaitDeaths(doomed, time.Until(deadline))
		for _, fd := range doomed {
			_ = unix.Close(fd)
		}
		if left > 0 {
			return errors.New("orphans: killed orphans have not gone after " + sweepPatience.String())
		}
	}
}

// look reaps the dead orphans and returns the living.
func (r *Reaper) look() (living []int) {
	pids, _ := sys.NumericEntries("/proc")
	self := os.Getpid()
	seen := make(map[int]string)
	for _, pid := range pids {
		s, ok := sys.ReadStat(pid)
		switch {
		case !ok || s.Parent != self:
		case s.State == 'Z':
			r.reap(pid)
			if r.seen[pid] == s.Start { // a zombie with threads that still run is reaped later
				seen[pid] = s.Start
			}
		case r.adopted(s):
			living = append(living, pid)
			seen[pid] = s.Start
		}
	}
	r.seen = seen
	return living
}

// reap takes a zombie if it is an orphan of the system. While the table of our own children is locked, none is on its
// way into it: what is a child and not in it is not ours to wait for. The handle is the first, so what it is looked at
// and what is reaped is the same process.
func (r *Reaper) reap(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	process.ReapIfForeign(pid, func() {
		if s, ok := sys.ReadStat(pid); ok && s.State == 'Z' && s.Parent == os.Getpid() && r.adopted(s) {
			_ = sys.Retry(func() error { return unix.Waitid(unix.P_PIDFD, fd, nil, unix.WEXITED|unix.WNOHANG, nil) })
		}
	})
}

// adopted reports whether a child that is not in the table of our own is an orphan of the system.
func (r *Reaper) adopted(s sys.Stat) bool {
	if s.State != 'Z' && process.IsChild(s.PID) {
		return false
	}
	proc := filepath.Join("/proc", strconv.Itoa(s.PID))
	if r.mark != "" {
		if score, err := os.ReadFile(proc + "/oom_score_adj"); err == nil && string(bytes.TrimSpace(score)) == r.mark {
			return true
		}
	}
	if groups, err := os.ReadFile(proc + "/cgroup"); err == nil {
		if own, _ := cgroup.UnifiedGroup(groups); inSystem(own, r.system) {
			return true
		}
	}
	if start, ok := r.seen[s.PID]; ok && start == s.Start {
		return true
	}
	// A process that is about to end, or to execute something, shows no environment.
	env, err := os.ReadFile(proc + "/environ")
	return err == nil && hasEntry(env, r.tag)
}

// inSystem reports whether a group is in the directory of a system.
func inSystem(group, system string) bool {
	_, rest, found := strings.Cut(group, "/"+cgroup.Prefix)
	return found && strings.Contains(rest+"/", "-"+system+"/")
}
