package process

import (
	"math"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/cgroup"
	"github.com/understudy-go/understudy/internal/sys"
)

var childSetup sync.Once

// ChildSetup prepares a process that Start began from this program. It is called once, before any user code
// that could start a process or a goroutine that crashes.
//   - The runtime's crash text goes to the parent.
//   - SIGINT, SIGTERM and SIGHUP are caught and thrown away: the supervisor alone answers ^C, a service manager that
//     signals every process of the service, and a pkill by name; it ends its actors over their connections. Ignoring the
//     signals instead would be inherited by whatever the actor executes.
//   - Inherited descriptors become close-on-exec, and the variables that concern this process alone are removed, so
//     that what the actor executes sees neither.
//   - The short name of the process, which was "exe", follows its title.
func ChildSetup() {
	childSetup.Do(func() {
		adoptCrashFile()
		sys.AdoptBuildID()
		cgroup.Adopt()
		discardSignals()
		CloseInheritedOnExec()
		_ = SetShortName(strings.TrimRight(firstArg, " ")) // for people only
	})
}

// discardSignals catches what the supervisor alone answers. What our parent ignored already (nohup) stays ignored, also
// for what is executed.
func discardSignals() {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig)
		}
	}
}

// CloseInheritedOnExec marks every descriptor from 3 on.
func CloseInheritedOnExec() {
	if unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	for _, fd := range sys.OpenDescriptors() { // kernels before 5.11
		if fd >= 3 {
			unix.CloseOnExec(fd)
		}
	}
}
