package process

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/sys"
)

// wiring holds the descriptors between us and one child while it is being started. Bare numbers, because the
// child's ends live for a millisecond only.
type wiring struct {
	child       []uintptr // what the child will have as 0, 1, 2, ...
	made        []int     // those of child that are ours to close
	stdout      int       // our ends, -1 if there is none
	stderr      int
	crash       int
	crashNumber int // the crash file's descriptor in the child, 0 if there is none
}

// newWiring makes the pipes and files of a child. The error comes with the step that failed.
func newWiring(cmd *Command) (w *wiring, op string, err error) {
	w = &wiring{stdout: -1, stderr: -1, crash: -1}
	defer func() {
		if err != nil {
			w.closeChildEnds()
			w.closeOwnEnds()
		}
	}()
	null, err := nullDevice()
	if err != nil {
		return w, "stdin", err
	}
	w.child = make([]uintptr, 3, 4+len(cmd.Files))
	stdin, stdout, stderr := cmd.Stdin, cmd.Stdout, cmd.Stderr
	if stdin == nil {
		stdin = null
	}
	if cmd.Detached {
		stdout, stderr = null, null
	}
	readable := cmd.Sys != nil && cmd.Sys.Credential != nil
	if err := sys.Borrow(stdin, func(fd int) error { w.child[0] = uintptr(fd); return nil }); err != nil {
		return w, "stdin", err
	}
	if w.stdout, w.child[1], err = w.stream(stdout, readable); err != nil {
		return w, "stdout", err
	}
	if w.stderr, w.child[2], err = w.stream(stderr, readable); err != nil {
		return w, "stderr", err
	}
	for _, f := range cmd.Files {
		if err := sys.Borrow(f, func(fd int) error { w.child = append(w.child, uintptr(fd)); return nil }); err != nil {
			return w, "file " + f.Name(), err
		}
	}
	if cmd.Path == "" && !cmd.Detached {
		if w.crash, err = newCrashFile(); err != nil {
			return w, "file for the crash text", err
		}
		w.crashNumber = len(w.child)
		w.child = append(w.child, uintptr(w.crash))
	}
	w.child = withoutInherited(w.child)
	return w, "", nil
}

// stream returns the descriptor for a child's output: f's, or without f that of a pipe, of which own is our end. What a
// process has open it may open again by name (/dev/stderr) only if it may write to the inode, which is ours: for a child
// that runs as another user, others make it theirs. It has no name that they could find without the right to look into
// the child.
func (w *wiring) stream(f *os.File, others bool) (own int, child uintptr, err error) {
	if f != nil {
		err = sys.Borrow(f, func(fd int) error { child = uintptr(fd); return nil })
		return -1, child, err
	}
	own, child, err = w.pipe()
	if err == nil && others {
		_ = unix.Fchmod(int(child), 0o666) // at worst it cannot be opened by name
	}
	return own, child, err
}

// pipe returns a nonblocking end for us and a blocking one for the child: two file descriptions, so neither's mode
// is the other's.
func (w *wiring) pipe() (own int, child uintptr, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return -1, 0, os.NewSyscallError("pipe2", err)
	}
	w.made = append(w.made, fds[1])
	if err := unix.SetNonblock(fds[0], true); err != nil {
		_ = unix.Close(fds[0])
		return -1, 0, os.NewSyscallError("setnonblock", err)
	}
	return fds[0], uintptr(fds[1]), nil
}

// closeChildEnds closes what only the child needs.
func (w *wiring) closeChildEnds() {
	for _, fd := range w.made {
		_ = unix.Close(fd)
	}
	w.made = nil
}

// closeOwnEnds closes our ends when there is no child to use them with.
func (w *wiring) closeOwnEnds() {
	for _, fd := range []int{w.stdout, w.stderr, w.crash} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	w.stdout, w.stderr, w.crash = -1, -1, -1
}
