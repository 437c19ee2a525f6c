package process

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/cgroup"
	"github.com/understudy-go/understudy/internal/sys"
)

// titleRoom is the length to which a re-exec'ed child's argv[0] is padded, so that SetTitle can rewrite it.
const titleRoom = 128

// Supported returns nil if this system can run children, else what it lacks.
func Supported() error { return supported() }

var supported = sync.OnceValue(func() error {
	if _, err := os.Readlink(sys.SelfImage); err != nil {
		return &StartError{Path: sys.SelfImage, Op: "/proc must be mounted", Err: err}
	}
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return &StartError{Path: sys.SelfImage, Op: sys.Lacking("pidfd_open", 5, 4), Err: errors.Join(errors.ErrUnsupported, err)}
	}
	return unix.Close(fd)
})

// Start starts a child and returns once it executes its program, with its limits in force. ctx bounds the wait for
// that and nothing later: the child's life does not hang on it. The child
//   - leads a session of its own: it has no controlling terminal, which could stop or ask it, and a ^C there does not
//     reach it;
//   - gets SIGKILL the moment this process ends, however it ends;
//   - reads /dev/null and writes to us;
//   - is in a control group of its own, if cmd.Cgroups can give one;
//   - has no descriptors but 0 to 2, cmd.Files from 3 on and, if it is this program again, one for its crash text.
//
// The error is a *StartError that wraps the system's error, a *LimitError or the cause of ctx's end. After an
// error nothing is left of the child.
func Start(ctx context.Context, cmd Command) (*Process, error) {
	s := &spawn{path: cmd.Path, limits: cmd.Limits}
	if cmd.Sys != nil {
		s.sys = *cmd.Sys
	}
	if s.path == "" {
		s.path = sys.SelfImage
	}
	fail := func(op string, err error) (*Process, error) {
		return nil, &StartError{Title: strings.TrimSpace(cmd.Title), Path: s.path, Op: op, Err: err}
	}
	if err := Supported(); err != nil {
		return nil, err
	}
	if err := cmd.Limits.check(cmd.Path == ""); err != nil {
		return fail("limit", err)
	}
	if ctx.Err() != nil {
		return fail("not begun", context.Cause(ctx))
	}
	markOutOfMemoryKills()

	w, op, err := newWiring(&cmd)
	if err != nil {
		return fail(op, err)
	}
	if s.group, err = cmd.Cgroups.New(cmd.Group, cmd.Limits.Memory); err != nil {
		if e := new(cgroup.Error); errors.As(err, &e) && e.Memory > 0 {
			err = &LimitError{"memory", e.Memory, err}
		}
		w.closeChildEnds()
		w.closeOwnEnds()
		return fail("control group", err)
	}
	s.mayDo = !cmd.Cgroups.Required()
	if s.group != nil {
		s.sys.UseCgroupFD, s.sys.CgroupFD = true, s.group.Descriptor()
	}
	s.argv = cmd.argv()
	s.attr.Env = cmd.environ(w.crashNumber)
	s.attr.Dir = cmd.Dir
	if s.sys.Chroot != "" && cmd.Dir == "" {
		s.attr.Dir = "/" // ours would be outside
	}
	s.attr.Files = w.child
	s.sys.Setsid = true
	if !cmd.Detached {
		s.sys.Pdeathsig = syscall.SIGKILL
	}

	if m := theMark.Load(); m != nil && slices.Contains(s.attr.Env, m.entry) {
		s.mark = m.score
	}

	sp := useSpawner()
	err = sp.do(ctx, s)
	w.closeChildEnds()
	runtime.KeepAlive(cmd) // the numbers of its files were in use until here
	s.group.Born()
	if err != nil || s.err != nil || s.group != nil && !s.sys.UseCgroupFD {
		s.group.Discard()
		s.group = nil
	}
	if err != nil || s.err != nil {
		sp.release()
	}
	if err != nil {
		w.closeOwnEnds()
		return fail("not begun", err)
	}
	if s.err != nil {
		w.closeOwnEnds()
		if errors.Is(s.err, unix.ENOENT) && cmd.Dir != "" && s.sys.Chroot == "" {
			if _, err := os.Stat(cmd.Dir); err != nil {
				return fail("chdir", err)
			}
		}
		return fail(s.op, s.err)
	}
	if cmd.Cgroups != nil && s.group == nil {
		cmd.Cgroups.GiveUp() // it will not be better next time
	}
	return adopt(s, w, &cmd, sp), nil
}

// mark is what children that have an entry in their environment are marked by.
type mark struct{ entry, score string }

var theMark atomic.Pointer[mark]

// MarkChildren sets the oom_score_adj of every child begun from now on that has entry in its environment: unlike the
// environment it can still be seen when the child is a zombie. An empty entry ends that.
func MarkChildren(entry, score string) {
	if entry == "" {
		theMark.Store(nil)
		return
	}
	theMark.Store(&mark{entry, score})
}

// argv is the child's argument vector.
func (cmd *Command) argv() []string {
	argv := make([]string, 1, 1+len(cmd.Args))
	switch {
	case cmd.Path != "" && cmd.Title == "":
		argv[0] = cmd.Path
	case cmd.Path != "":
		argv[0] = cmd.Title
	default:
		argv[0] = cmd.Title
		if argv[0] == "" {
			argv[0] = os.Args[0]
		}
		if pad := titleRoom - len(argv[0]); pad > 0 {
			argv[0] += strings.Repeat(" ", pad)
		}
	}
	return append(argv, cmd.Args...)
}
