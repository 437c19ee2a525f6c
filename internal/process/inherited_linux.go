package process

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/sys"
)

// closeable is the number below which an inherited descriptor is closed in each child. The child's table of
// descriptors is that long while it is born, so it is below the least limit of open files that a system sets (1024).
const closeable = 512

// inherited are the descriptors, from 3 on, that were not close-on-exec when the first child was started: this process
// has them from its own parent (a lock file, a socket, a job server's pipe), or C code in it opened them. Whoever
// started us meant them for us and not for our children: a lock that an actor held would outlive us.
// They are closed in each child. Here they stay as they are, because what the program starts with os/exec may be meant to
// have them; only the few with large numbers become close-on-exec.
var inherited = sync.OnceValue(func() []int {
	var fds []int
	for _, fd := range sys.OpenDescriptors() {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		switch {
		case fd < 3 || err != nil || flags&unix.FD_CLOEXEC != 0:
		case fd < closeable:
			fds = append(fds, fd)
		default:
			unix.CloseOnExec(fd)
		}
	}
	return fds
})

// withoutInherited returns the table of a child's descriptors, extended by entries that close what it must not inherit.
func withoutInherited(child []uintptr) []uintptr {
	for _, fd := range inherited() {
		for len(child) <= fd {
			child = append(child, ^uintptr(0)) // close, for syscall.ForkExec
		}
	}
	return child
}
