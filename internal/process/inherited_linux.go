package process

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/sys"
)

// inherited are the descriptors, from 3 on, that were not close-on-exec when the first child was started: this process
// has them from its own parent (a lock file, a socket, a job server's pipe), or C code in it opened them. Whoever
// started us meant them for us and not for our children: a lock that an actor held would outlive us.
var inherited = sync.OnceValue(func() []int {
	var fds []int
	for _, fd := range sys.OpenDescriptors() {
		if fd >= 3 && inheritable(fd) {
			fds = append(fds, fd)
		}
	}
	return fds
})

func inheritable(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}

// withoutInherited returns the table of a child's descriptors, extended by entries that close what it must not inherit.
// Here they stay as they are, because what the program starts with os/exec may be meant to have them. Only those whose
// number leaves the child, while it is born, no room below the limit of open files become close-on-exec here.
func withoutInherited(child []uintptr) []uintptr {
	fds := inherited()
	if len(fds) == 0 {
		return child
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		limit.Cur = 0
	}
	const most, spare = 512, 8
	room := int(min(most, limit.Cur)) - len(child) - spare // it moves what is in its way above the table
	for _, fd := range fds {
		switch {
		case fd < len(child): // one of the child's own takes its place
		case fd < room:
			for len(child) <= fd {
				child = append(child, ^uintptr(0)) // close, for syscall.ForkExec
			}
		case inheritable(fd):
			unix.CloseOnExec(fd)
		}
	}
	return child
}
